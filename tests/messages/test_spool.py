"""The spool: lines that prove themselves, files that belong to one process, nothing kept by halves."""

from __future__ import annotations

import resource
import subprocess
import sys
import uuid
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from portal.core.errors import Unavailable
from portal.core.settings import load
from portal.messages.spool import FileSpool, line_of, read_line
from tests.races import race

Make = Callable[..., FileSpool]
CLIENT = str(uuid.UUID(int=7))
HOLD = """
import sys
from pathlib import Path
from portal.core.settings import load
from portal.messages.spool import FileSpool
folder = Path(sys.argv[1])
spool = FileSpool(load({}, folder=folder, data_dir=folder))
spool.append([{"client_id": "c", "source_id": "theirs", "digest": "00"}])
print(spool.files()[-1], flush=True)
sys.stdin.read()
"""


def line(name: str, size: int = 0) -> dict[str, Any]:
    """A spooled record."""
    return {"client_id": CLIENT, "source_id": name, "digest": "ab" * 16, "filling": "x" * size}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes spools on one folder, as so many processes have; `make(spool_max_bytes=…)`."""
    made = []

    def make_one(**given: Any) -> FileSpool:
        made.append(FileSpool(load({}, folder=tmp_path, data_dir=tmp_path, **given)))
        return made[-1]

    yield make_one
    for spool in made:
        spool.close()


def kept(spool: FileSpool) -> list[str]:
    """The ids of all lines in all files."""
    found = []
    for path in spool.files():
        for raw in path.read_bytes().splitlines(keepends=True):
            record = read_line(raw)
            assert record is not None
            found.append(str(record["source_id"]))
    return found


def test_a_line_is_a_checksum_and_json() -> None:
    raw = line_of({"a": "ü\n\u2028"})
    checksum, body = raw[:8], raw[9:-1]
    assert (raw[8:9], raw[-1:], raw.count(b"\n")) == (b" ", b"\n", 1)
    assert int(checksum, 16) == zlib.crc32(body)
    assert orjson.loads(body) == {"a": "ü\n\u2028"}


@hypothesis_settings(deadline=None, database=None)
@given(st.dictionaries(st.text(max_size=9), st.text() | st.integers(-(2**62), 2**62) | st.none(), max_size=5))
def test_a_line_is_read_as_it_was_written(record: dict[str, Any]) -> None:
    assert read_line(line_of(record)) == record


@hypothesis_settings(max_examples=300, deadline=None, database=None)
@given(st.integers(0), st.integers(1, 255), st.text(min_size=1))
def test_a_changed_byte_is_seen(place: int, change: int, words: str) -> None:
    raw = bytearray(line_of({"words": words}))
    raw[place % len(raw)] ^= change
    # Only the case of a digit of the checksum may change unseen.
    assert read_line(bytes(raw)) is None or bytes(raw).lower() == line_of({"words": words}).lower()


@pytest.mark.parametrize("size", range(0, 40, 3))
def test_a_torn_line_is_seen(size: int) -> None:
    assert read_line(line_of({"words": "a long enough record"})[:size]) is None


def test_what_was_appended_is_known_until_it_is_flushed(make: Make) -> None:
    spool = make()
    spool.append([line("a"), line("b")])
    assert spool.known(CLIENT, "a") == bytes.fromhex("ab" * 16)
    spool.forget([(CLIENT, "a")])
    assert (spool.known(CLIENT, "a"), spool.known(CLIENT, "b")) == (None, bytes.fromhex("ab" * 16))
    assert kept(spool) == ["a", "b"]


def test_a_new_process_knows_what_others_left(make: Make) -> None:
    make().append([line("a")])
    assert make().known(CLIENT, "a") is not None


def test_folder_and_files_are_for_the_owner_alone(make: Make) -> None:
    spool = make()
    spool.append([line("a")])
    assert (spool.folder.stat().st_mode & 0o777) == 0o700


def test_beyond_its_bytes_it_takes_nothing(make: Make) -> None:
    spool = make(spool_max_bytes=1024 * 1024)
    spool.append([line("a", 900_000)])
    with pytest.raises(Unavailable):
        spool.append([line("b"), line("c", 200_000)])
    assert kept(spool) == ["a"]
    assert spool.known(CLIENT, "b") is None
    spool.append([line("d")])
    assert kept(spool) == ["a", "d"]


@pytest.mark.parametrize("durability", ["power", "process"])
def test_a_write_that_breaks_off_leaves_no_half_line(make: Make, durability: str) -> None:
    spool = make(durability=durability)
    spool.append([line("a", 1000)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        with pytest.raises(Unavailable):
            spool.append([line("b", 2000), line("c", 4000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert spool.known(CLIENT, "b") is None
    spool.append([line("d")])
    assert kept(spool) == ["a", "d"]


def test_a_file_is_left_only_when_its_process_is_gone(make: Make, tmp_path: Path) -> None:
    mine = make()
    mine.append([line("mine")])
    theirs = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert theirs.stdout is not None
    path = Path(theirs.stdout.readline().strip())
    assert len(mine.files()) == 2
    assert not mine.is_left(path)
    assert not mine.remove_if_left(path, path.stat().st_size)
    theirs.kill()
    theirs.communicate()
    assert mine.is_left(path)
    assert not mine.remove_if_left(path, path.stat().st_size - 1)
    assert mine.remove_if_left(path, path.stat().st_size)
    assert kept(mine) == ["mine"]


def test_the_own_file_is_never_removed_under_the_writer(make: Make) -> None:
    spool = make()
    spool.append([line("a")])
    path = spool.files()[0]
    assert not spool.remove_if_left(path, path.stat().st_size)
    spool.append([line("b")])
    assert kept(spool) == ["a", "b"]


@pytest.mark.parametrize("durability", ["power", "process"])
def test_many_threads_lose_nothing_while_files_are_changed(make: Make, durability: str) -> None:
    spool = make(durability=durability, spool_max_bytes=64 * 1024 * 1024)
    spool.rotate_at = 20_000

    def append(number: int) -> None:
        for turn in range(20):
            spool.append([line(f"{number}-{turn}", 3000)])

    race(8, append)
    assert len(spool.files()) > 10
    assert sorted(kept(spool)) == sorted(f"{number}-{turn}" for number in range(8) for turn in range(20))


def test_a_file_just_begun_is_never_taken_for_left(make: Make) -> None:
    """Else a flush of another process would remove it before its first line."""
    writer, flusher = make(), make()
    writer.rotate_at = 1

    def work(number: int) -> None:
        for turn in range(300):
            if number == 0:
                writer.append([line(str(turn))])
            else:
                for path in flusher.files():
                    # Whoever stored nothing of a file removes it only when it is empty.
                    flusher.remove_if_left(path, 0)

    race(2, work)
    assert sorted(map(int, kept(writer))) == list(range(300))


def test_a_file_that_goes_while_we_look_is_no_fault(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = make()
    gone = spool.ready_folder() / "gone.spool"
    gone.symlink_to(tmp_path / "nowhere")
    assert (spool.files(), spool.depth()) == ([], 0)
    assert spool.remove_if_left(gone, 0)
    assert not spool.is_left(gone)
    monkeypatch.setattr(spool, "files", lambda: [gone])
    assert spool.known(CLIENT, "a") is None


def test_after_letting_go_it_begins_another_file(make: Make) -> None:
    spool = make(durability="power")
    spool.append([line("a")])
    spool.close()
    spool.append([line("b")])
    assert sorted(kept(spool)) == ["a", "b"]
    assert len(spool.files()) == 2


def test_letting_go_makes_durable_what_nobody_waited_for(make: Make) -> None:
    spool = make(durability="power")
    here = spool._own_file()
    spool._put(here, line_of(line("a")))
    spool.close()
    assert here.synced == here.written
    assert kept(spool) == ["a"]


def test_a_folder_that_takes_no_new_file_is_told(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "no space")

    spool = make()
    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(Unavailable):
        spool.append([line("a")])
    with pytest.raises(Unavailable):
        spool.known(CLIENT, "a")
    monkeypatch.undo()
    spool.append([line("a")])
    assert kept(spool) == ["a"]
