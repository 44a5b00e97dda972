"""The spool and a disk that fails: nothing is kept by halves, and nobody is answered for what is not durable."""

from __future__ import annotations

import os
import resource
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from portal.core.errors import Unavailable
from portal.messages.spool_protocol import body_of, line_of
from tests.messages.spools import CLIENT, Make, entry, kept, paths, refuse
from tests.races import race


@pytest.mark.parametrize("durability", ["power", "process"])
def test_a_write_that_breaks_off_leaves_no_half_line(make: Make, durability: str) -> None:
    spool = make(durability=durability)
    spool.append([entry("a", 1000)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        with pytest.raises(Unavailable):
            spool.append([entry("b", 2000), entry("c", 4000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert spool.known(CLIENT, "b") is None
    spool.append([entry("d")])
    assert kept(spool) == ["a", "d"]


@pytest.mark.parametrize("durability", ["power", "process"])
def test_after_a_cut_that_failed_it_begins_another_file(
    make: Make, monkeypatch: pytest.MonkeyPatch, durability: str
) -> None:
    """Else the next record would be glued to a half line, acknowledged and lost."""
    spool = make(durability=durability)
    spool.append([entry("a")])
    write = os.write

    def write_half(file: int, data: Any) -> int:
        if len(data) > 100:
            return write(file, data[:50])
        raise OSError(28, "no space")

    monkeypatch.setattr(os, "write", write_half)
    monkeypatch.setattr(os, "ftruncate", refuse)
    with pytest.raises(Unavailable):
        spool.append([entry("b")])
    monkeypatch.undo()
    assert spool.append([entry("b"), entry("d")]) == [None, None]
    first, second = (path.read_bytes().splitlines(keepends=True) for path in sorted(paths(spool), key=born))
    assert [body_of(raw) is not None for raw in first] == [True, False]
    assert len(second) == 2 and all(map(body_of, second))


def born(path: Path) -> bool:
    """Sorts the file that has a torn tail before the other."""
    return path.read_bytes().endswith(b"\n")


@pytest.mark.parametrize("cut", [True, False], ids=["cut", "not cut"])
def test_after_a_sync_that_failed_it_begins_another_file(
    make: Make, monkeypatch: pytest.MonkeyPatch, cut: bool
) -> None:
    """The system may take lost pages for written ones: no later sync of that file proves anything."""
    spool = make(durability="power")
    spool.append([entry("a")])
    monkeypatch.setattr(os, "fdatasync", refuse)
    if not cut:
        monkeypatch.setattr(os, "ftruncate", refuse)
    with pytest.raises(Unavailable):
        spool.append([entry("b")])
    monkeypatch.undo()
    assert spool.append([entry("b")]) == [None]
    assert len(paths(spool)) == 2
    assert sorted(kept(spool)) == (["a", "b"] if cut else ["a", "b", "b"])


def test_of_many_who_wait_for_a_sync_that_fails_none_is_answered(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = make(durability="power")
    failing = threading.Event()
    sync = os.fdatasync

    def sync_or_fail(file: int) -> None:
        if failing.is_set():
            raise OSError(5, "input/output error")
        sync(file)

    monkeypatch.setattr(os, "fdatasync", sync_or_fail)

    def push(number: int) -> set[str]:
        done = set()
        for turn in range(60):
            if number == 0 and turn in {20, 40}:
                failing.set() if turn == 20 else failing.clear()
            try:
                spool.append([entry(f"{number}-{turn}", 500)])
            except Unavailable:
                continue
            done.add(f"{number}-{turn}")
        return done

    answered = set().union(*race(6, push))
    assert answered <= set(kept(spool))


def test_a_sync_that_fails_while_a_file_is_let_go_is_told(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record nobody waited for: its id is free again, and it may be pushed once more."""
    spool = make(durability="power")
    spool.append([entry("a")])
    here = spool._open
    assert here is not None
    here.put(line_of(entry("b").body))
    monkeypatch.setattr(os, "fdatasync", refuse)
    spool.close()
    monkeypatch.undo()
    assert spool.append([entry("b")]) == [None]
    assert sorted(kept(spool)) == ["a", "b"]


def test_a_folder_that_takes_no_new_file_is_told(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = make()
    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(Unavailable):
        spool.append([entry("a")])
    with pytest.raises(Unavailable):
        spool.known(CLIENT, "a")
    assert list(spool.folder.path.iterdir()) == []
    monkeypatch.undo()
    spool.append([entry("a")])
    assert kept(spool) == ["a"]


def test_faults_of_the_folder_are_told_as_such(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = make()
    spool.append([entry("a")])
    monkeypatch.setattr(type(spool.folder), "listed", refuse)
    for ask in (spool.depth, spool.waiting, lambda: list(spool.batches(1, 1))):
        with pytest.raises(Unavailable):
            ask()
    assert (spool.state().state, spool.state().words) == ("down", "no space")
    monkeypatch.undo()
    monkeypatch.setattr(type(spool.folder), "ready", refuse)
    assert spool.state().state == "down"
    assert spool.warnings() == []
