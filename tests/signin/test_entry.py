"""Signing in by name or e-mail: one form for all, and one answer for all that is wrong. Through the page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import bcrypt
import pytest
from sqlalchemy import select

from portal.accounts.lifecycle import edit_user
from portal.accounts.models import Account, State, User
from portal.audit.models import AuditEntry
from portal.core import clock, settings
from portal.core.database import db, transaction
from portal.signin.devices import forget_devices
from portal.signin.passwords import hash_password
from portal.signin.sessions import actor_of
from portal.web.frame import Doorward
from tests.letters import letters
from tests.people import PASSWORD, actor_named, make_account
from tests.races import race
from tests.signin.telling import told
from tests.visitor import Visitor

HOMES = {"alice": "/account", "tess": "/staff", "ada": "/admin", "max": "/admin"}


def test_each_kind_signs_in_by_either_name_and_lands_at_home(app: Doorward) -> None:
    for name, home in HOMES.items():
        make_account(name)
        for typed in (name, f" {name.upper()} ", f"{name}@example.org", f"{name.title()}@EXAMPLE.org"):
            assert Visitor(app.test_client()).sign_in(typed).path == home, typed


def test_unknown_wrong_invited_and_deleted_answer_alike(app: Doorward) -> None:
    make_account("alice")
    make_account("bobby")
    make_account("carol", state=State.INVITED.value)
    make_account("dylan", state=State.INVITED.value, password_hash=None)
    make_account("erina", state=State.DELETED.value)
    answers = [told(Visitor(app.test_client()).sign_in("alice", "wrong words here"), "alice")]
    for name in ("carol", "dylan", "erina", "frank"):
        answers.append(told(Visitor(app.test_client()).sign_in(name, PASSWORD), name))
    assert answers[0][0] == 422
    assert "The name or the password is not right." in answers[0][1]
    assert [answer for answer in answers if answer != answers[0]] == []


def test_a_suspension_is_told_only_after_the_right_password(app: Doorward, visitor: Visitor) -> None:
    make_account("alice", state=State.SUSPENDED.value)
    make_account("carol")
    wrong = told(visitor.sign_in("alice", "wrong words here"), "alice")
    assert wrong == told(Visitor(app.test_client()).sign_in("carol", "wrong words here"), "carol")
    right = visitor.sign_in("alice")
    assert right.status == 422
    assert "This account is suspended" in right.text
    assert visitor.get("/account", follow=False).status == 302


@pytest.mark.parametrize("setting", [{"confirm_email": True}])
def test_an_unconfirmed_address_is_told_only_after_the_right_password(visitor: Visitor) -> None:
    make_account("alice", email_verified_at=None)
    assert "not right" in visitor.sign_in("alice", "wrong words here").text
    assert "Confirm your e-mail address first" in visitor.sign_in("alice").text
    make_account("tess", email_verified_at=None)
    assert visitor.sign_in("tess").path == "/staff"


def test_what_is_typed_is_never_too_strange(visitor: Visitor) -> None:
    token = visitor.get("/sign-in").form_to("").find(".//input[@name='csrf_token']")
    assert token is not None
    for name in (
        "ali\0ce",
        "a@b\0.org",
        "\U0001f600",
        "' OR 1=1 --",
        "%",
        "x" * 320,
        "\u202e",
        "@",
        "a@" + "b" * 300,
    ):
        data = {"name": name, "password": "any\0thing", "csrf_token": token.get("value")}
        answer = visitor.client.post("/sign-in", data=data)
        assert answer.status_code == 422, name
        assert "The name or the password is not right." in answer.text, name


def test_a_hash_of_before_is_upgraded_at_sign_in(app: Doorward, visitor: Visitor) -> None:
    plain = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    alice = make_account("alice", password_hash=plain)
    assert visitor.sign_in("alice").path == "/account"
    upgraded = db.session.get_one(Account, alice.id).password_hash or ""
    assert upgraded.startswith("s384$$2b$04$")
    assert Visitor(app.test_client()).sign_in("alice").path == "/account"
    assert db.session.get_one(Account, alice.id).password_hash == upgraded


@pytest.mark.parametrize("setting", [{"bcrypt_cost": 5}])
def test_an_older_cost_is_upgraded_by_the_right_password_only(app: Doorward, visitor: Visitor) -> None:
    settings.enter(settings.current().model_copy(update={"bcrypt_cost": 4}))
    old = hash_password(PASSWORD)
    settings.leave()
    alice = make_account("alice", password_hash=old)
    visitor.sign_in("alice", "wrong words here")
    assert db.session.get_one(Account, alice.id).password_hash == old
    assert visitor.sign_in("alice").path == "/account"
    assert (db.session.get_one(Account, alice.id).password_hash or "").startswith("s384$$2b$05$")
    assert Visitor(app.test_client()).sign_in("alice").path == "/account"


def test_successes_and_failures_are_on_record_without_what_was_typed(visitor: Visitor) -> None:
    alice = make_account("alice")
    visitor.sign_in("my secret typed here", "wrong words here")
    visitor.sign_in("alice")
    failed, done = db.session.scalars(select(AuditEntry).order_by(AuditEntry.at, AuditEntry.id)).all()
    assert (failed.event, failed.result, failed.facts) == ("sign_in.failed", "refused", {"why": "wrong"})
    assert (failed.actor_kind, failed.address, failed.target_id) == ("nobody", "127.0.0.1", None)
    assert (done.event, done.actor_id, done.facts) == ("sign_in.done", alice.id, {"method": "password"})
    assert "my secret" not in repr([vars(entry) for entry in (failed, done)])


def test_many_browsers_of_one_person_sign_in_at_once(app: Doorward) -> None:
    make_account("alice")
    clients = [app.test_client() for _ in range(5)]
    pages = [Visitor(client).get("/sign-in") for client in clients]

    def send(number: int) -> int:
        fields = {"name": "alice", "password": PASSWORD}
        return Visitor(clients[number]).send(pages[number], fields, follow=False).status

    assert race(5, send) == [302] * 5


def test_a_sign_in_does_not_spoil_the_form_of_who_edits_the_record(visitor: Visitor) -> None:
    make_account("ada")
    alice = make_account("alice")
    assert isinstance(alice, User)
    seen = alice.version
    clock.shift(timedelta(minutes=3))
    assert visitor.sign_in("alice").path == "/account"
    with transaction():
        edit_user(
            actor_named("ada"),
            alice.id,
            version=seen,
            display_name="Alice A.",
            email="alice@example.org",
            time_zone="UTC",
            daily_limit_override=None,
        )
    assert db.session.get_one(User, alice.id).display_name == "Alice A."


def test_a_sign_in_form_left_open_works_while_signed_in(person: Callable[..., Visitor]) -> None:
    make_account("bobby")
    alice = person("alice")
    clock.shift(timedelta(minutes=10))
    token = alice.get("/account").form_to("/sign-out").find(".//input[@name='csrf_token']")
    assert token is not None
    data = {"name": "bobby", "password": PASSWORD, "csrf_token": token.get("value")}
    answer = alice.client.post("/sign-in", data=data)
    assert answer.status_code == 302
    assert "bobby" in alice.get("/account").text


def test_an_actor_made_of_an_account_carries_what_it_may() -> None:
    account = User(username="alice", kind="user", epoch=1)
    made = actor_of(account, address="203.0.113.9", request_id="r")
    assert (made.name, made.kind.value, made.rank, made.credential) == ("alice", "user", 10, "session")


def test_who_used_a_browser_before_is_not_known_in_another_one_by_its_cookie(app: Doorward) -> None:
    """Of a browser that several people use, the one before has seen the cookie; by a copy of it their own browser would
    be known to whoever comes next, who would hear of no sign-in there."""
    shared, elsewhere = Visitor(app.test_client()), Visitor(app.test_client())
    for name in ("mallory", "alice"):
        make_account(name)
    shared.sign_in("mallory")
    copied = shared.client.get_cookie("doorward-device")
    assert copied is not None
    shared.sign_out()
    shared.sign_in("alice")
    shared.sign_out()
    elsewhere.client.set_cookie("doorward-device", copied.value)
    elsewhere.sign_in("alice")
    assert [letter.to for letter in letters("new_device")] == ["alice@example.org"]
    for name in ("mallory", "alice"):  # nobody is told of the browser that they share
        shared.sign_in(name)
        shared.sign_out()
    assert len(letters("new_device")) == 1


def test_a_sign_in_is_told_though_every_known_browser_was_forgotten(app: Doorward, visitor: Visitor) -> None:
    """As it is by "this was not me": whoever comes first after that may be the same one again."""
    alice = make_account("alice")
    visitor.sign_in("alice")
    with transaction():
        forget_devices(alice.id)
    assert letters("new_device") == []
    Visitor(app.test_client()).sign_in("alice")
    assert [letter.to for letter in letters("new_device")] == ["alice@example.org"]
