"""Hashing never starves other work: few at once on a machine, a short queue, and never while a transaction is open."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from portal.audit import events
from portal.audit.record import record
from portal.core import settings
from portal.core.access import job_actor
from portal.core.database import db
from portal.core.errors import LimitReached
from portal.signin.hashing import AT_ONCE, MODEST, hashed
from portal.signin.passwords import check_password, hash_password
from portal.web.frame import Doorward
from tests.people import PASSWORD
from tests.races import race

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "ab")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_hashing_inside_a_transaction_is_refused(app: Doorward) -> None:
    record(job_actor("test"), events.ACCOUNT_RESTORED)
    db.session.flush()
    for call in (lambda: hash_password(PASSWORD), lambda: check_password(PASSWORD, None)):
        with pytest.raises(RuntimeError, match="inside a transaction"):
            call()
    db.session.rollback()
    assert hash_password(PASSWORD)


@pytest.mark.parametrize(("setting", "places"), [({"threads": 16}, 7), ({"threads": 4}, 1), ({"threads": 2}, 1)])
def test_fewer_than_half_the_threads_hash_or_wait_and_the_others_are_told_at_once(bare: Doorward, places: int) -> None:
    begun, go_on = threading.Semaphore(0), threading.Event()

    def work() -> str:
        begun.release()
        assert go_on.wait(30)
        return "hashed"

    def one(_: int) -> str:
        with bare.app_context():
            try:
                return hashed(work)
            except LimitReached as error:
                refused.release()
                return f"wait {error.retry_after}"

    refused = threading.Semaphore(0)

    def open_the_way() -> None:
        for _ in range(30 - places):
            assert refused.acquire(timeout=30)
        go_on.set()

    threading.Thread(target=open_the_way, daemon=True).start()
    answers = race(30, one)
    assert (answers.count("hashed"), answers.count("wait 2")) == (places, 30 - places)


def test_no_more_hash_at_once_than_leave_a_core_free(bare: Doorward) -> None:
    running, most, counting = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal running, most
        with counting:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with counting:
            running -= 1

    def one(_: int) -> None:
        with bare.app_context():
            hashed(work)

    race(6, one)
    assert most <= AT_ONCE == max(1, (os.cpu_count() or 2) - 1)


def test_the_turns_are_those_of_the_whole_machine(bare: Doorward) -> None:
    folder = settings.current().data_dir / "hashing"
    hash_password(PASSWORD)  # makes the folder
    files = sorted(folder.iterdir())
    assert len(files) == AT_ONCE
    others = [
        subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", HOLD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for file in files
    ]
    for other in others:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
    done = threading.Event()

    def one() -> None:
        with bare.app_context():
            hash_password(PASSWORD)
        done.set()

    waiting = threading.Thread(target=one)
    waiting.start()
    assert not done.wait(0.3)
    others[0].kill()  # the system gives back what a killed one held
    assert done.wait(30)
    for other in others:
        other.kill()
        other.communicate()
    waiting.join(30)


def test_without_a_folder_for_the_turns_people_still_get_in(bare: Doorward) -> None:
    folder = settings.current().data_dir / "hashing"
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("in the way")
    assert check_password(PASSWORD, hash_password(PASSWORD))


def test_hashing_lets_all_others_go_first(bare: Doorward) -> None:
    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    # Elsewhere than on Linux a thread has no priority of its own.
    assert hashed(priority) == (max(MODEST, priority()) if sys.platform == "linux" else priority())


def test_a_turn_is_given_back_when_the_work_fails(bare: Doorward) -> None:
    def fail() -> None:
        raise ValueError("no")

    for _ in range(20):
        with pytest.raises(ValueError, match="no"):
            hashed(fail)
    assert hash_password(PASSWORD)
    for file in sorted(Path(settings.current().data_dir / "hashing").iterdir()):
        with file.open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
