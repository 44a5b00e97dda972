"""Signing in with a passkey, through the pages: alone, with every check that a password meets too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from portal.accounts.models import Account, State
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.database import db, transaction
from portal.signin import throttle
from portal.signin.models import SignInSession, SignInStep
from portal.web.frame import Doorward
from tests.passkeys import enter, give_passkey, options_of
from tests.people import make_account
from tests.races import race
from tests.signin.telling import told
from tests.software_key import SoftwareKey
from tests.visitor import Visitor

HOMES = {"alice": "/account", "tess": "/staff", "ada": "/admin"}
NO = "This passkey was not accepted."


def test_each_kind_signs_in_and_lands_at_home(app: Doorward) -> None:
    for name, home in HOMES.items():
        account, key = give_passkey(name)
        assert enter(Visitor(app.test_client()), key).path == home
        session = db.session.scalars(select(SignInSession).where(SignInSession.account_id == account.id)).one()
        assert session.method == "passkey"
        assert session.proven_at is not None
        done = db.session.scalars(select(AuditEntry).where(AuditEntry.actor_id == account.id)).all()
        assert [(one.event, one.facts) for one in done] == [("sign_in.done", {"method": "passkey"})]


def test_one_lands_where_one_was_led_from_and_nowhere_else(app: Doorward) -> None:
    _, key = give_passkey("alice")
    visitor = Visitor(app.test_client())
    page = visitor.get("/account/keys")
    assert page.path == "/sign-in"
    answer = key.sign(options_of(visitor, page, "/sign-in/passkey"))
    assert visitor.send(page, {"credential": answer}, to="/sign-in/passkey").path == "/account/keys"
    visitor = Visitor(app.test_client())
    sent = enter(visitor, key, "/sign-in?next=//evil.example/", follow=False)
    assert sent.response.headers["Location"] == "/account"


def test_the_page_of_its_own_signs_in_too(visitor: Visitor) -> None:
    _, key = give_passkey("alice")
    assert enter(visitor, key, "/sign-in/passkey").path == "/account"


def test_unknown_locked_invited_and_deleted_answer_alike(app: Doorward) -> None:
    keys = {
        "carol": give_passkey("carol", state=State.INVITED.value)[1],
        "erina": give_passkey("erina", state=State.DELETED.value)[1],
        "dylan": give_passkey("dylan", locked_at=clock.now())[1],
    }
    keys["frank"] = SoftwareKey(handle=b"x" * 16)
    answers = {name: told(enter(Visitor(app.test_client()), key), name) for name, key in keys.items()}
    assert answers["frank"][0] == 422
    assert NO in answers["frank"][1]
    assert {name for name, answer in answers.items() if answer != answers["frank"]} == set()
    assert db.session.scalar(select(func.count()).select_from(SignInSession)) == 0


def test_a_suspension_is_told_to_the_owner(visitor: Visitor) -> None:
    _, key = give_passkey("alice", state=State.SUSPENDED.value)
    page = enter(visitor, key)
    assert page.status == 422
    assert "This account is suspended" in page.text
    assert visitor.get("/account", follow=False).status == 302


@pytest.mark.parametrize("setting", [{"confirm_email": True}])
def test_an_address_must_be_confirmed_first(visitor: Visitor) -> None:
    _, key = give_passkey("alice", email_verified_at=None)
    assert "Confirm your e-mail address first" in enter(visitor, key).text


def test_a_passkey_of_before_a_suspension_opens_again_after_it(app: Doorward) -> None:
    alice, key = give_passkey("alice", state=State.SUSPENDED.value)
    assert enter(Visitor(app.test_client()), key).status == 422
    with transaction():
        db.session.get_one(Account, alice.id).state = State.ACTIVE.value
    assert enter(Visitor(app.test_client()), key).path == "/account"


def test_an_answer_in_another_browser_opens_nothing(app: Doorward) -> None:
    _, key = give_passkey("alice")
    owner, thief = Visitor(app.test_client()), Visitor(app.test_client())
    page = owner.get("/sign-in")
    answer = key.sign(options_of(owner, page, "/sign-in/passkey"))
    theirs = thief.get("/sign-in")
    assert thief.send(theirs, {"credential": answer}, to="/sign-in/passkey").status == 422
    options_of(thief, theirs, "/sign-in/passkey")
    assert thief.send(theirs, {"credential": answer}, to="/sign-in/passkey").status == 422
    assert thief.get("/account", follow=False).status == 302
    assert owner.send(page, {"credential": answer}, to="/sign-in/passkey").path == "/account"


def test_an_answer_sent_twice_opens_one_session(app: Doorward) -> None:
    _, key = give_passkey("alice")
    visitor = Visitor(app.test_client())
    page = visitor.get("/sign-in")
    answer = key.sign(options_of(visitor, page, "/sign-in/passkey"))
    cookie = visitor.client.get_cookie("doorward")
    assert cookie is not None
    data = {"credential": answer, "csrf_token": page.form_to("/sign-in/passkey")[0].get("value") or ""}

    def send(_: int) -> int:
        client = app.test_client()
        client.set_cookie("doorward", cookie.value)
        return client.post("/sign-in/passkey", data=data).status_code

    assert Counter(race(20, send)) == {302: 1, 422: 19}
    assert db.session.scalar(select(func.count()).select_from(SignInSession)) == 1


def test_a_challenge_of_five_minutes_ago_is_over(visitor: Visitor) -> None:
    _, key = give_passkey("alice")
    page = visitor.get("/sign-in")
    answer = key.sign(options_of(visitor, page, "/sign-in/passkey"))
    clock.shift(timedelta(minutes=5, seconds=1))
    over = visitor.send(page, {"credential": answer}, to="/sign-in/passkey")
    assert (over.status, over.path) == (422, "/sign-in/passkey")
    assert "That took too long" in over.text


def test_wrong_ones_slow_the_address_down(app: Doorward, visitor: Visitor) -> None:
    _, key = give_passkey("alice")
    stranger = SoftwareKey(handle=b"x" * 16)
    assert enter(visitor, stranger).status == 422
    counter = throttle.counter_of("address", "127.0.0.1")
    with transaction():
        for _ in range(98):
            throttle.count_failure(counter)
    assert enter(visitor, stranger).status == 422
    page = enter(visitor, key)
    assert page.status == 429
    assert 0 < int(page.response.headers["Retry-After"]) <= 900
    make_account("bob")
    assert Visitor(app.test_client()).sign_in("bob").status == 429
    clock.shift(throttle.WINDOW + timedelta(seconds=1))
    assert enter(visitor, key).path == "/account"


def test_an_address_gets_so_many_challenges_and_no_more(visitor: Visitor) -> None:
    page = visitor.get("/sign-in")
    with transaction():
        for _ in range(throttle.MOST["challenge"] - 1):
            throttle.count_failure(throttle.counter_of("challenge", "127.0.0.1"))
    options_of(visitor, page, "/sign-in/passkey")
    token = page.form_to("/sign-in/passkey")[0].get("value") or ""
    assert visitor.post("/sign-in/passkey/options", {"csrf_token": token}).status == 429
    assert db.session.scalar(select(func.count()).select_from(SignInStep)) == 1


def test_a_challenge_wants_the_token_of_the_browser(visitor: Visitor) -> None:
    assert visitor.post("/sign-in/passkey/options").status == 400
    assert visitor.client.get("/sign-in/passkey/options").status_code == 405
    page = Visitor(visitor.client.application.test_client()).get("/sign-in")
    token = page.form_to("/sign-in/passkey")[0].get("value") or ""
    assert visitor.post("/sign-in/passkey/options", {"csrf_token": token}).status == 400
    assert db.session.scalar(select(func.count()).select_from(SignInStep)) == 0


def test_without_scripts_the_page_says_what_is_missing(visitor: Visitor) -> None:
    page = visitor.send(visitor.get("/sign-in"), to="/sign-in/passkey")
    assert (page.status, page.path) == (422, "/sign-in/passkey")
    assert "Passkeys need scripts: allow them for this site." in page.text
    assert "/sign-in" in page.links()


@pytest.mark.parametrize("text", ["\0", "{", "[" * 50_000, "x" * 400_000, '{"id":' * 3000, "null", "1e999", "\ud800"])
def test_what_is_sent_is_never_too_strange(text: str, visitor: Visitor) -> None:
    page = visitor.get("/sign-in")
    options_of(visitor, page, "/sign-in/passkey")
    data = text.encode("utf-8", "replace").decode()
    assert visitor.send(page, {"credential": data}, to="/sign-in/passkey").status in {413, 422}


def test_signing_in_ends_the_session_that_the_browser_had(app: Doorward, person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    stale = alice.client.get_cookie("doorward")
    _, key = give_passkey("bob")
    form = alice.get("/forgotten").form_to("")
    token = next(one for one in form.iter("input") if one.get("name") == "csrf_token").get("value") or ""
    asked = alice.client.post("/sign-in/passkey/options", headers={"X-CSRFToken": token}).get_json()
    data = {"credential": key.sign(asked), "csrf_token": token}
    assert alice.client.post("/sign-in/passkey", data=data).status_code == 302
    assert "bob" in alice.get("/account/profile").html
    assert stale is not None
    before = app.test_client()
    before.set_cookie("doorward", stale.value)
    assert before.get("/account").status_code == 302
