"""Files of the spool and processes: each writes its own, and removes only those whose process is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from portal.messages.spool_folder import read_lines
from portal.messages.spool_own import ROTATE_S
from portal.messages.spool_protocol import line_of
from tests.messages.spools import DIGEST, HOLD, Make, entry, kept, paths
from tests.races import race


def test_a_file_is_left_only_when_its_process_is_gone(make: Make, tmp_path: Path) -> None:
    mine = make()
    mine.append([entry("mine")])
    theirs = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert theirs.stdout is not None
    path = Path(theirs.stdout.readline().strip())
    folder = mine.folder
    assert len(paths(mine)) == 2
    assert not folder.is_left(path)
    assert not folder.remove_if_left(path, path.stat().st_size)
    theirs.kill()
    theirs.communicate()
    assert folder.is_left(path)
    assert not folder.remove_if_left(path, path.stat().st_size - 1)
    assert folder.remove_if_left(path, path.stat().st_size)
    assert kept(mine) == ["mine"]


def test_a_forked_process_writes_a_file_of_its_own(make: Make) -> None:
    spool = make()
    spool.append([entry("a")])
    child = os.fork()
    if not child:  # pragma: no cover  # counted in the parent only
        os._exit(0 if spool.append([entry("a"), entry("b")]) == [DIGEST, None] else 1)
    assert os.waitpid(child, 0)[1] == 0
    spool.append([entry("c")])
    assert sorted(kept(spool)) == ["a", "b", "c"]
    assert len(paths(spool)) == 2
    assert sum(spool.folder.is_left(path) for path in paths(spool)) == 1


def test_the_own_file_is_never_removed_under_the_writer(make: Make) -> None:
    spool = make()
    spool.append([entry("a")])
    path = paths(spool)[0]
    assert not spool.folder.remove_if_left(path, path.stat().st_size)
    path.unlink()  # somebody else may
    spool.append([entry("b")])
    assert kept(spool) == ["b"]


@pytest.mark.parametrize("durability", ["power", "process"])
def test_many_threads_lose_nothing_while_files_are_changed(make: Make, durability: str) -> None:
    spool = make(durability=durability, spool_max_bytes=64 * 1024 * 1024)
    spool.rotate_at = 20_000

    def append(number: int) -> None:
        for turn in range(20):
            spool.append([entry(f"{number}-{turn}", 3000)])

    race(8, append)
    assert len(paths(spool)) > 10
    assert sorted(kept(spool)) == sorted(f"{number}-{turn}" for number in range(8) for turn in range(20))


def test_a_file_just_begun_is_never_taken_for_left(make: Make) -> None:
    """Else a flush of another process would remove it before its first line."""
    writer, flusher = make(), make()
    writer.rotate_at = 1

    def work(number: int) -> None:
        for turn in range(300):
            if number == 0:
                writer.append([entry(str(turn))])
            else:
                for path in paths(flusher):
                    # Whoever stored nothing of a file removes it only when it is empty.
                    flusher.folder.remove_if_left(path, 0)

    race(2, work)
    assert sorted(map(int, kept(writer))) == list(range(300))


def test_a_file_that_goes_while_we_look_is_no_fault(make: Make, tmp_path: Path) -> None:
    spool = make()
    gone = spool.folder.ready() / "gone.spool"
    gone.symlink_to(tmp_path / "nowhere")
    assert (paths(spool), spool.depth().size, spool.depth().age_s) == ([], 0, None)
    assert spool.folder.remove_if_left(gone, 0)
    assert not spool.folder.is_left(gone)
    assert read_lines(gone, 7, left=True, most_rows=1, most_bytes=1) == ([], 7)


def test_after_letting_go_it_begins_another_file(make: Make) -> None:
    spool = make(durability="power")
    spool.append([entry("a")])
    spool.close()
    spool.close()
    spool.append([entry("b")])
    assert sorted(kept(spool)) == ["a", "b"]
    assert len(paths(spool)) == 2


def test_letting_go_makes_durable_what_nobody_waited_for(make: Make) -> None:
    spool = make(durability="power")
    here = spool._own_file()
    here.put(line_of(entry("a").body))
    spool.close()
    assert here.synced == here.written
    assert kept(spool) == ["a"]


def test_what_was_said_does_not_stay_in_an_open_file(make: Make, later: Callable[[float], None]) -> None:
    spool = make()
    spool.append([entry("a")])
    path = paths(spool)[0]
    spool.depth()
    assert not spool.folder.is_left(path)
    later(ROTATE_S + 1)
    spool.depth()  # asked every few seconds, though nobody pushes
    assert spool.folder.is_left(path)


def test_whoever_only_looks_does_not_wait_for_one_who_writes(make: Make) -> None:
    spool = make()
    spool.append([entry("a")])
    with spool._write:
        assert spool.depth().size > 0


def test_its_state_says_how_full_it_is(make: Make) -> None:
    spool = make(spool_max_bytes=1024 * 1024)
    assert spool.state().state == "ok"
    spool.append([entry("a", 600_000)])
    assert spool.state().state == "warning"
    (spool.folder.path / "left.spool").write_bytes(b"x" * 1024 * 1024)
    assert (spool.state().state, spool.state().words[:5]) == ("down", "full:")
    assert 0 <= (spool.depth().age_s or 0) < 60
