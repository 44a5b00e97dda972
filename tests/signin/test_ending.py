"""Signing out from afar: one's own other browsers, and somebody else's by whoever manages the account."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.database import db, transaction
from portal.core.errors import Forbidden, Invalid, NotFound
from portal.core.ids import new_id
from portal.signin.ending import end_sessions_of
from portal.signin.models import SignInSession, SignInStep
from portal.web.frame import Doorward
from tests.people import PASSWORD, actor_named, make_account
from tests.signin.phones import make_enrolled
from tests.signin.test_sessions import cookie, is_in, thief
from tests.visitor import Visitor

LATER = timedelta(minutes=5, seconds=1)


def browsers(app: Doorward, name: str, count: int) -> list[Visitor]:
    """So many browsers of one person, all signed in."""
    make_account(name)
    made = [Visitor(app.test_client()) for _ in range(count)]
    for browser in made:
        assert browser.sign_in(name).status == 200
    return made


def id_of(name: str) -> Account:
    """The person's record."""
    return db.session.scalars(select(Account).where(Account.username == name)).one()


def test_all_others_are_signed_out_and_this_one_goes_on(app: Doorward) -> None:
    here, *others = browsers(app, "alice", 4)
    kept = [cookie(other) for other in others]
    page = here.get("/account/sessions")
    assert page.text.count("This browser") == 1
    assert "Password" in page.text
    assert "3 other browsers are signed out" in here.send(page, to="/account/sessions/end-others").text
    assert is_in(here)
    assert not any(is_in(other) for other in others)
    assert not any(is_in(thief(app, value)) for value in kept)
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "sign_in.all_ended")).one()
    assert entry.actor_name == "alice"
    assert "end-others" not in here.get("/account/sessions").html  # nobody else is left


def test_others_who_owe_the_second_factor_begin_again(app: Doorward) -> None:
    phone, _ = make_enrolled("alice")
    here, other = Visitor(app.test_client()), Visitor(app.test_client())
    here.send(here.sign_in("alice"), {"code": phone.code(1)})
    Visitor(app.test_client()).send(other.sign_in("alice"), {"code": "000000"}, follow=False)
    half_done = other.sign_in("alice")
    assert half_done.path == "/sign-in/factor"
    clock.shift(timedelta(minutes=2))
    assert here.post("/account/sessions/end-others", {"csrf_token": token(here)}).status == 302
    assert db.session.scalars(select(SignInStep).where(SignInStep.step == "factor")).all() == []
    assert other.send(half_done, {"code": phone.code()}, follow=False).status != 200
    assert not is_in(other)


def token(visitor: Visitor) -> str:
    """The CSRF token of the visitor's pages."""
    page = visitor.get("/account/profile")
    return next(field.get("value") or "" for field in page.tree.iter("input") if field.get("name") == "csrf_token")


@pytest.mark.parametrize("act", ["end-others", "end"])
def test_ending_another_session_wants_a_fresh_proof(app: Doorward, act: str) -> None:
    here, other = browsers(app, "alice", 2)
    clock.shift(LATER)
    page = here.get("/account/sessions")
    to = next(form.get("action") or "" for form in page.forms() if (form.get("action") or "").endswith(f"/{act}"))
    led = here.client.post(
        to, data={"csrf_token": token(here)}, headers={"Referer": "http://localhost/account/sessions"}
    )
    assert led.headers["Location"] == "/account/reauth?next=/account/sessions&factor=0"
    assert is_in(other)
    asked = here.get(led.headers["Location"])
    assert "Nothing was done yet" in asked.text
    back = here.send(asked, {"password": PASSWORD})
    assert back.path == "/account/sessions"
    here.send(back, to=to)
    assert not is_in(other)
    assert is_in(here)


def test_signing_out_of_this_browser_asks_nothing(app: Doorward) -> None:
    (here,) = browsers(app, "alice", 1)
    clock.shift(LATER)
    here.sign_out()
    assert not is_in(here)


@pytest.mark.parametrize(("name", "record"), [("bob", "users"), ("tess", "staff"), ("max", "admins")])
def test_an_admin_ends_all_sessions_of_an_account(
    app: Doorward, person: Callable[..., Visitor], name: str, record: str
) -> None:
    ada = person("ada")
    theirs = browsers(app, name, 2)
    shown = ada.get(f"/admin/{record}/{id_of(name).id}")
    place = f"/admin/sessions/{id_of(name).id}/end"
    assert place in shown.links()
    page = ada.get(place)
    assert "2 browsers are signed out" in page.text
    assert ada.send(page).status == 422
    assert all(is_in(browser) for browser in theirs)
    done = ada.send(page, {"reason": "lost laptop"})
    assert done.path == shown.path
    assert "2 browsers are signed out" in done.text
    assert not any(is_in(browser) for browser in theirs)
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "sign_in.all_ended")).one()
    assert (entry.actor_name, entry.target_name, entry.reason) == ("ada", name, "lost laptop")
    assert theirs[0].sign_in(name).status == 200  # the account stays open


def test_nobody_is_signed_out_by_whoever_may_not(app: Doorward) -> None:
    for name in ("ada", "max", "bob", "tess"):
        make_account(name)
    make_account("una", permissions=["users.write"])
    (ada,) = browsers(app, "alice", 1)
    for who, whom, refusal in (("max", "bob", Forbidden), ("una", "tess", Forbidden), ("una", "ada", Forbidden)):
        with pytest.raises(refusal), transaction():
            end_sessions_of(actor_named(who).because("why not"), id_of(whom).id)
    with pytest.raises(Forbidden), transaction():
        end_sessions_of(actor_named("ada").because("my own"), id_of("ada").id)
    with pytest.raises(NotFound), transaction():
        end_sessions_of(actor_named("ada").because("nobody"), new_id())
    with pytest.raises(Invalid), transaction():
        end_sessions_of(actor_named("ada"), id_of("bob").id)
    assert is_in(ada)


def test_ended_twice_stays_ended_as_it_was(app: Doorward) -> None:
    here, _other = browsers(app, "alice", 2)
    here.send(here.get("/account/sessions"), to="/account/sessions/end-others")
    ended = db.session.scalars(select(SignInSession.ended_at).where(SignInSession.ended_at.is_not(None))).one()
    clock.shift(timedelta(minutes=1))
    assert here.post("/account/sessions/end-others", {"csrf_token": token(here)}).status == 302
    assert db.session.scalars(select(SignInSession.ended_at).where(SignInSession.ended_at.is_not(None))).one() == ended
