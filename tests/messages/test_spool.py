"""The spool in files: lines that prove themselves, files that belong to one process, nothing kept by halves."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
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

from portal.core import clock
from portal.core.errors import Unavailable
from portal.core.settings import load
from portal.messages.spool_file import LOOK_S, FileSpool
from portal.messages.spool_folder import read_lines
from portal.messages.spool_ids import GRACE_S
from portal.messages.spool_own import ROTATE_S
from portal.messages.spool_protocol import Entry, body_of, line_of
from tests.races import race

Make = Callable[..., FileSpool]
CLIENT = str(uuid.UUID(int=7))
HOLD = """
import sys
from pathlib import Path
from portal.core.settings import load
from portal.messages.spool_file import FileSpool
from portal.messages.spool_protocol import Entry
folder = Path(sys.argv[1])
spool = FileSpool(load({}, folder=folder, data_dir=folder))
spool.append([Entry("c", "theirs", b"0", b"{}")])
print(spool.folder.listed()[-1].path, flush=True)
sys.stdin.read()
"""


DIGEST, OTHER = b"\xab" * 16, b"\xcd" * 16


def entry(name: str, size: int = 0, *, digest: bytes = DIGEST) -> Entry:
    """A record to keep."""
    body = {"client_id": CLIENT, "source_id": name, "digest": digest.hex(), "filling": "x" * size}
    return Entry(CLIENT, name, digest, orjson.dumps(body))


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


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let so many seconds pass for whoever measures time."""
    passed = [0.0]
    measured = clock.monotonic
    monkeypatch.setattr(clock, "monotonic", lambda: measured() + passed[0])

    def wait(seconds: float) -> None:
        passed[0] += seconds

    return wait


def paths(spool: FileSpool) -> list[Path]:
    """The files of the host."""
    return [one.path for one in spool.folder.listed()]


def kept(spool: FileSpool) -> list[str]:
    """The ids of all lines in all files."""
    found = []
    for path in paths(spool):
        for raw in path.read_bytes().splitlines(keepends=True):
            body = body_of(raw)
            assert body is not None
            found.append(str(orjson.loads(body)["source_id"]))
    return found


def refuse(*_: object) -> None:
    """A disk that does not."""
    raise OSError(28, "no space")


# ---- Lines --------------------------------------------------------------------------------------------------------


def test_a_line_is_a_checksum_and_json() -> None:
    raw = line_of('{"a":"ü\u2028"}'.encode())
    checksum, body = raw[:8], raw[9:-1]
    assert (raw[8:9], raw[-1:], raw.count(b"\n")) == (b" ", b"\n", 1)
    assert int(checksum, 16) == zlib.crc32(body)
    assert body_of(raw) == body


@hypothesis_settings(deadline=None, database=None)
@given(st.binary().filter(lambda body: b"\n" not in body))
def test_a_line_is_read_as_it_was_written(body: bytes) -> None:
    assert body_of(line_of(body)) == body


@hypothesis_settings(max_examples=300, deadline=None, database=None)
@given(st.integers(0), st.integers(1, 255), st.text(min_size=1))
def test_a_changed_byte_is_seen(place: int, change: int, words: str) -> None:
    whole = line_of(orjson.dumps(words))
    raw = bytearray(whole)
    raw[place % len(raw)] ^= change
    # Only the case of a digit of the checksum may change unseen.
    assert body_of(bytes(raw)) is None or bytes(raw).lower() == whole.lower()


@pytest.mark.parametrize("size", range(0, 40, 3))
def test_a_torn_line_is_seen(size: int) -> None:
    assert body_of(line_of(b'{"words": "a long enough record"}')[:size]) is None


# ---- Ids ----------------------------------------------------------------------------------------------------------


def test_what_is_kept_has_no_twin_and_is_one_from_then_on(make: Make) -> None:
    spool = make()
    assert spool.append([entry("a"), entry("b"), entry("a", digest=OTHER)]) == [None, None, DIGEST]
    assert spool.append([entry("a", digest=OTHER), entry("c"), entry("b")]) == [DIGEST, None, DIGEST]
    assert kept(spool) == ["a", "b", "c"]
    assert (spool.known(CLIENT, "a"), spool.known(CLIENT, "x")) == (DIGEST, None)


def test_nothing_is_written_where_all_have_twins(make: Make) -> None:
    spool = make(durability="power")
    spool.append([entry("a")])
    before = spool.depth().size
    assert spool.append([entry("a")]) == [DIGEST]
    assert (spool.append([]), spool.depth().size) == ([], before)


@pytest.mark.parametrize("durability", ["power", "process"])
def test_of_two_threads_with_one_id_exactly_one_is_kept(make: Make, durability: str) -> None:
    spool = make(durability=durability)
    digests = [bytes([number]) * 16 for number in range(8)]

    def push(number: int) -> list[bytes | None]:
        return [spool.append([entry(f"a-{turn}", digest=digests[number])])[0] for turn in range(50)]

    answers = race(8, push)
    for turn in range(50):
        twins = [answer[turn] for answer in answers]
        assert twins.count(None) == 1
        assert set(twins) == {None, digests[twins.index(None)]}
    assert sorted(kept(spool)) == sorted(f"a-{turn}" for turn in range(50))


