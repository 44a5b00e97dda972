"""Large exports that are stopped, killed, or out of room: whole or not at all, and nothing left behind."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from portal.accounts.models import Account
from portal.core import clock
from portal.core.database import db, transaction
from portal.core.errors import NotFound
from portal.core.settings import Settings
from portal.messages import export_files, export_rows
from portal.messages.export_files import MOST_TRIES, drop_exports, exports_folder
from portal.messages.exporting import (
    link_to_export,
    stop_export,
)
from portal.messages.flush import flush
from portal.work.long_work import LEASE
from tests.messages.conftest import record
from tests.messages.exports import COUNT, Push, ask, fetch, files, link_of, stored, work_off
from tests.people import actor_named, make_account
from tests.programs import KEPT, run_program
from tests.servers import DEFAULTS


@pytest.fixture
def setting() -> dict[str, Any]:
    """Anything above one log is large."""
    return {"export_most_streamed": 1}


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two logs a batch, and each of them is told."""
    monkeypatch.setattr(export_rows, "BATCH", 2)
    monkeypatch.setattr(export_files, "ADVANCE_S", 0)


@pytest.fixture
def logs(push: Push) -> None:
    """Seven logs of Alice; Bob is there too."""
    make_account("bob")
    push(*(record(id=f"r{number}") for number in range(COUNT)))
    flush()


def in_a_process(settings: Settings, fault: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Let another process do what waits."""
    given = {name: os.environ[name] for name in KEPT if name in os.environ} | DEFAULTS
    given |= {"DATABASE_URL": settings.database_url, "DATA_DIR": str(settings.data_dir), "EXPORT_MOST_STREAMED": "1"}
    return run_program("tests.messages.exporters", fault, environment=given | environment, folder=settings.data_dir)


def test_one_that_waits_is_stopped_and_makes_nothing(logs: None) -> None:
    work = ask()
    with transaction():
        stop_export(actor_named("alice"), work.id)
    work_off()
    assert (stored(work).state, files()) == ("stopped", [])


def test_one_that_runs_is_stopped_and_what_was_written_goes_away(logs: None, monkeypatch: pytest.MonkeyPatch) -> None:
    work, batches = ask(), export_rows.batches_of

    def stopping(*arguments: Any) -> Any:
        for number, batch in enumerate(batches(*arguments)):
            if number == 1:
                assert files(), "the draft is there"
                with transaction():
                    stop_export(actor_named("alice"), work.id)
            yield batch

    monkeypatch.setattr(export_files, "batches_of", stopping)
    work_off()
    assert (stored(work).state, stored(work).file, files()) == ("stopped", None, [])
    with pytest.raises(NotFound):
        fetch(work, "")


def test_killed_in_the_middle_it_is_made_anew_and_whole(logs: None, settings: Settings) -> None:
    work = ask()
    died = in_a_process(settings, "die")
    assert died.returncode == -9, died.stderr
    assert stored(work).state == "running"
    (draft,) = files()
    assert draft.endswith(".draft")
    assert link_to_export(actor_named("alice"), stored(work)) is None
    work_off()
    assert stored(work).state == "running", "whose process may still live"
    clock.shift(LEASE + timedelta(seconds=1))
    work_off()
    assert [line["source_id"] for line in fetch(work, link_of(work))] == [f"r{number}" for number in range(COUNT)]
    assert files() == [stored(work).file]


def test_two_processes_make_each_of_them_once(logs: None, settings: Settings) -> None:
    works = [ask(), ask("csv")]
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda _: in_a_process(settings, "none"), range(2)))
    assert [one.returncode for one in ended] == [0, 0], ended
    assert [(stored(work).state, stored(work).fence) for work in works] == [("done", 1)] * 2
    assert files() == sorted(stored(work).file or "" for work in works)


def test_what_kills_its_process_each_time_is_not_tried_for_ever(logs: None) -> None:
    work = ask()
    with transaction():
        row = stored(work)
        row.state, row.fence, row.held_until = "running", MOST_TRIES, clock.now()
    work_off()
    assert (stored(work).state, stored(work).summary, files()) == ("failed", "tries", [])


def test_on_a_full_disk_it_fails_with_its_reason_and_leaves_nothing(
    push: Push, settings: Settings, alice: Account
) -> None:
    # In CSV a quote takes three bytes, in the database two: so the file is the largest there is.
    quotes = [{"role": "user", "content": '"' * 100_000}]
    push(*(record(id=f"r{number}", messages=quotes) for number in range(30)))
    flush()
    work = ask("csv")
    db.session.remove()
    db.engine.dispose()
    largest = max((path.stat().st_size for path in Path(settings.data_dir).parent.glob("*.sqlite3*")), default=0)
    limit = largest + 512 * 1024
    assert limit < 30 * 300_000
    ended = in_a_process(settings, "full", LIMIT=str(limit))
    assert ended.returncode == 0, ended.stderr
    assert (stored(work).state, stored(work).summary, files()) == ("failed", "no_space", [])
    again = ask("csv")
    work_off()
    assert stored(again).state == "done", "healed"


def test_the_room_that_others_need_is_left(logs: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_files, "LEAST_LEFT", 2**60)
    work = ask()
    work_off()
    assert (stored(work).state, stored(work).summary, files()) == ("failed", "no_space", [])


def test_a_folder_that_is_none_fails_it_with_its_reason(logs: None, settings: Settings) -> None:
    exports_folder().rmdir()
    (settings.data_dir / "exports").write_text("no folder")
    work = ask()
    work_off()
    assert (stored(work).state, stored(work).summary) == ("failed", "unwritable")


def test_files_that_no_work_speaks_of_are_swept(logs: None) -> None:
    work = ask()
    work_off()
    kept = stored(work).file
    (exports_folder() / f"{work.id}-9.draft").write_text("left behind")
    (exports_folder() / "something else").write_text("nobody's")
    drop_exports()
    assert files() == sorted([kept or "", f"{work.id}-9.draft"]), "a draft may be of a process that is slow"
    clock.shift(timedelta(minutes=11))
    drop_exports()
    assert files() == [kept]
