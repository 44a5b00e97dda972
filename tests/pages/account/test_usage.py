"""/account/usage: what was used, why a call was refused, and the choice of warnings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from portal.accounts.models import User
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.keys.models import ApiKey
from portal.usage.credits import grant_credits
from portal.usage.models import Plan
from portal.usage.plans import PlanTerms, create_plan
from tests.conftest import Machine
from tests.people import make_account
from tests.usage.test_refusal_reading import keep_refusal
from tests.visitor import SeenPage, Visitor

Browser = Callable[[str], Visitor]
MachineOf = Callable[..., Machine]
KeyOf = Callable[..., str]


@pytest.fixture(autouse=True)
def noon(app: object) -> None:
    """No test runs over a midnight."""
    clock.shift(datetime.fromisoformat("2031-05-10T12:00:00+00:00") - datetime.now(UTC))


def rows_of(page: SeenPage, label: str) -> list[str]:
    """The words of each row of the table with this name."""
    region = next(
        part for part in page.tree.iter("div") if (part.get("aria-label"), part.get("role")) == (label, "region")
    )
    return [" ".join(" ".join(row.itertext()).split()) for row in region.iter("tr")][1:]


def test_an_empty_page_says_what_goes_there(person: Callable[..., Visitor]) -> None:
    page = person("alice").get("/account/usage")
    for words in ("Nothing used in these 30 days", "No call was refused", "No credits so far", "100left of 100"):
        assert words in page.text
    assert "Lost leases" not in page.text


def test_what_was_used_stands_there_by_model_and_key(machine: MachineOf, key_of: KeyOf, browser: Browser) -> None:
    alice = make_account("alice", time_zone="Europe/Berlin")
    gate, laptop, phone = machine(), key_of(alice, "laptop"), key_of(alice, "phone")
    with transaction():
        grant_credits(operator_actor().because("a present"), alice.id, 50)
    for key, model, units, credits in ((laptop, "m-1", 6, 0), (laptop, "m-2", 1, 7), (phone, "m-1", 3, 0)):
        cost = {"conversations": units, "credits": credits}
        assert gate.post("/keys/verify", {"key": key, "cost": cost, "model": model}).get_json()["valid"]
    page = browser("alice").get("/account/usage")
    assert rows_of(page, "By model") == ["m-1 90 % 9 0", "m-2 10 % 1 7"]
    assert rows_of(page, "By key") == [f"laptop {laptop[:10]}… 70 % 7 7", f"phone {phone[:10]}… 30 % 3 0"]
    assert [row.split(" ")[0] for row in rows_of(page, "Credits")] == ["Spent", "Granted"]
    assert rows_of(page, "Conversations per day")[0] == "10 May 2031 10"
    assert rows_of(page, "Conversations per month")[0] == "May 2031 10"
    assert "90left of 100" in page.text
    months = browser("alice").get("/account/usage/months.json").response.get_json()
    assert (len(months["x"]), months["series"][0]["values"][-1]) == (12, 10)


def test_the_span_is_chosen_in_the_address(machine: MachineOf, key_of: KeyOf, browser: Browser) -> None:
    alice = make_account("alice")
    machine().post("/keys/verify", {"key": key_of(alice), "model": "m-1"})
    clock.shift(clock.offset() + timedelta(days=10))
    page = browser("alice")
    assert "Nothing used in these 7 days" in page.get("/account/usage?days=7").text
    for days in ("30", "90", "nonsense", "-1", "99999999"):
        assert rows_of(page.get(f"/account/usage?days={days}"), "By model") == ["m-1 100 % 1 0"]


def test_a_refused_call_tells_its_rule_numbers_key_client_and_end(
    machine: MachineOf, key_of: KeyOf, browser: Browser
) -> None:
    alice = make_account("alice", daily_limit_override=2, time_zone="Europe/Berlin")
    gate, key = machine(name="gate"), key_of(alice, "laptop")
    answers = [gate.post("/keys/verify", {"key": key, "ip": "203.0.113.7"}).get_json() for _ in range(5)]
    page = browser("alice")
    usage = page.get("/account/usage")
    told = page.get(next(link for link in usage.links() if answers[-1]["decision_id"] in link))
    assert told.title == "The daily limit is reached"
    for words in (
        "would have gone past the conversations that may be started in a day",
        f"laptop {key[:10]}…",
        "gate",
        "203.0.113.7",
        "3 times in this minute",
        "11 May 2031, 00:00:00",
    ):
        assert words in told.text
    assert rows_of(told, "The numbers")[1:4] == ["Used of the day 2 2", "Daily limit 2 2", "Left of the day 0 0"]
    assert "Clears" in told.text
    clock.shift(clock.offset() + timedelta(days=1))
    assert "Cleared It cleared" in page.get(told.path).text


@pytest.mark.parametrize(
    ("code", "facts", "words"),
    [
        ("KEY_REVOKED", {"revoked_at": "2031-05-09T12:00:00+00:00"}, ["Key revoked 1 day ago", "stays revoked"]),
        ("KEY_EXPIRED", {"expires_at": "2031-05-09T12:00:00+00:00"}, ["Key expired 1 day ago", "renew the key"]),
        ("ACCOUNT_DELETED", {}, ["has to be undone first"]),
        ("ACCOUNT_SUSPENDED", {}, ["ask support why"]),
        ("IP_NOT_ALLOWED", {"networks": ["198.51.100.0/24", "2001:db8::/32"]}, ["198.51.100.0/24, 2001:db8::/32"]),
        ("SCOPE_MISSING", {"scopes_missing": ["chat", "image"]}, ["Missing scopes chat, image"]),
        ("RATE_LIMITED", {"rate_per_minute": 30, "clears_at": "2031-05-10T12:00:40+00:00"}, ["Calls a minute allowed"]),
        ("KEY_LIMIT_REACHED", {"key_limit": 5, "key_used": 5}, ["The key's own limit 5", "Used with this key 5"]),
        ("DAILY_LIMIT_REACHED", {"limit": 100, "used": 99}, ["Used of the day 99"]),
        ("CREDITS_EXHAUSTED", {"credits": 4, "asked": {"conversations": 1, "credits": 9}}, ["Credits there were 4"]),
        ("SOMETHING_NEW", {}, ["Refused", "ask support"]),
    ],
)
def test_every_code_is_explained(code: str, facts: dict[str, Any], words: list[str], browser: Browser) -> None:
    found = keep_refusal(make_account("alice"), code, **facts)
    page = browser("alice").get(f"/account/usage/refusals/{found}")
    assert page.status == 200
    for part in words:
        assert part in page.text


def test_a_key_that_is_gone_and_none_are_told_apart(browser: Browser, key_of: KeyOf) -> None:
    alice = make_account("alice")
    key_of(alice)
    with transaction():
        key = db.session.query(ApiKey).one()
    without, gone = keep_refusal(alice), keep_refusal(alice, key_id=alice.id)
    named = keep_refusal(alice, key_id=key.id)
    page = browser("alice")
    seen = [page.get(f"/account/usage/refusals/{one}").text for one in (without, gone, named)]
    assert ["without a key" in seen[0], "a key that is gone" in seen[1], "test key" in seen[2]] == [True] * 3


def test_a_decision_id_is_looked_up(machine: MachineOf, key_of: KeyOf, browser: Browser) -> None:
    alice, bob = make_account("alice"), make_account("bob")
    own, others = keep_refusal(alice), keep_refusal(bob)
    allowed = machine().post("/keys/verify", {"key": key_of(alice)}).get_json()["decision_id"]
    page = browser("alice")
    asked = page.get("/account/usage/refusals", query_string={"q": f" {own} "})
    assert asked.path == f"/account/usage/refusals/{own}"
    assert "This call was allowed" in page.get("/account/usage/refusals", query_string={"q": allowed}).text
    for typed in (str(others), "nonsense", "ok_forged", "x" * 3000):
        told = page.get("/account/usage/refusals", query_string={"q": typed})
        assert (told.status, "No refusal has this decision ID" in told.text) == (200, True)


def test_refusals_and_ledger_are_paged(browser: Browser) -> None:
    alice = make_account("alice")
    for number in range(52):
        keep_refusal(alice, last_at=clock.now() - timedelta(minutes=number))
        with transaction():
            grant_credits(operator_actor().because(f"present {number}"), alice.id, 1)
    page = browser("alice")
    for address, label in (("/account/usage/refusals", "Refused calls"), ("/account/usage/ledger", "Credits")):
        first = page.get(address)
        assert len(rows_of(first, label)) == 50
        assert len(rows_of(page.get(next(link for link in first.links() if "cursor=" in link)), label)) == 2
    assert page.get("/account/usage/ledger?cursor=forged").status == 400


def test_warnings_by_mail_are_switched_here(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    page = alice.get("/account/usage")
    box = next(field for field in page.tree.iter("input") if field.get("name") == "by_mail")
    assert box.get("checked") is not None
    off = alice.send(page, {"by_mail": []}, to="/account/usage/warnings")
    assert "No more warnings by mail" in off.text
    assert db.session.query(User).one().warn_by_mail is False
    on = alice.send(off, {"by_mail": "y"}, to="/account/usage/warnings")
    assert "You are warned by mail" in on.text
    assert db.session.query(User).one().warn_by_mail is True


def test_a_banner_stands_on_every_own_page_from_80_percent_on(
    machine: MachineOf, key_of: KeyOf, browser: Browser
) -> None:
    alice = make_account("alice", daily_limit_override=10)
    gate, key = machine(), key_of(alice)
    page = browser("alice")
    for units, words in ((7, None), (1, "8 of your 10 conversations of today are used"), (2, "are used up")):
        gate.post("/keys/verify", {"key": key, "cost": {"conversations": units}})
        for address in ("/account", "/account/usage", "/account/keys", "/account/profile"):
            text = page.get(address).text
            assert "See your usage" in text if words else "See your usage" not in text, (units, address)
            assert words is None or words in text
    assert page.get("/account/nowhere").status == 404


def test_boost_and_coming_plan_are_shown(browser: Browser) -> None:
    with transaction():
        made: Plan = create_plan(operator_actor(), PlanTerms("studio", 500))
    make_account(
        "alice",
        boost_extra=50,
        boost_until=clock.now() + timedelta(days=3),
        next_plan_id=made.id,
        next_plan_from=clock.now() + timedelta(days=20),
    )
    page = browser("alice")
    for address in ("/account", "/account/usage"):
        text = page.get(address).text
        assert "150left of 150" in text
        assert "+50 a day, ends in 3 days" in text
        assert "studio, in 3 weeks" in text or "studio, in 20 days" in text
    clock.shift(clock.offset() + timedelta(days=21))
    text = browser("alice").get("/account").text  # the session of before is over
    assert "500left of 500" in text
    assert "Next plan" not in text


def test_after_a_change_of_zone_the_day_that_goes_on_is_told(browser: Browser) -> None:
    held = clock.now() + timedelta(hours=30)
    make_account(
        "alice", time_zone="America/Los_Angeles", held_day=clock.now().date(), held_until=held, daily_limit_override=5
    )
    page = browser("alice").get("/account")
    assert "today goes on until that midnight" in page.text
    assert "Resets in 1 day" in page.text
