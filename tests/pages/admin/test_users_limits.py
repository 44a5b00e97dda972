"""/admin/users: the plan, the boost and the credits of a user, as an admin changes them with a browser."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from portal.accounts.models import Account, User
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.usage.credits import balance_of, grant_credits
from portal.usage.limits import limits_of
from portal.usage.models import CreditEntry
from tests.conftest import Machine
from tests.moments import stand_at
from tests.people import make_account
from tests.visitor import SeenPage, Visitor

Person = Callable[..., Visitor]
NUMBERS = ["0", "-1", "1.5", "1000001", str(2**53), str(2**63), "1e308", "abc", "", "1_000", "٣"]


@pytest.fixture
def bob(app: object) -> Account:
    """Bob in Tokyo, whom Ada looks after."""
    return make_account("bob", time_zone="Asia/Tokyo")


@pytest.fixture
def ada(person: Person) -> Visitor:
    """Ada in Berlin."""
    return person("ada", time_zone="Europe/Berlin")


def record_of(visitor: Visitor, account: Account) -> SeenPage:
    """The user's record."""
    return visitor.get(f"/admin/users/{account.id}")


def act(visitor: Visitor, account: Account, what: str, **fields: str) -> SeenPage:
    """Fill one form of the record and send it."""
    return visitor.send(record_of(visitor, account), fields, to=f"/admin/users/{account.id}/{what}")


def option(page: SeenPage, words: str) -> str:
    """The value of the option with these words."""
    found = {"".join(one.itertext()).strip(): one.get("value") or "" for one in page.tree.iter("option")}
    return found[words]


