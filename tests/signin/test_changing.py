"""Changing one's own password: with the present one, by one of many at once, and told to the owner."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core import clock, crypto
from portal.core.database import db
from portal.core.errors import ReauthNeeded
from portal.mail.models import OutboxMail
from portal.signin.changing import change_password
from portal.web.frame import Doorward
from tests.people import PASSWORD, actor_named, make_account
from tests.races import race
from tests.visitor import SeenPage, Visitor

NEW = "other quiet lanterns 7"
PATH = "/account/security/password"


def change(visitor: Visitor, current: str = PASSWORD, new: str = NEW, again: str | None = None) -> SeenPage:
    """Fill the form."""
    return visitor.send(visitor.get(PATH), {"current": current, "password": new, "again": again or new})


def notices() -> list[str]:
    rows = db.session.scalars(select(OutboxMail).where(OutboxMail.template == "notice")).all()
    opened = [crypto.unseal(row.sealed or "", place=f"outbox:{row.id}") for row in rows]
    return [f"{letter['to']}: {letter['values']['what']}" for letter in opened]


@pytest.mark.parametrize("name", ["alice", "tess", "ada"])
def test_the_new_one_opens_and_the_former_does_not(name: str, app: Doorward, person: Callable[..., Visitor]) -> None:
    visitor = person(name)
    page = change(visitor)
    assert (page.path, "Your password is changed" in page.text) == ("/account/security", True)
    assert Visitor(app.test_client()).sign_in(name, PASSWORD).status == 422
    assert Visitor(app.test_client()).sign_in(name, NEW).status == 200
    assert notices() == [f"{name}@example.org: Your password was changed."]
    assert "password.changed" in db.session.scalars(select(AuditEntry.event)).all()


def test_every_other_browser_is_out_and_the_cookie_of_before_is_dead(
    app: Doorward, person: Callable[..., Visitor]
) -> None:
    alice = person("alice")
    elsewhere = Visitor(app.test_client())
    elsewhere.sign_in("alice")
    kept = alice.client.get_cookie("doorward")
    assert kept is not None
    assert change(alice).status == 200
    assert alice.get("/account").path == "/account"
    assert elsewhere.get("/account").path == "/sign-in"
    thief = app.test_client()
    thief.set_cookie("doorward", kept.value)
    assert thief.get("/account").status_code == 302


def test_a_wrong_present_password_changes_nothing_and_counts(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    page = change(alice, "wrong words here")
    assert page.status == 422
    assert "That is not the password of your account" in page.code("current-error")
    assert change(alice, "").status == 422
    assert change(alice, PASSWORD + " ").status == 422
    for _ in range(20):  # sooner or later one has to wait, and by then for long
        page = change(alice, "wrong words here")
        if page.status == 429:
            break
    assert page.status == 429
    assert notices() == []
    entries = db.session.scalars(select(AuditEntry.event).where(AuditEntry.result == "refused")).all()
    assert entries[:4] == ["sign_in.not_confirmed"] * 4


WEAK = [
    ("tiny one", "at least 12 characters"),
    ("passwordpassword", "lists of common ones"),
    ("i am alice, really", "Leave your name"),
    ("doorward lanterns", "Leave your name"),
]


@pytest.mark.parametrize(("new", "words"), WEAK)
def test_a_bad_new_password_is_refused_with_the_reason(new: str, words: str, person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    page = change(alice, PASSWORD, new)
    assert words in page.code("password-error")
    assert new not in page.html
    assert change(alice, PASSWORD, NEW, "something else").status == 422
    assert notices() == []


def test_staff_need_a_longer_one(person: Callable[..., Visitor]) -> None:
    assert "at least 15 characters" in change(person("tess"), PASSWORD, "quiet lamps 42").text


def test_whoever_signed_in_a_while_ago_is_asked_who_they_are_first(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    clock.shift(timedelta(minutes=5, seconds=1))
    assert alice.get(PATH, follow=False).response.location.startswith("/account/reauth?")
    actor = actor_named("alice")
    clock.shift(timedelta(minutes=10, seconds=3))
    with pytest.raises(ReauthNeeded):
        change_password(actor, PASSWORD, NEW)


def test_an_account_without_a_password_sets_its_first(app: Doorward, person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    account = db.session.scalars(select(Account)).one()
    account.password_hash = None
    db.session.commit()
    page = alice.get(PATH)
    assert page.title == "Set a password"
    assert page.form_to("").find(".//input[@name='current']") is None
    assert alice.send(page, {"password": NEW, "again": NEW}).path == "/account/security"
    assert Visitor(app.test_client()).sign_in("alice", NEW).path == "/account"
    assert notices() == ["alice@example.org: A password was set for your account."]


def test_of_many_changes_at_once_one_holds(app: Doorward, person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    page = alice.get(PATH)
    token = page.form_to("").find(".//input[@name='csrf_token']")
    assert token is not None
    cookie = alice.client.get_cookie("doorward")
    assert cookie is not None
    data = {"csrf_token": token.get("value"), "current": PASSWORD}

    def send(number: int) -> int:
        client = app.test_client()
        client.set_cookie("doorward", cookie.value)
        new = f"{NEW} {number:02}"
        return client.post(PATH, data={**data, "password": new, "again": new}).status_code

    statuses = race(5, send)
    assert statuses.count(302) == 1, statuses
    assert set(statuses) <= {302, 401, 409, 422, 429}
    winner = Visitor(app.test_client())
    assert winner.sign_in("alice", f"{NEW} {statuses.index(302):02}").path == "/account"
    assert len(notices()) == 1


def test_a_mailed_reset_link_dies_with_the_change(person: Callable[..., Visitor], app: Doorward) -> None:
    alice = person("alice")
    stranger = Visitor(app.test_client())
    stranger.send(stranger.get("/forgotten"), {"name": "alice"})
    row = db.session.scalars(select(OutboxMail).where(OutboxMail.template == "reset")).one()
    link: str = crypto.unseal(row.sealed or "", place=f"outbox:{row.id}")["values"]["link"]
    path = link.removeprefix("http://localhost:8000")
    assert stranger.get(path).status == 200
    assert change(alice).status == 200
    assert stranger.get(path).status == 404


def test_nobody_changes_the_password_of_another(app: Doorward) -> None:
    make_account("alice")
    assert Visitor(app.test_client()).get(PATH).path == "/sign-in"
