"""A forgotten password: one answer for all, one link, and everything of before dead. Through the pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from portal.accounts.models import Account, State
from portal.audit.models import AuditEntry
from portal.core import clock, crypto
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.mail.models import OutboxMail
from portal.signin import throttle
from portal.signin.rescue import hand_out_reset_link
from portal.signin.reset import start_reset
from portal.web.frame import Doorward
from tests.people import PASSWORD, make_account
from tests.races import race
from tests.signin.phones import account_of
from tests.visitor import SeenPage, Visitor

NEW = "other quiet lanterns 7"


def ask(visitor: Visitor, name: str) -> SeenPage:
    """Say that a password is forgotten."""
    return visitor.send(visitor.get("/forgotten"), {"name": name})


def letters() -> list[dict[str, Any]]:
    """What waits in the outbox: template, address and values."""
    rows = db.session.scalars(select(OutboxMail).order_by(OutboxMail.created_at)).all()
    opened = [crypto.unseal(row.sealed or "", place=f"outbox:{row.id}") for row in rows]
    return [{"template": row.template, **letter} for row, letter in zip(rows, opened, strict=True)]


def mailed_path() -> str:
    """The path of the latest mailed link."""
    link: str = letters()[-1]["values"]["link"]
    assert link.startswith("http://localhost:8000/reset/")
    return link.removeprefix("http://localhost:8000")


def set_password(visitor: Visitor, path: str, password: str = NEW) -> SeenPage:
    """Open the link and fill its form."""
    return visitor.send(visitor.get(path), {"password": password, "again": password})


def test_every_name_gets_the_same_answer(app: Doorward) -> None:
    make_account("alice")
    make_account("carol", state=State.SUSPENDED.value)
    make_account("dylan", state=State.INVITED.value)
    make_account("erina", state=State.DELETED.value)
    names = ["alice", "carol", "dylan", "erina", "frank", "frank@example.org", "alice@example.org", "%", "\u202e"]
    pages = [ask(Visitor(app.test_client()), name) for name in names]
    plain = [re.sub(r'value="[^"]*"', "", page.html) for page in pages]
    assert {page.status for page in pages} == {200}
    assert set(plain) == {plain[0]}
    assert len({tuple(sorted(page.response.headers.keys())) for page in pages}) == 1
    assert [letter["to"] for letter in letters()] == ["alice@example.org"] * 2


def test_a_reset_changes_the_password_and_opens_no_session(visitor: Visitor) -> None:
    make_account("alice")
    ask(visitor, "alice")
    page = set_password(visitor, mailed_path())
    assert page.path == "/sign-in"
    assert visitor.get("/account", follow=False).status == 302
    assert visitor.sign_in("alice", PASSWORD).status == 422
    assert visitor.sign_in("alice", NEW).path == "/account"


def test_looking_at_a_link_spends_nothing_and_using_it_does(app: Doorward, visitor: Visitor) -> None:
    make_account("alice")
    ask(visitor, "alice")
    path = mailed_path()
    for _ in range(3):
        assert Visitor(app.test_client()).get(path).status == 200
    assert visitor.client.head(path).status_code == 200
    set_password(visitor, path)
    again = visitor.get(path)
    assert again.status == 404
    assert "does not work any more" in again.text


def test_a_wrong_new_password_leaves_the_link_good(visitor: Visitor) -> None:
    make_account("alice")
    ask(visitor, "alice")
    path = mailed_path()
    assert set_password(visitor, path, "short").status == 422
    assert set_password(visitor, path, "alice in the lanterns").status == 422
    assert visitor.send(visitor.get(path), {"password": NEW, "again": NEW + "x"}).status == 422
    assert set_password(visitor, path).path == "/sign-in"


def test_the_person_is_told_by_mail_and_it_is_on_record(visitor: Visitor) -> None:
    alice = make_account("alice")
    ask(visitor, "alice")
    set_password(visitor, mailed_path())
    assert [(letter["template"], letter["to"]) for letter in letters()] == [
        ("reset", "alice@example.org"),
        ("notice", "alice@example.org"),
    ]
    entries = db.session.scalars(select(AuditEntry).order_by(AuditEntry.at)).all()
    assert [(one.event, one.target_id) for one in entries] == [
        ("password.reset_started", alice.id),
        ("password.reset", alice.id),
    ]


def test_asking_often_is_slowed_for_names_that_exist_and_not(app: Doorward) -> None:
    make_account("alice")
    for name in ("alice", "frank"):
        statuses = [ask(Visitor(app.test_client()), name).status for _ in range(6)]
        assert statuses == [200] * 5 + [429], name
    assert len(letters()) == 5


def test_a_reset_lets_a_throttled_person_in_at_once(visitor: Visitor) -> None:
    make_account("alice")
    with transaction():
        for name in ("alice", "alice@example.org"):
            for _ in range(20):
                throttle.count_failure(throttle.counter_of("name", name))
    assert visitor.sign_in("alice").status == 429
    ask(visitor, "alice@example.org")
    set_password(visitor, mailed_path())
    assert visitor.sign_in("alice", NEW).path == "/account"


def test_a_link_of_an_hour_ago_is_dead(visitor: Visitor) -> None:
    make_account("alice")
    ask(visitor, "alice")
    clock.shift(timedelta(hours=1, seconds=1))
    assert visitor.get(mailed_path()).status == 404


def test_whoever_is_signed_in_may_follow_a_link_too(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    with transaction():
        start_reset(operator_actor(), db.session.scalars(select(Account.id)).one())
    clock.shift(timedelta(minutes=10))
    assert set_password(alice, mailed_path()).path == "/sign-in"


def test_with_twenty_who_use_a_link_at_once_one_password_holds(app: Doorward) -> None:
    make_account("alice")
    ask(Visitor(app.test_client()), "alice")
    path = mailed_path()
    clients = [app.test_client() for _ in range(20)]
    pages = [Visitor(client).get(path) for client in clients]

    def send(number: int) -> int:
        fields = {"password": f"{NEW} {number:02}", "again": f"{NEW} {number:02}"}
        return Visitor(clients[number]).send(pages[number], fields, follow=False).status

    statuses = race(20, send)
    assert statuses.count(302) == 1
    assert set(statuses) <= {302, 404, 409, 429}
    assert db.session.scalar(select(func.count()).where(AuditEntry.event == "password.reset")) == 1
    winner = Visitor(app.test_client())
    assert winner.sign_in("alice", f"{NEW} {statuses.index(302):02}").path == "/account"


@pytest.mark.parametrize("setting", [{"confirm_email": True}])
def test_a_mailed_reset_confirms_the_address_it_went_to(visitor: Visitor) -> None:
    make_account("alice", email_verified_at=None)
    ask(visitor, "alice")
    set_password(visitor, mailed_path())
    assert visitor.sign_in("alice", NEW).path == "/account"


@pytest.mark.parametrize("setting", [{"confirm_email": True}])
def test_other_mails_that_strangers_have_sent_keep_nobody_from_a_reset(app: Doorward) -> None:
    make_account("alice")
    for name in ("alice", "alice@example.org"):
        stranger = Visitor(app.test_client())
        statuses = [stranger.send(stranger.get("/confirm"), {"name": name}).status for _ in range(6)]
        assert statuses == [200] * 5 + [429], name
        assert ask(Visitor(app.test_client()), name).status == 200, name
    assert [letter["to"] for letter in letters()] == ["alice@example.org"] * 2


def test_a_link_that_was_handed_over_confirms_no_address(visitor: Visitor) -> None:
    """Nobody read it in that letter box: an address that was mistyped is a stranger's, and must not become known."""
    alice = make_account("alice", email_verified_at=None)
    for hand_over in (hand_out_reset_link, start_reset):
        with transaction():
            link = hand_over(operator_actor(), alice.id)
        assert link is not None
        set_password(visitor, link.removeprefix("http://localhost:8000"))
        assert account_of("alice").email_verified_at is None
    ask(visitor, "alice")
    set_password(visitor, mailed_path())
    assert account_of("alice").email_verified_at is not None
