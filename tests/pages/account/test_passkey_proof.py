"""A passkey as the answer when one is asked again who one is, through the pages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.audit.events import REAUTH_DONE, REAUTH_FAILED
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.database import db, transaction
from portal.signin import throttle
from portal.signin.models import SignInSession
from portal.web.frame import Doorward
from tests.passkeys import enter, give_passkey, options_of
from tests.software_key import SoftwareKey
from tests.visitor import SeenPage, Visitor

WANTED = "/account/security/passkeys/new"
PLACE = "/account/security/passkeys/prove"


@pytest.fixture
def late(visitor: Visitor) -> tuple[Visitor, SoftwareKey, SeenPage]:
    """Alice, who signed in six minutes ago with her passkey, and is asked again."""
    _, key = give_passkey("alice")
    enter(visitor, key)
    clock.shift(timedelta(minutes=6))
    page = visitor.get(WANTED)
    assert page.path == "/account/reauth"
    return visitor, key, page


def show(visitor: Visitor, page: SeenPage, key: SoftwareKey) -> SeenPage:
    """Use the passkey on the page that asks."""
    answer = key.sign(options_of(visitor, page, PLACE))
    return visitor.send(page, {"credential": answer}, to=PLACE)


def events() -> list[str]:
    """What was recorded of proofs."""
    told = (REAUTH_DONE.name, REAUTH_FAILED.name)
    query = select(AuditEntry.event).where(AuditEntry.event.in_(told)).order_by(AuditEntry.at)
    return list(db.session.scalars(query))


def test_it_leads_on_under_another_secret(app: Doorward, late: tuple[Visitor, SoftwareKey, SeenPage]) -> None:
    visitor, key, page = late
    stale = visitor.client.get_cookie("doorward")
    assert show(visitor, page, key).path == WANTED
    session = db.session.scalars(select(SignInSession)).one()
    assert session.proven_at is not None
    assert clock.now() - session.entered_at < timedelta(minutes=1)
    assert clock.now() - session.proven_at < timedelta(minutes=1)
    assert stale is not None
    before = app.test_client()
    before.set_cookie("doorward", stale.value)
    assert before.get("/account").status_code == 302
    assert events() == [REAUTH_DONE.name]


def test_an_answer_to_another_challenge_proves_nothing(late: tuple[Visitor, SoftwareKey, SeenPage]) -> None:
    visitor, key, page = late
    own = options_of(visitor, page, PLACE)
    form = visitor.get("/forgotten").form_to("")
    token = next(one for one in form.iter("input") if one.get("name") == "csrf_token").get("value") or ""
    other = visitor.client.post("/sign-in/passkey/options", headers={"X-CSRFToken": token}).get_json()
    for asked in (own, other):
        again = visitor.send(page, {"credential": key.sign(asked)}, to=PLACE)
        assert again.path == "/account/reauth"
    assert visitor.get(WANTED).path == "/account/reauth"


def test_the_passkey_of_somebody_else_proves_nothing(late: tuple[Visitor, SoftwareKey, SeenPage]) -> None:
    visitor, key, page = late
    _, others = give_passkey("bob")
    again = show(visitor, page, others)
    assert again.path == "/account/reauth"
    assert "This passkey was not accepted." in again.text
    others.handle = key.handle
    assert show(visitor, again, others).path == "/account/reauth"
    assert events() == [REAUTH_FAILED.name] * 2
    assert show(visitor, again, key).path == WANTED


def test_the_fifth_wrong_one_ends_the_session(late: tuple[Visitor, SoftwareKey, SeenPage]) -> None:
    visitor, _, page = late
    for _ in range(4):
        assert show(visitor, page, SoftwareKey(handle=b"x" * 16)).path == "/account/reauth"
    answer = SoftwareKey(handle=b"x" * 16).sign(options_of(visitor, page, PLACE))
    out = visitor.send(page, {"credential": answer, "next": WANTED}, to=PLACE)
    assert out.path == "/sign-in"
    assert "you are signed out" in out.text
    assert visitor.get("/account").path == "/sign-in"
    assert events() == [REAUTH_FAILED.name] * 5


def test_wrong_passwords_and_wrong_passkeys_are_counted_together(late: tuple[Visitor, SoftwareKey, SeenPage]) -> None:
    visitor, _, page = late
    for _ in range(2):
        assert show(visitor, page, SoftwareKey(handle=b"x" * 16)).path == "/account/reauth"
        assert visitor.send(visitor.get("/account/reauth"), {"password": "wrong"}).status == 422
    assert show(visitor, page, SoftwareKey(handle=b"x" * 16)).path == "/sign-in"


def test_an_answer_is_good_once(late: tuple[Visitor, SoftwareKey, SeenPage]) -> None:
    visitor, key, page = late
    answer = key.sign(options_of(visitor, page, PLACE))
    assert visitor.send(page, {"credential": answer}, to=PLACE).path == WANTED
    clock.shift(timedelta(minutes=12))
    page = visitor.get(WANTED)
    assert visitor.send(page, {"credential": answer}, to=PLACE).path == "/account/reauth"


def test_an_address_gets_so_many_challenges_and_no_more(late: tuple[Visitor, SoftwareKey, SeenPage]) -> None:
    visitor, _, page = late
    with transaction():
        for _ in range(throttle.MOST["challenge"] - 2):
            throttle.count_failure(throttle.counter_of("challenge", "127.0.0.1"))
    options_of(visitor, page, PLACE)
    token = page.form_to(PLACE)[0].get("value") or ""
    assert visitor.post(f"{PLACE}/options", {"csrf_token": token}).status == 429


def test_who_has_none_is_not_asked_for_one(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    clock.shift(timedelta(minutes=6))
    page = alice.get(WANTED)
    assert page.path == "/account/reauth"
    assert "passkey" not in page.html.replace(WANTED, "")
    token = page.form_to("/account/reauth")[0].get("value") or ""
    assert alice.post(f"{PLACE}/options", {"csrf_token": token}).status in {400, 404}


def test_it_leads_nowhere_else(late: tuple[Visitor, SoftwareKey, SeenPage]) -> None:
    visitor, key, page = late
    answer = key.sign(options_of(visitor, page, PLACE))
    sent = visitor.send(page, {"credential": answer, "next": "//evil.example/"}, to=PLACE, follow=False)
    assert sent.response.headers["Location"] == "/account/security"
