"""The timeline of a user and what a staff member did: whole, in order, and masked for the level."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import select

from portal.accounts.lifecycle import suspend
from portal.accounts.models import Account
from portal.audit import events
from portal.audit.models import AuditEntry
from portal.audit.record import Target, record
from portal.core import clock
from portal.core.actor import nobody
from portal.core.database import db, transaction
from portal.core.errors import Forbidden, Malformed, NotFound
from portal.insight.activity import looks_at_me
from portal.keys.managing import revoke_key_of
from portal.keys.models import ApiKey
from portal.support.history import own_deeds
from portal.support.models import SupportCase
from portal.support.notes import add_note
from portal.support.reveals import reveal
from portal.support.timeline import SORTS, timeline_of
from portal.web.frame import Doorward
from tests.conftest import signed_in
from tests.people import acting, actor_named, make_account, open_case_for
from tests.usage.test_refusal_reading import keep_refusal

HOME = "198.51.100.77"


@pytest.fixture
def alice(app: Doorward, key_of: Callable[..., str]) -> Account:
    """To whom one thing of each sort happened, a minute after the other; the newest is last."""
    for name in ("tess", "theo", "tara", "ada", "carl"):
        make_account(name, **({"permissions": ["credits.write"]} if name == "carl" else {}))
    alice, bob = make_account("alice"), make_account("bob")
    key_of(alice, "deploy")
    key_id = db.session.scalars(select(ApiKey.id)).one()
    ada, theirs = actor_named("ada").because("a riddle"), Target("user", alice.id, "alice")
    at_home = msgspec.structs.replace(actor_named("alice"), address=HOME)
    happened: list[Callable[[], object]] = [
        lambda: record(at_home, events.SIGNED_IN, theirs, {"method": "password"}),
        lambda: record(nobody(HOME), events.SIGN_IN_FAILED, theirs, {"why": "password"}, result="refused"),
        lambda: keep_refusal(alice, "DAILY_LIMIT_REACHED"),
        lambda: open_case_for("theo", alice),
        lambda: add_note(actor_named("theo"), alice.id, "Likes <b>tea</b>."),
        lambda: record(actor_named("theo"), events.RECORD_VIEWED, theirs),
        lambda: revoke_key_of(ada, alice.id, key_id),
        lambda: suspend(ada, alice.id),
        lambda: suspend(ada, bob.id),
    ]
    for minute, happens in enumerate(happened):
        clock.shift(timedelta(minutes=minute))
        if minute in {2, 3}:
            happens()
            continue
        with transaction():
            happens()
    return alice


def test_everything_that_happened_stands_in_order_and_as_the_level_may_see_it(alice: Account, app: Doorward) -> None:
    moments = timeline_of(actor_named("tess"), alice.id).items
    assert [one.sort for one in moments] == ["change", "change", "note", "case", "refusal", "sign_in", "sign_in"]
    assert [one.at for one in moments] == sorted((one.at for one in moments), reverse=True)
    assert (moments[0].who, moments[0].reason, moments[1].details) == ("ada", "a riddle", "deploy · " + _prefix())
    assert (moments[2].said, moments[2].case, moments[3].who) == ("Likes <b>tea</b>.", moments[3].case, "theo")
    assert {one.address for one in moments[:5]} == {""}, "a colleague's address is nobody's matter"
    for name, seen in (("tess", ""), ("theo", "198.51.•••"), ("tara", "198.51.•••"), ("ada", HOME)):
        assert {one.address for one in timeline_of(actor_named(name), alice.id).items[5:]} == {seen}, name
    with transaction():
        reveal(acting("theo", alice), alice.id, "address")
    assert {one.address for one in timeline_of(actor_named("theo"), alice.id).items if one.sort == "sign_in"} == {HOME}
    sorts = {sort: {one.sort for one in timeline_of(actor_named("ada"), alice.id, sort=sort).items} for sort in SORTS}
    assert sorts.pop("") == set(sorts) - {"look"}
    assert all(found == {sort} for sort, found in sorts.items()), sorts
    assert "note" not in {one.sort for one in timeline_of(actor_named("carl"), alice.id).items}
    looks = timeline_of(actor_named("ada"), alice.id, sort="look").items
    assert sum(one.who == "ada" for one in looks) >= len(SORTS), "and each look at it is one more"
    with pytest.raises(Forbidden):
        timeline_of(actor_named("bob"), alice.id)
    with pytest.raises(NotFound):
        timeline_of(actor_named("tess"), actor_named("theo").id or alice.id)
    page = signed_in(app, "tess").get(f"/staff/users/{alice.id}/timeline")
    assert "Likes &lt;b&gt;tea&lt;/b&gt;." in page.html
    assert "198.51" not in page.html
    assert HOME in signed_in(app, "ada").get(f"/admin/timeline/{alice.id}?sort=sign_in").text


def _prefix() -> str:
    return db.session.scalars(select(ApiKey.prefix)).one()


def test_it_is_read_page_by_page_there_and_back(alice: Account) -> None:
    ada = actor_named("ada")
    whole = timeline_of(ada, alice.id).items
    first = timeline_of(ada, alice.id, size=3)
    second = timeline_of(ada, alice.id, first.next_cursor, size=3)
    third = timeline_of(ada, alice.id, second.next_cursor, size=3)
    assert [*first.items, *second.items, *third.items] == whole
    assert (first.previous_cursor, third.next_cursor) == (None, None)
    back = timeline_of(ada, alice.id, third.previous_cursor, size=3)
    assert back.items == second.items
    assert timeline_of(ada, alice.id, back.previous_cursor, size=3).items == first.items
    with pytest.raises(Malformed):
        timeline_of(ada, alice.id, first.next_cursor, sort="note")
    with transaction():  # many at the same instant, in two of the lists at once
        for _ in range(7):
            record(actor_named("alice"), events.PROFILE_EDITED, Target("user", alice.id), {"changed": ["zone"]})
    seen, cursor = [], None
    while True:
        page = timeline_of(ada, alice.id, cursor, sort="change", size=2)
        seen += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len(seen) == 9


def test_a_staff_member_sees_what_they_did_themselves(alice: Account, app: Doorward) -> None:
    deeds = own_deeds(actor_named("theo")).items
    assert [deed.entry.event for deed in deeds] == ["record.viewed", "note.added", "case.opened"]
    assert {(deed.user_id, deed.username) for deed in deeds} == {(alice.id, "alice")}
    assert [deed.entry.event for deed in own_deeds(actor_named("theo"), sort="look").items] == ["record.viewed"]
    assert len(own_deeds(actor_named("theo"), sort="act").items) == 2
    assert own_deeds(actor_named("tara")).items == []
    with pytest.raises(Forbidden):
        own_deeds(actor_named("ada"))
    page = signed_in(app, "theo").get("/staff/history")
    assert f"/staff/users/{alice.id}" in page.links()
    assert "They called." in page.text
    assert str(db.session.scalars(select(AuditEntry.case).where(AuditEntry.event == "case.opened")).one()) in page.text
    assert "signed in" not in page.text


def test_admins_read_the_cases_about_a_user_and_the_user_is_told_in_which_one_somebody_looked(
    alice: Account, app: Doorward
) -> None:
    number = str(db.session.scalars(select(SupportCase.number)).one())
    ada, bob = signed_in(app, "ada"), actor_named("bob")
    page = ada.get(f"/admin/cases/{alice.id}")
    assert "They called." in page.text
    case = ada.get(f"/admin/cases/{alice.id}/{number}")
    assert ("opened a case" in case.text, case.forms()[-1].get("action")) == (True, "/sign-out")
    assert f"/admin/cases/{alice.id}/{number}" in ada.get(f"/admin/timeline/{alice.id}").links()
    assert ada.get(f"/admin/cases/{bob.id}/{number}").status == 404
    assert signed_in(app, "carl").get(f"/admin/cases/{alice.id}").status == 403
    clock.shift(timedelta(minutes=10))
    signed_in(app, "theo").get(f"/staff/users/{alice.id}")
    looks = looks_at_me(actor_named("alice")).items
    assert [(deed.who, deed.reason) for deed in looks[:2]] == [
        ("Theo, support level 2", "They called."),
        ("Ada, admin", None),
    ]
