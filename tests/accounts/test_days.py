"""Usage days: any zone, any instant, and the days on which clocks jump."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.accounts.days import Calendar, day_held_after_move, resets_at, usage_day

ZONES = st.sampled_from(sorted(available_timezones()))
INSTANTS = st.datetimes(datetime(2012, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))
MOMENT = timedelta(microseconds=1)
# What can go wrong at a reset (zone, an instant before it, when that day ends).
TURNS = [
    ("Africa/Cairo", "2026-04-23T12:00:00+02:00", "2026-04-24T01:00:00+03:00"),
    ("Asia/Beirut", "2026-03-28T12:00:00+02:00", "2026-03-29T01:00:00+03:00"),
    ("America/Santiago", "2026-09-05T12:00:00-04:00", "2026-09-06T01:00:00-03:00"),
    ("America/Havana", "2026-10-31T12:00:00-04:00", "2026-11-01T00:00:00-04:00"),
    ("America/Havana", "2026-11-01T00:30:00-04:00", "2026-11-02T00:00:00-05:00"),
    ("America/Havana", "2026-11-01T00:30:00-05:00", "2026-11-02T00:00:00-05:00"),
    ("Europe/Berlin", "2026-03-29T01:59:59+01:00", "2026-03-30T00:00:00+02:00"),
    ("Europe/Berlin", "2026-10-25T02:30:00+02:00", "2026-10-26T00:00:00+01:00"),
    ("Europe/Berlin", "2026-10-25T02:30:00+01:00", "2026-10-26T00:00:00+01:00"),
    ("Australia/Lord_Howe", "2026-10-04T01:00:00+10:30", "2026-10-05T00:00:00+11:00"),
    ("Pacific/Apia", "2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00"),
    ("Pacific/Kiritimati", "2026-06-01T23:59:59+14:00", "2026-06-02T00:00:00+14:00"),
    ("UTC", "2026-12-31T23:59:59+00:00", "2027-01-01T00:00:00+00:00"),
]
JUMPS = sorted({(zone, before) for zone, before, _ in TURNS})


@settings(max_examples=400, deadline=None, database=None)
@given(ZONES, INSTANTS)
def test_a_day_ends_after_now_in_a_later_day_and_not_a_moment_late(zone: str, now: datetime) -> None:
    turn = resets_at(Calendar(zone), now)
    assert turn > now
    assert usage_day(Calendar(zone), turn) > usage_day(Calendar(zone), now)
    assert usage_day(Calendar(zone), turn.astimezone(UTC) - MOMENT) == usage_day(Calendar(zone), now)


@settings(max_examples=200, deadline=None, database=None)
@given(ZONES, INSTANTS)
def test_the_reset_is_told_in_the_users_own_time(zone: str, now: datetime) -> None:
    turn = resets_at(Calendar(zone), now)
    assert turn.utcoffset() == turn.astimezone(UTC).astimezone(ZoneInfo(zone)).utcoffset()
    assert turn.date() == usage_day(Calendar(zone), turn)


@pytest.mark.parametrize(("zone", "before", "end"), TURNS)
def test_the_day_ends_where_the_clock_jumps(zone: str, before: str, end: str) -> None:
    assert resets_at(Calendar(zone), datetime.fromisoformat(before)).isoformat() == end


@pytest.mark.parametrize(("zone", "before"), JUMPS)
def test_each_local_date_begins_once_and_never_comes_back(zone: str, before: str) -> None:
    start = datetime.fromisoformat(before).astimezone(UTC)
    days = [usage_day(Calendar(zone), start + timedelta(minutes=30 * step)) for step in range(4 * 48)]
    begun = [day for at, day in enumerate(days) if at == 0 or days[at - 1] != day]
    assert begun == sorted(set(days))
    assert len(begun) in {4, 5}


def test_a_midnight_that_comes_twice_turns_the_day_once() -> None:
    # One minute into 7 November clocks went back to 23:01 of the 6th: the 7th had begun, and it went on.
    newfoundland = Calendar("America/St_Johns")
    first = datetime.fromisoformat("2010-11-07T00:00:00-02:30")
    days = [usage_day(newfoundland, first + timedelta(minutes=n)).day for n in (-1, 0, 1, 30, 59, 61, 120)]
    assert days == [6, 7, 7, 7, 7, 7, 7]
    # Asked of a zone that nothing is remembered of, in the hour that comes again.
    assert usage_day(Calendar("Canada/Newfoundland"), first + timedelta(minutes=30)).day == 7
    assert resets_at(newfoundland, first + timedelta(minutes=30)).isoformat() == "2010-11-08T00:00:00-03:30"


def test_a_jump_over_midnight_begins_the_day_where_the_clock_jumps() -> None:
    # 23:30 became 00:30 of the next day.
    toronto = Calendar("America/Toronto")
    jump = datetime.fromisoformat("1919-03-30T23:30:00-05:00")
    assert resets_at(toronto, jump - timedelta(hours=2)).isoformat() == "1919-03-31T00:30:00-04:00"
    assert usage_day(toronto, jump - MOMENT).day == 30
    assert usage_day(toronto, jump).day == 31


MOVES = st.tuples(ZONES, ZONES, INSTANTS)


@settings(max_examples=400, deadline=None, database=None)
@given(MOVES)
def test_a_move_keeps_the_day_and_brings_no_reset_much_earlier(move: tuple[str, str, datetime]) -> None:
    old, new, now = move
    before = Calendar(old)
    after = Calendar(new, *(day_held_after_move(before, new, now) or (None, None)))
    assert usage_day(after, now) == usage_day(before, now)
    assert now < resets_at(after, now)
    assert resets_at(before, now) - timedelta(hours=4) <= resets_at(after, now)
    assert resets_at(after, now) <= resets_at(before, now) + timedelta(hours=50)
    assert usage_day(after, resets_at(after, now)) > usage_day(after, now)


@settings(max_examples=200, deadline=None, database=None)
@given(st.lists(ZONES, min_size=2, max_size=8), INSTANTS, st.lists(st.integers(1, 100_000), min_size=7, max_size=7))
def test_however_one_moves_no_day_comes_back(zones: list[str], now: datetime, pauses: list[int]) -> None:
    calendar = Calendar(zones[0])
    begun = [usage_day(calendar, now)]
    for zone, pause in zip(zones[1:], pauses, strict=False):
        end = now + timedelta(seconds=pause)
        while (turn := resets_at(calendar, now).astimezone(UTC)) <= end:
            begun.append(usage_day(calendar, turn))
            now = turn
        now = end
        calendar = Calendar(zone, *(day_held_after_move(calendar, zone, now) or (None, None)))
        assert usage_day(calendar, now) == begun[-1]
    assert begun == sorted(set(begun))


def test_the_day_that_is_held_is_the_one_of_before() -> None:
    noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
    berlin = Calendar("Europe/Berlin")
    assert day_held_after_move(berlin, "Europe/Paris", noon) is None
    assert day_held_after_move(berlin, "Europe/Helsinki", noon) is None
    day, until = day_held_after_move(berlin, "Asia/Tokyo", noon) or pytest.fail("nothing is held")
    assert (day.isoformat(), until.isoformat()) == ("2026-06-01", "2026-06-02T15:00:00+00:00")
    assert resets_at(Calendar("Asia/Tokyo", day, until), noon).isoformat() == "2026-06-03T00:00:00+09:00"


def test_at_a_minute_to_midnight_there_and_back_wins_nothing() -> None:
    late = datetime(2026, 6, 1, 21, 59, tzinfo=UTC)
    berlin = Calendar("Europe/Berlin")
    athens = Calendar("Europe/Athens", *(day_held_after_move(berlin, "Europe/Athens", late) or (None, None)))
    assert usage_day(athens, late + timedelta(hours=2)) == usage_day(berlin, late)
    back = Calendar("Europe/Berlin", *(day_held_after_move(athens, "Europe/Berlin", late) or (None, None)))
    assert usage_day(back, late + timedelta(hours=20)) == usage_day(berlin, late)
