"""Staff who try more than their level and their case allow: every address of the desk that is about a user, walked."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, update

from portal.accounts.models import StaffMember, User
from portal.core import clock
from portal.core.database import db, transaction
from portal.support.models import CaseState, SupportCase
from tests.pages.conftest import House
from tests.pages.test_access import address_of, routes_of, token_of
from tests.pages.test_fields import guarded
from tests.people import open_case_for
from tests.visitor import Visitor

if TYPE_CHECKING:
    from portal.web.frame import Doorward

ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
# What is about a user and needs no case: notes, the mail that confirms, opening a case, handing it on; ending a look.
FREE = ("/staff/notes/", "/resend", "/staff/cases/", "/view/end", "/staff/deleted/")
FILLED = {
    "reason": "because",
    "why": "because",
    "field": "email",
    "amount": "5",
    "extra": "5",
    "until": "2030-01-01T00:00",
    "format": "csv",
    "starts": "now",
}


def tried(visitor: Visitor, app: Doorward, house: House, user: str) -> dict[str, tuple[int, str]]:
    """Send every form of the desk that is about this user and needs a case; answers status and where it leads."""
    found = {}
    filled = {**FILLED, "plan": str(house["plan"]), "csrf_token": token_of(visitor)}
    for method, route in routes_of(app):
        about = route.startswith("/staff/") and "<uuid:user_id>" in route and not any(part in route for part in FREE)
        if method == "POST" and about:
            address = re.sub("<uuid:user_id>", str(house[user]), route)
            log = str(house.get(f"{user}'s log", ""))
            address = address_of(address, house).replace(str(house["bob's log"]), log or str(house["bob's log"]))
            answer = visitor.client.post(address, data=filled)
            found[route] = answer.status_code, answer.headers.get("Location", "").partition("?")[0]
    return found


@ONE_DATABASE
def test_a_case_is_good_for_its_user_while_it_is_held_and_by_its_holder(
    app: Doorward, house: House, browser: Callable[[str], Visitor]
) -> None:
    alice, tara, before = db.session.get_one(User, house["alice"]), browser("tara"), guarded()
    led = f"/staff/cases/new/{house['bob']}"
    number = open_case_for("tara", alice)
    open_case_for("theo", db.session.get_one(User, house["bob"]))  # nor is another's case about the user good for it
    walked = tried(tara, app, house, "bob")
    assert len(walked) > 10
    assert {route: said for route, said in walked.items() if said != (302, led)} == {}
    for ending in ("idle", "waiting", "closed"):
        if ending == "idle":
            clock.shift(timedelta(minutes=61))
            tara = browser("tara")
        else:
            clock.shift(timedelta(0))
            values = {"state": CaseState(ending).value, "holder_id": None if ending == "waiting" else house["tara"]}
            with transaction():
                db.session.execute(update(SupportCase).where(SupportCase.number == number).values(**values))
        walked = tried(tara, app, house, "alice")
        led = f"/staff/cases/new/{house['alice']}"
        assert {route: said for route, said in walked.items() if said != (302, led)} == {}, ending
    assert guarded() == before


@ONE_DATABASE
def test_nobody_of_the_house_is_a_user_of_the_desk_and_no_thing_goes_by_anothers_name(
    app: Doorward, house: House, browser: Callable[[str], Visitor]
) -> None:
    tara, before = browser("tara"), guarded()
    for name in ("tim", "tara", "ada", "max"):
        walked = tried(tara, app, house, name)
        # Without a case the way leads to where one is opened; there nobody of the house is found.
        assert {said[0] for said in walked.values()} <= {302, 404}, name
        opened = tara.post(
            f"/staff/cases/new/{house[name]}", {"csrf_token": token_of(tara), **FILLED, "channel": "phone"}
        )
        assert opened.status == 404
    assert db.session.scalars(select(SupportCase.id).where(SupportCase.user_id == house["tim"])).all() == []
    open_case_for("tara", db.session.get_one(User, house["bob"]))
    address = f"/staff/acts/{house['bob']}/keys/" + str(house["alice's key"])
    assert tara.get(address).status == 404
    assert tara.post(address, {"csrf_token": token_of(tara), **FILLED}).status == 404
    assert guarded() == before


@ONE_DATABASE
def test_a_lowered_level_takes_back_at_once_what_a_case_and_a_reveal_opened(
    app: Doorward, house: House, browser: Callable[[str], Visitor]
) -> None:
    tara, record = browser("tara"), f"/staff/users/{house['bob']}"
    open_case_for("tara", db.session.get_one(User, house["bob"]))
    shown = tara.post(f"/staff/reveals/{house['bob']}/email", {"csrf_token": token_of(tara), **FILLED}, follow=True)
    assert shown.status == 200
    assert "bob@example.org" in tara.get(record).html
    with transaction():
        db.session.execute(update(StaffMember).where(StaffMember.account_id == house["tara"]).values(level=1))
    db.session.expire_all()
    assert "bob@example.org" not in tara.get(record).html
    before = guarded()
    walked = tried(tara, app, house, "bob")
    assert {route: said for route, said in walked.items() if said[0] != 403} == {}
    assert guarded() == before
