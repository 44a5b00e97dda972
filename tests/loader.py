"""Loads all of Doorward once and then forks a process for each program it is asked for: to load everything is most of
what a start costs, and hundreds are started. Run by tests/programs.py.

An order is one line of JSON and three descriptors (standard input, output, error); the answer is the process's number.
How each ended stands in a file of that name.
"""

from __future__ import annotations

import ctypes
import gc
import io
import json
import os
import runpy
import select
import signal
import socket
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

LOADED = ("portal.cli", "portal.serving", "granian", "granian.http", "granian.constants", "alembic.command")
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
MOST_ORDER = 1 << 20


def wait_for_orders(channel: socket.socket, ends: Path) -> dict[str, Any]:
    """Fork for each order; answers it in the forked process alone. Ends when nobody can order any more."""
    awake, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, _do_nothing)
    signal.set_wakeup_fd(wake)
    while True:
        ready: list[Any] = select.select([channel.fileno(), awake], [], [])[0]
        if awake in ready:
            os.read(awake, 1024)
            _note_ends(ends)
        if channel.fileno() in ready:
            text, descriptors, _, _ = socket.recv_fds(channel, MOST_ORDER, 3)
            if not text:
                os._exit(0)
            number = os.fork()
            if number == 0:
                signal.set_wakeup_fd(-1)
                for descriptor in (awake, wake):
                    os.close(descriptor)
                channel.close()
                order: dict[str, Any] = json.loads(text)
                _become(order, descriptors)
                return order
            for descriptor in descriptors:
                os.close(descriptor)
            (ends / str(number)).unlink(missing_ok=True)  # of an earlier one of this number
            channel.send(str(number).encode())


def _do_nothing(_signal: int, _frame: FrameType | None) -> None:
    """A signal without a handler wakes nobody."""


def _note_ends(ends: Path) -> None:
    """Write down how each that has ended did: its exit status, or minus its signal."""
    while True:
        try:
            number, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if number == 0:
            return
        note = ends / f"{number}.new"
        note.write_text(str(os.waitstatus_to_exitcode(status)))
        note.rename(ends / str(number))


def _become(order: dict[str, Any], descriptors: list[int]) -> None:
    """Look as a process that was started by itself: its environment, folder, descriptors, signals."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if order["session"]:
        os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(order["environment"])
    time.tzset()
    os.chdir(order["folder"])
    for place, descriptor in enumerate(descriptors):
        os.dup2(descriptor, place)
        os.close(descriptor)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), encoding="utf-8")
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding="utf-8", write_through=True)
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), encoding="utf-8", write_through=True)
    sys.argv = [order["program"], *order["arguments"]]


if __name__ == "__main__":
    if sys.platform == "linux":  # what a killed server leaves behind is buried here, at once
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for name in LOADED:
        import_module(name)
    gc.freeze()
    said = wait_for_orders(socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2]))
    # Out of here as any program goes: exit status, atexit, threads.
    runpy.run_module(said["program"], run_name="__main__", alter_sys=True)
