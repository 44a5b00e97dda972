"""What each level does to an account, through its pages: previews that say what will be, and who is out of reach."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from sqlalchemy import select

from portal.accounts.lifecycle import reactivate, suspend
from portal.accounts.models import Account, User
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.database import db, transaction
from portal.core.errors import CaseNeeded, Conflict, Forbidden, NotFound
from portal.core.ids import new_id
from portal.keys.managing import revoke_key_of
from portal.signin.confirmation import resend_confirmation
from portal.signin.ending import end_sessions_of
from portal.signin.rescue import unlock
from portal.signin.reset import start_reset
from portal.usage.boosts import boost_limit, end_boost
from portal.usage.credits import adjust_credits
from portal.usage.plan_changes import change_plan, take_back_plan
from portal.usage.plans import default_plan
from portal.usage.today_reset import reset_today
from portal.web.frame import Doorward
from tests.conftest import signed_in
from tests.letters import the_letter
from tests.people import acting, actor_named, make_account, open_case_for
from tests.visitor import Visitor


@pytest.fixture
def alice(app: Doorward) -> Account:
    """To whom it is done."""
    for name in ("tess", "theo", "tara", "ada"):
        make_account(name)
    return make_account("alice")


def test_the_desk_acts_on_no_staff_and_no_admin(alice: Account) -> None:
    tara = acting("tara", alice)
    others = db.session.scalars(select(Account).where(Account.username.in_(["theo", "ada", "tara"]))).all()
    for other in others:
        who = msgspec.structs.replace(tara, case_of=other.id)  # even if there were a case about them
        for act in (
            lambda who, id: suspend(who, id),
            lambda who, id: reactivate(who, id),
            lambda who, id: unlock(who, id),
            lambda who, id: start_reset(who, id),
            lambda who, id: end_sessions_of(who, id),
            lambda who, id: reset_today(who, id),
            lambda who, id: adjust_credits(who, id, 5),
            lambda who, id: change_plan(who, id, default_plan().id),
            lambda who, id: take_back_plan(who, id),
            lambda who, id: boost_limit(who, id, 5, clock.now()),
            lambda who, id: end_boost(who, id),
            lambda who, id: revoke_key_of(who, id, new_id()),
            lambda who, id: resend_confirmation(who, id),
        ):
            with pytest.raises((Forbidden, NotFound)), transaction():
                act(who, other.id)
            with pytest.raises((CaseNeeded, Forbidden, NotFound)), transaction():
                act(tara, other.id)


@pytest.mark.parametrize("setting", [{"smtp_url": "smtp://127.0.0.1:9"}])
def test_the_link_of_a_reset_goes_to_the_user_and_to_nobody_else(app: Doorward, alice: Account) -> None:
    open_case_for("theo", alice)
    theo = signed_in(app, "theo")
    page = theo.get(f"/staff/acts/{alice.id}/reset-password")
    assert "A mail goes to a•••@e•••.org with a link, good once and for an hour." in page.text
    done = theo.send(page)
    assert "A reset link is on its way." in done.text
    letter = the_letter("reset")
    assert letter.to == "alice@example.org"
    assert "/reset/" in letter.values["link"]
    assert "/reset/" not in done.html


def test_where_no_mail_leaves_the_desk_is_told_so(alice: Account) -> None:
    with pytest.raises(Conflict, match="hand a link over"), transaction():
        start_reset(acting("theo", alice), alice.id)


def test_a_walk_through_the_acts_of_the_levels(app: Doorward, alice: Account, key_of: Callable[..., str]) -> None:
    key_of(alice, "deploy")
    for _ in range(3):
        Visitor(app.test_client()).sign_in("alice", "wrong")
    with transaction():
        db.session.get_one(User, alice.id).email_verified_at = None
    tess, tara, address = signed_in(app, "tess"), signed_in(app, "tara"), f"/staff/acts/{alice.id}"
    acts = [link for link in tess.get(f"/staff/users/{alice.id}").links() if link.startswith("/staff/acts/")]
    assert acts == [f"{address}/resend"]
    page = tess.get(acts[0])
    assert "on its way" in tess.send(page, {"reason": "It never came."}).text
    open_case_for("tara", alice)

    def do(what: str, preview: str, **fields: str) -> str:
        page = tara.get(f"{address}/{what}")
        assert page.code("reason") == "They called."
        if fields:
            page = tara.send(page, fields)
        assert preview in page.text, page.text
        return tara.send(page).text

    assert "Nothing keeps the user" in do("unlock", "3 tries that went wrong are forgotten")
    assert "no tries that went wrong" in tara.get(f"{address}/unlock").text
    assert "signed out" in do("end-sessions", "0 browsers are signed out at once.")
    assert "The credits are adjusted: 40 there are now. It can be undone until" in do(
        "credits", "The credits go from 0 to 40.", amount="40"
    )
    assert "There are only 40 credits" in tara.send(tara.get(f"{address}/credits"), {"amount": "-41"}).text
    for amount in ("1001", "0", "x", "1_0", ""):
        assert tara.send(tara.get(f"{address}/credits"), {"amount": amount}).status == 422
    assert "The daily limit is raised" in do("boost", "The daily limit is 150 instead of 100", extra="50")
    for wrong in ({"extra": "-5"}, {"extra": "5", "until": "9999-12-31T23:59"}, {"extra": "5", "until": "x"}):
        assert tara.send(tara.get(f"{address}/boost"), wrong).status == 422
    assert "The boost is over" in do("boost/end", "The daily limit is 100 from the next call on")
    plus = next(
        one.get("value") or ""
        for one in tara.get(f"{address}/plan").tree.iter("option")
        if "".join(one.itertext()) == "plus"
    )
    assert "plus holds from the next call on. It can be undone" in do(
        "plan", "Conversations a day: 100, then", plan=plus
    )
    assert "The account is suspended" in do("suspend", "1 API key is refused from the next call on.")
    assert "The account is active again" in do("reactivate", "1 API key works again.")
    (revoke,) = [link for link in tara.get(f"/staff/users/{alice.id}").links() if "/keys/" in link]
    page = tara.get(revoke)
    assert "The key “deploy”" in page.text
    assert "The key is revoked." in tara.send(page).text
    done = db.session.scalars(select(AuditEntry).where(AuditEntry.actor_name == "tara", AuditEntry.case.is_not(None)))
    assert {one.event for one in done} >= {
        "account.unlocked",
        "sign_in.all_ended",
        "credits.adjusted",
        "account.limit_boosted",
        "account.boost_ended",
        "account.plan_changed",
        "account.suspended",
        "account.reactivated",
        "key.revoked",
    }
    assert actor_named("tara").case is None