def test_another_plan_holds_from_the_next_call(
    ada: Visitor, bob: Account, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    key = key_of(bob)
    assert act(ada, bob, "plan", plan=option(record_of(ada, bob), "plus")).code("reason-error")
    page = act(ada, bob, "plan", plan=option(record_of(ada, bob), "plus"), reason="why")
    assert "The plan is changed: plus holds from the next call on." in page.text
    assert machine().post("/keys/verify", {"key": key}).get_json()["user"]["plan"] == "plus"


def test_a_later_plan_is_offered_and_told_in_the_admins_zone_and_taken_back(ada: Visitor, bob: Account) -> None:
    stand_at("2026-11-21T10:00:00+01:00")
    page = record_of(ada, bob)
    day = option(page, "the user's next day, 21 Nov 2026, 16:00 (Europe/Berlin)")
    assert option(page, "the user's next month, 30 Nov 2026, 16:00 (Europe/Berlin)") == "next_month"
    page = act(ada, bob, "plan", plan=option(page, "plus"), starts=day, reason="why")
    assert "plus holds from 21 Nov 2026, 16:00 (Europe/Berlin) on." in page.text
    assert "Coming plan plus from 21 Nov 2026, 16:00" in page.text
    assert "Plan free" in page.text
    back = ada.get(f"/admin/acts/{bob.id}/plan/take-back")
    assert "The plan stays free; plus does not begin on 21 Nov 2026, 16:00" in back.text
    page = ada.send(back, {"reason": "why not"})
    assert "The plan stays as it is" in page.text
    assert "Coming plan plus" not in page.text


def test_a_plan_that_is_none_and_a_start_that_is_none_are_told_beside_the_field(ada: Visitor, bob: Account) -> None:
    for wrong in ({"plan": str(bob.id)}, {"plan": "free"}, {"starts": "yesterday"}):
        page = act(ada, bob, "plan", reason="why", **wrong)
        assert page.status == 422, wrong
        assert page.code(f"{next(iter(wrong))}-error")
    assert limits_of(operator_actor(), bob.id).coming is None


def test_a_boost_is_typed_in_the_admins_zone_shown_and_ended(ada: Visitor, bob: Account) -> None:
    stand_at("2026-11-21T10:00:00+01:00")
    given = {"boost-extra": "50", "boost-until": "2026-12-01T00:00", "boost-reason": "a workshop"}
    page = act(ada, bob, "boost", **given)
    assert "The daily limit is raised until 1 Dec 2026, 00:00 (Europe/Berlin)." in page.text
    assert "+50 a day until 1 Dec 2026, 00:00 (Europe/Berlin)" in page.text
    assert "Limit now 150" in page.text
    page = ada.send(ada.get(f"/admin/acts/{bob.id}/boost/end"), {"reason": "over"})
    assert "The boost is over" in page.text
    assert "Limit now 100" in page.text


def test_nonsense_in_a_boost_is_told_beside_its_field_and_nothing_is_changed(ada: Visitor, bob: Account) -> None:
    good = {"boost-extra": "50", "boost-reason": "why"}
    past, far = (clock.now() + timedelta(days=days) for days in (-1, 92))
    times = [
        "",
        "tomorrow",
        "0001-01-01T00:00",
        "9999-12-31T23:59",
        *(f"{time:%Y-%m-%dT%H:%M}" for time in (past, far)),
    ]
    wrongs = [("extra", number) for number in NUMBERS] + [("until", time) for time in times] + [("reason", "")]
    for field, typed in wrongs:
        page = act(ada, bob, "boost", **{**good, f"boost-{field}": typed})
        assert page.status == 422, (field, typed)
        assert page.code(f"boost-{field}-error")
        assert page.code("boost-extra") == {**good, f"boost-{field}": typed}["boost-extra"]
    assert limits_of(operator_actor(), bob.id).boost is None


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Niue", "Europe/Berlin"])
def test_the_offered_end_of_a_boost_is_a_week_from_now_by_the_admins_clock(
    person: Person, bob: Account, zone: str
) -> None:
    ada = person("ada", time_zone=zone)
    page = record_of(ada, bob)
    offered = (clock.now() + timedelta(days=7)).astimezone(ZoneInfo(zone))
    assert page.code("boost-until") in {f"{offered - timedelta(minutes=late):%Y-%m-%dT%H:%M}" for late in (0, 1)}
    assert act(ada, bob, "boost", **{"boost-extra": "5", "boost-reason": "why"}).status == 200


def test_credits_are_granted_and_adjusted_with_a_reason_and_stand_in_the_ledger(ada: Visitor, bob: Account) -> None:
    page = act(ada, bob, "credits", **{"credit-amount": "50", "credit-reason": "lost parcel"})
    assert "The credits are granted." in page.text
    page = act(ada, bob, "adjust", **{"adjust-amount": "-20", "adjust-reason": "counted twice"})
    assert "The credits are adjusted." in page.text
    ledger = ada.get(f"/admin/users/{bob.id}/ledger")
    for words in ("lost parcel", "+50", "counted twice", "-20", "ada"):
        assert words in ledger.text
        assert words in page.text
    assert "Credits 30" in ledger.text


def test_more_than_there_is_cannot_be_taken(ada: Visitor, bob: Account) -> None:
    page = act(ada, bob, "adjust", **{"adjust-amount": "-1", "adjust-reason": "why"})
    assert page.status == 422
    assert "There are only 0 credits to take from." in page.text
    assert page.code("adjust-amount") == "-1"


@pytest.mark.parametrize(("what", "prefix"), [("credits", "credit"), ("adjust", "adjust")])
def test_nonsense_amounts_are_told_beside_the_field_and_nothing_is_changed(
    ada: Visitor, bob: Account, what: str, prefix: str
) -> None:
    with transaction():
        grant_credits(operator_actor().because("a gift"), bob.id, 5)
    refused = [number for number in NUMBERS if what == "credits" or number != "-1"]
    for number in [*refused, "-1000001", str(-(2**63))]:
        page = act(ada, bob, what, **{f"{prefix}-amount": number, f"{prefix}-reason": "why"})
        assert page.status == 422, number
        assert page.code(f"{prefix}-amount-error")
        assert page.code(f"{prefix}-amount") == number
    page = act(ada, bob, what, **{f"{prefix}-amount": "1", f"{prefix}-reason": " "})
    assert page.status == 422
    assert page.code(f"{prefix}-reason-error")
    assert balance_of(operator_actor(), bob.id).total == 5
    assert len(db.session.scalars(select(CreditEntry)).all()) == 1


def test_nonsense_in_the_own_limit_is_told_beside_the_field_and_nothing_is_changed(ada: Visitor, bob: Account) -> None:
    address = f"/admin/users/{bob.id}/edit"
    for number in NUMBERS:
        if number in {"0", ""}:  # nothing a day, and what the plan says: both may be meant
            continue
        page = ada.send(ada.get(address), {"daily_limit_override": number})
        assert page.status == 422, number
        assert page.code("daily_limit_override-error")
    assert limits_of(operator_actor(), bob.id).override is None
    for number, kept in (("0", 0), ("", None)):
        ada.send(ada.get(address), {"daily_limit_override": number})
        assert limits_of(operator_actor(), bob.id).override == kept


def test_the_ledger_has_pages(ada: Visitor, bob: Account) -> None:
    with transaction():
        for number in range(60):
            grant_credits(operator_actor().because(f"gift {number:02}."), bob.id, 1)
    first = ada.get(f"/admin/users/{bob.id}/ledger")
    address = next(link.get("href") or "" for link in first.tree.iter("a") if link.get("rel") == "next")
    second = ada.get(address)
    seen = [[number for number in range(60) if f"gift {number:02}." in page.text] for page in (first, second)]
    assert seen == [list(range(10, 60)), list(range(10))]
    assert ada.get(f"/admin/users/{bob.id}/ledger?cursor=nonsense").status == 400


def test_an_empty_ledger_says_what_stands_here(ada: Visitor, bob: Account) -> None:
    assert "Every change of the credits stands here with its reason." in ada.get(f"/admin/users/{bob.id}/ledger").text


def test_a_user_moved_by_an_admin_keeps_the_day(ada: Visitor, bob: Account) -> None:
    stand_at("2026-06-01T12:00:00+00:00")
    address = f"/admin/users/{bob.id}/edit"
    assert ada.send(ada.get(address), {"time_zone": "Europe/Berlin"}).status == 200
    kept = db.session.get_one(User, bob.id)
    assert kept.held_day is None  # Tokyo's midnight comes first, Berlin's seven hours later
    assert ada.send(ada.get(address), {"time_zone": "Asia/Tokyo"}).status == 200
    kept = db.session.get_one(User, bob.id, populate_existing=True)
    assert kept.held_day is not None


def test_a_key_is_revoked_after_a_page_that_says_what_happens(
    ada: Visitor, bob: Account, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    secret, gate = key_of(bob), machine()
    page = record_of(ada, bob)
    address = next(link for link in page.links() if f"{bob.id}/keys/" in link)
    told = ada.get(address)
    assert "It cannot be undone." in told.text
    assert gate.post("/keys/verify", {"key": secret}).get_json()["code"] == "VALID"
    assert "The key is revoked." in ada.send(told, {"reason": "found in the open"}).text
    assert gate.post("/keys/verify", {"key": secret}).get_json()["code"] == "KEY_REVOKED"
    assert "Calls with this key are refused already." in ada.get(address).text
    assert not [link for link in record_of(ada, bob).links() if f"{bob.id}/keys/" in link]


def test_a_key_is_revoked_only_through_its_own_user(ada: Visitor, bob: Account, key_of: Callable[..., str]) -> None:
    key_of(bob)
    carol = make_account("carol")
    address = next(link for link in record_of(ada, bob).links() if f"{bob.id}/keys/" in link)
    assert ada.get(address.replace(str(bob.id), str(carol.id))).status == 404


def test_only_who_may_sees_the_forms(person: Person, bob: Account) -> None:
    reader = person("reader", permissions=["users.read"])
    record = f"/admin/users/{bob.id}"
    assert reader.get(f"{record}/ledger").status == 200
    actions = [form.get("action") for form in reader.get(record).forms()]
    assert not [action for action in actions if action and action.startswith(record)]
    for what in ("plan", "boost", "credits", "adjust"):
        assert reader.post(f"{record}/{what}").status in {400, 401, 403}
    for what in ("plan/take-back", "boost/end", "reactivate", "reset-today"):
        assert reader.get(f"/admin/acts/{bob.id}/{what}").status == 403
