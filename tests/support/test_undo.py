"""What was done to an account can be taken back for a day: once, on the same grounds, while nothing overtook it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from portal.accounts.lifecycle import reactivate, suspend
from portal.accounts.models import Account, User
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import CaseNeeded, Conflict, Forbidden, Invalid, NotFound, PortalError
from portal.support.undo import can_undo, look_at_undoing, undo
from portal.usage.credits import adjust_credits, balance_of, grant_credits
from portal.usage.limits import limits_of
from portal.usage.models import CreditEntry, Plan
from portal.usage.plan_changes import change_plan
from portal.web.frame import Doorward
from tests.conftest import signed_in
from tests.people import acting, actor_named, make_account
from tests.races import race

BOSS = operator_actor().because("a test")


@pytest.fixture
def alice(app: Doorward) -> Account:
    """To whom it is done."""
    for name in ("tess", "theo", "tara", "ada", "max", "bob"):
        make_account(name)
    return make_account("alice")


def entry_of(event: str) -> AuditEntry:
    """The latest entry of an event."""
    query = select(AuditEntry).where(AuditEntry.event == event)
    return db.session.scalars(query.order_by(AuditEntry.at.desc(), AuditEntry.id.desc()).limit(1)).one()


def do(act: Callable[[], object], event: str) -> UUID:
    """Do something, and answer its entry."""
    with transaction():
        act()
    return entry_of(event).id


def plan(name: str) -> UUID:
    return db.session.scalars(select(Plan.id).where(Plan.name == name)).one()


def test_a_suspension_is_undone_once_by_whoever_may_suspend(alice: Account) -> None:
    tara = acting("tara", alice)
    entry = do(lambda: suspend(tara, alice.id), "account.suspended")
    for name, wrong in (
        ("tess", Forbidden),
        ("theo", Forbidden),
        ("max", Forbidden),
        ("ada", Invalid),
        ("tara", CaseNeeded),
    ):
        with pytest.raises(wrong), transaction():
            undo(actor_named(name), entry)
    with pytest.raises(CaseNeeded), transaction():
        undo(acting("tara", db.session.scalars(select(User).where(User.username == "bob")).one()), entry)
    assert can_undo(tara, [db.session.get_one(AuditEntry, entry)]) == {entry}
    assert can_undo(actor_named("tess"), [db.session.get_one(AuditEntry, entry)]) == set()
    assert "sign in again" in look_at_undoing(tara, entry).will
    with transaction():
        undo(tara.because("A mistake."), entry)
    assert db.session.get_one(User, alice.id, populate_existing=True).state == "active"
    undone = entry_of("act.undone")
    assert undone.facts == {"entry": str(entry), "event": "account.suspended"}
    assert (undone.reason, undone.case, undone.target_id) == ("A mistake.", tara.case, alice.id)
    assert can_undo(tara, [db.session.get_one(AuditEntry, entry)]) == set()
    with pytest.raises(Conflict, match="undone already"), transaction():
        undo(tara, entry)


def test_what_was_overtaken_or_is_a_day_old_or_is_no_act_stays(alice: Account) -> None:
    first = do(lambda: suspend(BOSS, alice.id), "account.suspended")
    with transaction():
        reactivate(BOSS, alice.id)
    second = do(lambda: suspend(BOSS, alice.id), "account.suspended")
    with pytest.raises(Conflict, match="Something else"), transaction():
        undo(BOSS, first)
    both = [db.session.get_one(AuditEntry, one) for one in (first, second)]
    assert can_undo(BOSS, both) == {second}
    clock.shift(timedelta(hours=24, seconds=5))
    with pytest.raises(Conflict, match="24 hours"), transaction():
        undo(BOSS, second)
    assert can_undo(BOSS, both) == set()
    for nothing in (entry_of("account.reactivated").id, alice.id):
        with pytest.raises(NotFound):
            look_at_undoing(BOSS, nothing)


def test_a_plan_goes_back_to_the_one_before(alice: Account) -> None:
    tara = acting("tara", alice)
    now = do(lambda: change_plan(tara, alice.id, plan("plus")), "account.plan_changed")
    assert "free" in look_at_undoing(tara, now).will
    with transaction():
        undo(tara, now)
    assert limits_of(BOSS, alice.id).plan.name == "free"
    later = do(lambda: change_plan(BOSS, alice.id, plan("plus"), starts="next_day"), "account.plan_changed")
    with transaction():
        undo(tara, later)
    assert limits_of(BOSS, alice.id).coming is None
    again = do(lambda: change_plan(BOSS, alice.id, plan("plus")), "account.plan_changed")
    do(lambda: change_plan(BOSS, alice.id, plan("free")), "account.plan_changed")
    with pytest.raises(Conflict), transaction():
        undo(tara, again)


def test_credits_are_moved_the_other_way_within_the_same_bounds(alice: Account) -> None:
    tara = acting("tara", alice)
    for amount in (1001, -1001, 0):
        with pytest.raises(Invalid) as told, transaction():
            adjust_credits(tara, alice.id, amount)
        assert set(told.value.fields) == {"amount"}
    for wrong, who in ((Forbidden, acting("theo", alice)), (CaseNeeded, actor_named("tara").because("x"))):
        with pytest.raises(wrong), transaction():
            adjust_credits(who, alice.id, 5)
    with pytest.raises(Forbidden), transaction():
        grant_credits(tara, alice.id, 5)
    large = do(lambda: grant_credits(BOSS, alice.id, 5000), "credits.granted")
    with pytest.raises(Invalid), transaction():
        undo(tara, large)  # no way around the cap
    small = do(lambda: adjust_credits(tara, alice.id, -1000), "credits.adjusted")
    with transaction():
        undo(tara, small)
    assert balance_of(BOSS, alice.id).total == 5000
    with transaction():
        adjust_credits(BOSS, alice.id, -1)
    with pytest.raises(Conflict, match="only 4,999"), transaction():
        undo(BOSS, large)
    assert [one.amount for one in db.session.scalars(select(CreditEntry).order_by(CreditEntry.created_at))] == [
        5000,
        -1000,
        1000,
        -1,
    ]


def test_of_many_at_once_one_undoes(app: Doorward, alice: Account) -> None:
    entry, user_id = do(lambda: grant_credits(BOSS, alice.id, 10), "credits.granted"), alice.id
    with transaction():
        grant_credits(BOSS, alice.id, 500)

    def go(_: int) -> str:
        with app.app_context():
            try:
                with transaction():
                    undo(BOSS, entry)
                return "done"
            except PortalError as error:
                return type(error).__name__
            finally:
                db.session.remove()

    assert sorted(race(6, go)) == ["Conflict"] * 5 + ["done"]
    assert balance_of(BOSS, user_id).total == 500


def test_from_the_pages_of_the_desk_and_the_console(app: Doorward, alice: Account) -> None:
    entry = do(lambda: suspend(BOSS, alice.id), "account.suspended")
    tara, ada = signed_in(app, "tara"), signed_in(app, "ada")
    asked = tara.get(f"/staff/undo/{entry}")
    assert asked.path == f"/staff/cases/new/{alice.id}"
    page = tara.send(asked, {"reason": "They called."})
    assert page.path == f"/staff/undo/{entry}"
    assert "alice can sign in again" in page.text
    assert "It is undone." in tara.send(page).text
    assert "undone already" in tara.get(f"/staff/undo/{entry}").text
    other = do(lambda: suspend(BOSS, alice.id), "account.suspended")
    page = ada.get(f"/admin/audit/{other}")
    assert f"/admin/undo/{other}" in page.links()
    page = ada.get(f"/admin/undo/{other}")
    assert ada.send(page, {"reason": ""}).status == 422
    assert ada.send(page, {"reason": "no spam"}).path == f"/admin/users/{alice.id}"
    assert f"/admin/undo/{other}" not in ada.get(f"/admin/audit/{other}").links()
    acted = tara.get(f"/staff/acts/{alice.id}/suspend")
    assert "can be undone until" in tara.send(acted).text
    link = next(link for link in tara.get("/staff/history").links() if link.startswith("/staff/undo/"))
    assert "It is undone." in tara.send(tara.get(link)).text
