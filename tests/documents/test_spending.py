"""docs/spending.md: every shell block runs as written and answers what the page shows; its tables are the code's."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from portal.accounts.days import Calendar, day_held_after_move, resets_at, usage_day
from portal.api.keys import MOST_QUESTIONS, VerifyShape
from portal.api.usage import LeaseShape
from portal.keys.leaked import MOST_A_MINUTE
from portal.repeats.service import KEPT as ANSWERS_KEPT
from portal.usage.leases import LONGEST_S, SHORTEST_S
from portal.usage.refunds import LONGEST
from portal.usage.refusal_reading import KEPT as REFUSALS_KEPT
from portal.usage.refusal_reading import RULES
from portal.usage.spending import MARKS
from portal.web.frame import Doorward
from tests.documents.guide import REST, Guide
from tests.people import make_account
from tests.servers import Server

ITS_OWN = {"id", "decision_id", "key_id", "lease_id", "user_id", "request_id"}
ITS_OWN |= {"resets_at", "clears_at", "expires_at", "retry_after", "time_zone"}
GUIDE = Guide("docs/spending.md", ITS_OWN)


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # of the codes on both, tests/api speaks
def test_every_block_answers_what_the_page_shows(app: Doorward, served: Server, tmp_path: Path) -> None:
    make_account("alice")
    assert GUIDE.run(served, tmp_path) > 20


def test_differences_are_found() -> None:
    shown = {"id": "a", "code": "VALID", "daily": {"used": 1}, "items": [1]}
    assert GUIDE.differences(shown, {"id": "b", "code": "VALID", "daily": {"used": 1}, "items": [1]}) == []
    assert GUIDE.differences({"code": "VALID", REST: REST}, shown) == []
    for wrong in (
        {**shown, "id": None},
        {**shown, "id": "ok_signed"},
        {**shown, "code": "KEY_REVOKED"},
        {**shown, "daily": {"used": 2}},
        {**shown, "more": 1},
        {**shown, "items": [1, 2]},
        {"code": "VALID"},
    ):
        assert GUIDE.differences(shown, wrong), wrong


def test_the_codes_are_the_code_s_and_in_its_order() -> None:
    assert GUIDE.column("code | meaning | what to do") == [f"`{code}`" for code in ("VALID", "KEY_UNKNOWN", *RULES)]


def test_every_field_of_a_question_is_told() -> None:
    said = re.findall(r"`(\w+)`", " ".join(GUIDE.column("asked | meaning | left out")))
    assert said == [field.name for field in msgspec.structs.fields(VerifyShape)]
    leases = GUIDE.text.partition("## Leases")[2]
    rows = leases.partition("\n| asked |")[2].partition("\n\n")[0].splitlines()[2:]
    told = re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in rows))
    assert sorted(told) == sorted(field.name for field in msgspec.structs.fields(LeaseShape))


def test_every_field_of_an_answer_is_told() -> None:
    told = set(re.findall(r"`(\w+)`", " ".join(GUIDE.column("answered | meaning"))))
    shown: set[str] = set()
    for _, sort, text in GUIDE.blocks():
        if sort == "json" and '"valid"' in text and "lease_id" not in text:
            shown |= set(json.loads(text))
    assert shown - told == {REST, "items", "expires_at"}
    assert told <= shown


def test_the_numbers_are_the_code_s() -> None:
    assert (LONGEST.days, REFUSALS_KEPT.days, ANSWERS_KEPT.total_seconds() / 3600) == (30, 30, 24)
    assert (SHORTEST_S, LONGEST_S, LeaseShape().ttl_s, MOST_QUESTIONS, MOST_A_MINUTE, MARKS) == (
        5,
        300,
        60,
        100,
        30,
        (80, 100),
    )


def test_the_example_of_a_change_of_zone_is_what_happens() -> None:
    before, berlin = Calendar("Europe/Berlin"), ZoneInfo("Europe/Berlin")
    moved_at = datetime(2026, 11, 21, 20, 0, tzinfo=berlin)
    heading = "to | the reset comes at, there | that is, in Berlin | the day after is"
    assert len(GUIDE.column(heading)) == 4
    for place, name in enumerate(GUIDE.column(heading)):
        after = Calendar(name, *(day_held_after_move(before, name, moved_at) or (None, None)))
        reset = resets_at(after, moved_at)
        assert usage_day(after, moved_at).isoformat() == "2026-11-21"
        assert [
            f"{reset:%-d %B %H:%M}",
            f"{reset.astimezone(berlin):%-d %B %H:%M}",
            f"{usage_day(after, reset):%-d %B}",
        ] == [GUIDE.column(heading, at)[place] for at in (1, 2, 3)]
