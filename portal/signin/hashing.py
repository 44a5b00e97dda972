"""Where passwords are hashed: few at once on this machine, in threads that let all others go first.

A hash of cost 12 takes a quarter of a second of a processor core. Unbounded, a handful of people signing in at once
starve every program that asks something in the meantime.
"""

from __future__ import annotations

import fcntl
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import IO, TypeVar

from portal.core import database, settings
from portal.core.errors import LimitReached
from portal.core.text import gettext

T = TypeVar("T")

# One core is always left to everybody else.
AT_ONCE = max(1, (os.cpu_count() or 2) - 1)
MODEST = 10
LOOK_AGAIN_S = 0.005
_counting = threading.Lock()
_inside = 0
_held: ContextVar[bool] = ContextVar("hashing_place", default=False)


def hashed(work: Callable[[], T]) -> T:
    """What `work`, which hashes, answers. Raises LimitReached at once where the queue is full, instead of growing it.

    RuntimeError inside a transaction: it would hold everybody up for as long.
    """
    if database.in_transaction():
        raise RuntimeError("hashing inside a transaction holds everybody up")
    folder = settings.current().data_dir / "hashing"
    with place():
        return _workers(os.getpid()).submit(lambda: _in_turn(folder, work)).result()


@contextmanager
def place() -> Iterator[None]:
    """One of the places of those who hash or wait: fewer than half the threads, the others serve on.

    Whoever will hash takes it before anything else, so that being sent away costs next to nothing. Raises LimitReached.
    """
    global _inside
    if _held.get():
        yield
        return
    places = max(1, settings.current().threads // 2 - 1)
    with _counting:
        if _inside >= places:
            words = gettext("Many people are signing in just now. Try again in a moment.")
            raise LimitReached(words, retry_after=2)
        _inside += 1
    held = _held.set(True)
    try:
        yield
    finally:
        _held.reset(held)
        with _counting:
            _inside -= 1


@lru_cache(maxsize=1)
def _workers(_process: int) -> ThreadPoolExecutor:
    """The threads that hash, of this process: a fork has none of its parent's."""
    return ThreadPoolExecutor(AT_ONCE, thread_name_prefix="hashing", initializer=_be_modest)


def _be_modest() -> None:
    """Let every other thread have the processor first. Elsewhere than on Linux a thread has no priority of its own."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), MODEST)


def _in_turn(folder: Path, work: Callable[[], T]) -> T:
    with _turn(folder):
        return work()


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """One of the turns of this machine, which all its processes share: the system frees that of a killed one."""
    with ExitStack() as stack:
        # A full disk takes no file; then the threads of this process are the only bound.
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            files = [stack.enter_context((folder / f"{number}.lock").open("ab")) for number in range(AT_ONCE)]
            while not any(_take(file) for file in files):
                time.sleep(LOOK_AGAIN_S)
        yield


def _take(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