def test_a_twin_is_answered_only_once_the_first_is_durable(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = make(durability="power")
    begun, go = threading.Event(), threading.Event()

    def sync(_file: int) -> None:
        begun.set()
        assert go.wait(20)
        raise OSError(5, "the disk is gone")

    monkeypatch.setattr(os, "fdatasync", sync)

    def push(number: int) -> str:
        if number:
            assert begun.wait(20)
            threading.Timer(0.2, go.set).start()
        try:
            spool.append([entry("a")])
        except Unavailable:
            return "refused"
        return "answered"

    assert race(2, push) == ["refused", "refused"]


def test_a_new_process_knows_what_others_left(make: Make) -> None:
    spool = make()
    spool.append([entry("a")])
    with paths(spool)[0].open("ab") as file:
        file.write(b"nonsense\n" + line_of(b"[1]") + line_of(b'{"client_id": 5}') + line_of(b"{}")[:-4])
    other = make(durability="power")
    assert other.known(CLIENT, "a") == DIGEST
    assert other.append([entry("a"), entry("b")]) == [DIGEST, None]


def test_after_a_fork_a_file_of_its_own_is_begun(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = make()
    spool.append([entry("a")])
    monkeypatch.setattr(spool, "_pid", 1)  # as if this were the child
    assert spool.append([entry("a"), entry("b")]) == [DIGEST, None]
    assert len(paths(spool)) == 2


def test_a_file_that_cannot_be_made_durable_is_not_learnt_from(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    make().append([entry("a")])
    monkeypatch.setattr(os, "fdatasync", refuse)
    assert make(durability="power").known(CLIENT, "a") is None


def test_ids_are_forgotten_a_while_after_their_file_went(make: Make, later: Callable[[float], None]) -> None:
    """By every process: the one that wrote the file, and those that learnt of it at their start."""
    spool = make()
    spool.append([entry("a")])
    (path,) = paths(spool)
    other = make()
    assert other.known(CLIENT, "a")
    spool.close()
    path.unlink()  # as a flush does
    for one in (spool, other):
        one.append([entry(str(id(one)))])
    later(LOOK_S + 1)
    for one in (spool, other):
        # Whoever asked the database before the flush must still find it here.
        assert one.append([entry("a")]) == [DIGEST]
    later(GRACE_S)
    for one in (spool, other):
        one.append([entry("c" + str(id(one)))])
        assert one.known(CLIENT, "a") is None
        assert one.known(CLIENT, str(id(one)))


# ---- Room ---------------------------------------------------------------------------------------------------------


def test_folder_and_files_are_for_the_owner_alone(make: Make) -> None:
    spool = make()
    spool.append([entry("a")])
    assert (spool.folder.path.stat().st_mode & 0o777) == 0o700


def test_beyond_its_bytes_it_takes_nothing(make: Make) -> None:
    spool = make(spool_max_bytes=1024 * 1024)
    spool.append([entry("a", 900_000)])
    with pytest.raises(Unavailable):
        spool.append([entry("b"), entry("c", 200_000)])
    assert kept(spool) == ["a"]
    assert spool.known(CLIENT, "b") is None
    spool.append([entry("d")])
    assert sorted(kept(spool)) == ["a", "d"]


def test_what_all_processes_hold_is_bounded_together(make: Make) -> None:
    spools = [make(spool_max_bytes=1024 * 1024) for _ in range(4)]
    taken = 0
    for turn in range(400):
        try:
            spools[turn % 4].append([entry(str(turn), 10_000)])
            taken += 1
        except Unavailable:
            break
    assert 90 <= taken <= 105
    assert spools[0].depth().size <= 1024 * 1024


def test_a_full_spool_lets_go_of_its_files_so_that_a_flush_can_remove_them(make: Make) -> None:
    spool = make(spool_max_bytes=1024 * 1024)
    spool.append([entry("a", 1_000_000)])
    path = paths(spool)[0]
    assert not spool.folder.is_left(path)
    for _ in range(2):
        with pytest.raises(Unavailable):
            spool.append([entry("b", 100_000)])
    assert spool.folder.is_left(path)


def test_its_folder_is_looked_through_once_a_second_not_at_each_push(
    make: Make, monkeypatch: pytest.MonkeyPatch, later: Callable[[float], None]
) -> None:
    looks: list[object] = []
    spool = make()
    spool.append([entry("first")])
    look = spool._look
    monkeypatch.setattr(spool, "_look", lambda: looks.append(look()))
    for turn in range(100):
        spool.append([entry(str(turn))])
    assert len(looks) <= 1
    later(LOOK_S + 1)
    spool.append([entry("x")])
    assert len(looks) >= 1


def test_it_wakes_the_flush_at_so_many_rows_or_bytes(make: Make) -> None:
    spool = make(flush_max_rows=10, flush_max_bytes=65536)
    woken: list[int] = []
    spool.append([entry(f"before-{turn}") for turn in range(10)])  # nobody to wake
    spool.trigger.wake = lambda: woken.append(1)
    for turn in range(9):
        spool.append([entry(f"a-{turn}")])
    assert woken == []
    spool.append([entry("a-9")])
    assert woken == [1]
    spool.append([entry("b", 70_000)])
    assert woken == [1, 1]
    spool.append([entry(f"c-{turn}") for turn in range(9)])
    spool.trigger.reset()
    spool.append([entry("d")])
    spool.append([entry("d")])
    assert (woken, spool.trigger.rows) == ([1, 1], 1)


# ---- Faults of the disk -------------------------------------------------------------------------------------------


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


# ---- Files and processes ------------------------------------------------------------------------------------------


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
