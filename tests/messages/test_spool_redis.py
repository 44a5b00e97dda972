"""The spool at a Valkey server: all or nothing, each record once, given again until it is stored, bounded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from portal.core import clock
from portal.core.errors import Unavailable
from portal.core.settings import load
from portal.messages import spool_redis, spool_server
from portal.messages.spool_protocol import Batch, Entry, line_of
from portal.messages.spool_redis import BYTES, GROUP, IDS, KEYS, LINES, RedisSpool
from tests.races import race
from tests.valkey import Valkey, keeping_valkey

MIB = 1024 * 1024
Make = Callable[..., RedisSpool]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """One server for the file."""
    with keeping_valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def valkey(running: Valkey) -> Valkey:
    """It, empty."""
    running.client().flushall()
    return running


@pytest.fixture
def make(valkey: Valkey, tmp_path: Path) -> Iterator[Make]:
    """A spool as a process of this host has it; `make("other")` is one of another host."""
    made = []

    def spool(host: str = "host", **settings: Any) -> RedisSpool:
        given = {"spool": "redis", "redis_url": valkey.url, "smtp_url": "none", **settings}
        one = RedisSpool(load({}, folder=tmp_path, data_dir=tmp_path / host, **given))
        made.append(one)
        return one

    yield spool
    for one in made:
        one.close()


def entry(name: str, said: str = "hello", client: str = "gate") -> Entry:
    """A record of this id."""
    return Entry(
        client, name, hashlib.sha256(said.encode()).digest()[:16], f'{{"id":"{name}","said":"{said}"}}'.encode()
    )


def entries(count: int, size: int = 0) -> list[Entry]:
    """So many records."""
    return [entry(f"r-{number}", "x" * size) for number in range(count)]


def read(spool: RedisSpool, *, rows: int = 1000, size: int = MIB, trim: bool = True) -> list[list[bytes]]:
    """What a flush would be given, batch by batch."""
    found = []
    for batch in spool.batches(rows, size):
        found.append([line.raw for line in batch.lines])
        spool.remember(batch)
        if trim:
            spool.trim(batch)
    return found


def lines(*expected: Entry) -> list[bytes]:
    """Their lines."""
    return [line_of(one.body) for one in expected]


def nothing_is_left(valkey: Valkey) -> bool:
    """Whether the server holds no line, no id, no byte, and nothing that is owed to a host."""
    client = valkey.client()
    held = client.xlen(LINES), client.hlen(IDS), int(client.get(BYTES) or 0)
    return held == (0, 0, 0) and client.xpending(LINES, GROUP)["pending"] == 0


# ---- Taking ---------------------------------------------------------------------------------------------------------


def test_what_is_appended_waits_in_its_order_until_it_is_trimmed(make: Make, valkey: Valkey) -> None:
    spool = make()
    assert spool.append([]) == []
    assert spool.append([entry("a"), entry("b")]) == [None, None]
    assert spool.append([entry("c")]) == [None]
    assert spool.known("gate", "b") == entry("b").digest
    assert (spool.known("gate", "z"), spool.known("other", "b")) == (None, None)
    size = sum(map(len, lines(entry("a"), entry("b"), entry("c"))))
    depth = spool.depth()
    assert (depth.size, depth.rows) == (size, 3)
    assert depth.age_s is not None
    assert depth.age_s < 60
    assert read(spool) == [lines(entry("a"), entry("b"), entry("c"))]
    assert spool.known("gate", "b") is None
    assert spool.depth().size == 0
    assert spool.depth().age_s is None
    assert nothing_is_left(valkey)
    assert read(spool) == []


def test_a_record_whose_id_waits_is_told_its_twin_and_not_kept_again(make: Make) -> None:
    here, there = make(), make("other")
    assert here.append([entry("a"), entry("a"), entry("a", "other")]) == [None, entry("a").digest, entry("a").digest]
    assert there.append([entry("b"), entry("a", "other"), entry("a")]) == [None, entry("a").digest, entry("a").digest]
    assert there.append([entry("a", client="another")]) == [None]
    assert read(here) == [lines(entry("a"), entry("b"), entry("a"))]
    # Now the database knows it, and the spool no more.
    assert there.append([entry("a", "other")]) == [None]


def test_of_many_with_one_id_exactly_one_is_kept(make: Make) -> None:
    spools = [make(f"host-{number % 3}") for number in range(12)]
    answers = race(12, lambda number: spools[number].append([entry("a", f"said by {number}")])[0])
    (won,) = [number for number, twin in enumerate(answers) if twin is None]
    assert set(answers) == {None, entry("a", f"said by {won}").digest}
    assert read(spools[0]) == [lines(entry("a", f"said by {won}"))]


def test_a_full_spool_takes_nothing_of_a_call_and_all_of_it_once_there_is_room(make: Make, valkey: Valkey) -> None:
    spool = make(spool_max_bytes=MIB)
    assert spool.append(entries(9, 100_000)) == [None] * 9
    late = [entry(f"late-{number}", "y" * 100_000) for number in range(2)]
    with pytest.raises(Unavailable):
        spool.append(late)
    assert spool.known("gate", "late-0") is None
    assert spool.depth().rows == 9
    # What waits is known all the same, and a smaller one still fits.
    assert spool.append([entry("r-0", "x" * 100_000)]) == [entry("r-0", "x" * 100_000).digest]
    assert spool.append([entry("small")]) == [None]
    assert sum(map(len, read(spool))) == 10
    assert spool.append(late) == [None, None]
    read(spool)
    assert nothing_is_left(valkey)


def test_a_push_that_was_refused_too_late_is_a_duplicate_when_it_comes_again(make: Make) -> None:
    spool = make()
    spool.append([entry("a")])
    # Without the answer the client pushes again: to another host, as it may.
    assert make("other").append([entry("a")]) == [entry("a").digest]
    assert read(spool) == [lines(entry("a"))]


@pytest.mark.parametrize("durability", ["power", "process"])
def test_scripts_that_the_server_forgot_are_told_again(make: Make, valkey: Valkey, durability: str) -> None:
    spool = make(durability=durability)
    spool.append([entry("a")])
    valkey.client().script_flush()
    assert spool.append([entry("b")]) == [None]
    valkey.client().script_flush()
    assert read(spool) == [lines(entry("a"), entry("b"))]
    assert nothing_is_left(valkey)


def test_the_flush_is_woken_at_so_many_rows(make: Make) -> None:
    spool, woken = make(flush_max_rows=3), []
    spool.trigger.wake = lambda: woken.append(True)
    spool.append([entry("a"), entry("b")])
    spool.append([entry("a")])  # a twin counts for nothing
    assert woken == []
    spool.append([entry("c")])
    assert woken == [True]


# ---- Flushing -------------------------------------------------------------------------------------------------------


def test_batches_are_as_small_as_is_asked(make: Make) -> None:
    spool = make()
    spool.append(entries(130, 1000))
    assert [len(batch) for batch in read(spool, rows=60, trim=False)] == [60, 60, 10]
    by_size = [len(batch) for batch in read(spool, size=20_000)]
    assert sum(by_size) == 130
    assert max(by_size) == 20


def test_what_was_taken_and_not_stored_comes_again_to_whoever_flushes_next_here(make: Make, valkey: Valkey) -> None:
    spool = make()
    spool.append(entries(120))
    with closing(cast("Any", spool.batches(50, MIB))) as batches:
        first: Batch = next(batches)
        spool.trim(first)
        next(batches)  # and the process dies
    spool.append([entry("later")])
    again = [raw for batch in read(make()) for raw in batch]
    assert again == lines(*entries(120)[50:], entry("later"))
    assert nothing_is_left(valkey)


def test_hosts_share_what_waits(make: Make) -> None:
    here, there = make(), make("other")
    here.append(entries(20))
    with closing(cast("Any", here.batches(20, MIB))) as batches:
        mine: Batch = next(batches)
        assert read(there) == []
        there.append([entry("a")])
        assert read(there) == [lines(entry("a"))]
        here.trim(mine)


def test_what_a_silent_host_took_is_stored_by_another(
    make: Make, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = make(), make("other")
    here.append(entries(120))
    assert len(read(here, trim=False)[0]) == 120
    assert read(there) == []
    monkeypatch.setattr(spool_redis, "SILENT_MS", 0)
    assert sum(map(len, read(there))) == 120
    assert nothing_is_left(valkey)
    # It wakes up, with what it took long ago: trimming that again takes nothing from what came since.
    there.append(entries(1))
    assert read(here) == [lines(entry("r-0", ""))]
    assert nothing_is_left(valkey)


def test_trimming_twice_gives_back_once(make: Make, valkey: Valkey) -> None:
    spool = make()
    spool.append([entry("a")])
    (batch,) = spool.batches(10, MIB)
    spool.append([entry("b")])
    spool.trim(batch)
    spool.trim(batch)
    assert spool.depth().size == len(line_of(entry("b").body))


def test_of_two_flushers_of_a_host_one_has_nothing_to_do(make: Make) -> None:
    here, also_here = make(), make()
    here.append(entries(2))
    with closing(cast("Any", here.batches(1, MIB))) as batches:
        next(batches)
        assert read(also_here) == []
    assert read(also_here, rows=1) == [lines(one) for one in entries(2)]


def test_a_server_that_was_emptied_is_begun_anew(make: Make, valkey: Valkey) -> None:
    spool = make()
    assert read(spool) == []
    spool.append([entry("a")])
    valkey.client().flushall()
    assert read(spool) == []
    assert spool.depth().size == 0
    assert spool.append([entry("a")]) == [None]
    valkey.client().xgroup_destroy(LINES, GROUP)
    assert read(spool) == [lines(entry("a"))]


def test_an_entry_that_somebody_removed_by_hand_holds_nothing_up(make: Make, valkey: Valkey) -> None:
    spool = make()
    spool.append(entries(60))
    read(spool, trim=False)
    numbers = [number for number, _ in valkey.client().xrange(LINES)]
    valkey.client().xdel(LINES, *numbers[:55])
    assert [len(batch) for batch in read(spool)] == [5]
    assert valkey.client().xpending(LINES, GROUP)["pending"] == 0


def test_a_place_is_never_the_same_for_another_line(make: Make) -> None:
    spool = make()
    spool.append(entries(3))
    (batch,) = spool.batches(10, MIB)
    assert len({line.key for line in batch.lines}) == 3
    assert all(line.key.startswith("redis:") and len(line.key) <= 200 for line in batch.lines)
    assert [line.key for line in batch.lines] == [line.key for one in spool.batches(10, MIB) for line in one.lines]


def test_the_age_is_that_of_the_oldest(make: Make, valkey: Valkey) -> None:
    spool = make()
    old = int(clock.now().timestamp() * 1000) - 90_000
    valkey.client().xadd(LINES, {"id": b"gate a", "line": line_of(b"{}")}, id=f"{old}-0")
    assert spool.depth().age_s == pytest.approx(90, abs=10)


@pytest.mark.parametrize("broken", ["", "short", "no longer a name of sixteen"])
def test_a_name_that_a_full_disk_cut_off_is_made_again(make: Make, tmp_path: Path, broken: str) -> None:
    spool = make()
    spool.append([entry("a")])
    spool.folder.mkdir(parents=True, exist_ok=True)
    (spool.folder / "redis-consumer").write_text(broken)
    assert read(spool) == [lines(entry("a"))]
    named = (spool.folder / "redis-consumer").read_text()
    assert len(named) == 16
    read(spool)
    assert (spool.folder / "redis-consumer").read_text() == named


def test_a_folder_that_cannot_be_used_refuses_the_flush_and_takes_records_all_the_same(make: Make) -> None:
    spool = make()
    spool.folder.parent.mkdir(parents=True, exist_ok=True)
    spool.folder.write_text("in the way")
    assert spool.append([entry("a")]) == [None]
    with pytest.raises(Unavailable):
        read(spool)
    spool.folder.unlink()
    assert read(spool) == [lines(entry("a"))]


def test_a_name_that_cannot_be_read_refuses_the_flush(make: Make) -> None:
    spool = make()
    spool.append([entry("a")])
    (spool.folder / "redis-consumer").mkdir(parents=True)
    with pytest.raises(Unavailable):
        read(spool)


def test_something_else_under_its_key_refuses_both(make: Make, valkey: Valkey) -> None:
    spool = make()
    valkey.client().set(LINES, "not a stream")
    with pytest.raises(Unavailable):
        spool.append([entry("a")])
    with pytest.raises(Unavailable):
        read(spool)


def test_a_full_one_is_down(make: Make) -> None:
    spool = make(spool_max_bytes=MIB)
    most = MIB - len(line_of(entry("a", "").body))
    spool.append([entry("a", "x" * most)])
    assert (spool.state().state, spool.state().words) == ("down", f"full: {MIB} bytes held")
    assert spool.waiting() == MIB


def test_without_a_sync_in_time_nobody_is_told_it_was_kept(
    make: Make, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    valkey.client().config_set("appendfsync", "everysec")
    monkeypatch.setattr(spool_server, "SYNC_MS", 1)
    spool = make(durability="power")
    refused = []
    for number in range(50):  # now and then the second is over just then
        try:
            spool.append([entry(f"r-{number}")])
        except Unavailable:
            refused.append(number)
    assert refused
    monkeypatch.undo()
    again = entry(f"r-{refused[0]}")
    assert spool.append([again]) == [again.digest]  # it is its own twin, and synced now


def test_the_keys_lie_together_in_a_cluster() -> None:
    assert {key[: key.index("}") + 1] for key in KEYS} == {"{doorward:spool}"}
