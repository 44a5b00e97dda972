"""The spool in files: lines that prove themselves, no twin kept, nothing beyond its bytes."""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Callable

import orjson
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from portal.core.errors import Unavailable
from portal.messages.spool_file import LOOK_S
from portal.messages.spool_ids import GRACE_S
from portal.messages.spool_protocol import body_of, line_of
from tests.messages.spools import CLIENT, DIGEST, OTHER, Make, entry, kept, paths, refuse
from tests.races import race


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
