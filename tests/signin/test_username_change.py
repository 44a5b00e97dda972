"""Another username: at once, once in a week, and the old one stays kept from others for a month."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.actor import nobody
from portal.core.database import db, transaction
from portal.core.errors import Invalid, PortalError
from portal.privacy.deletion import delete_user, restore_user
from portal.signin.registration import NewPerson, register
from portal.signin.username_change import change_username
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.letters import letters, the_letter
from tests.people import actor_named, make_account
from tests.races import race
from tests.visitor import SeenPage, Visitor

PHRASE = "four noisy trumpets"


def rename(visitor: Visitor, username: str) -> SeenPage:
    """Choose another username through the page."""
    return visitor.send(visitor.get("/account/username"), {"username": username})


def take(username: str) -> str:
    """Try to register with this username; what came of it."""
    try:
        with transaction():
            register(nobody("192.0.2.1"), NewPerson(username, f"{username}@other.example"), PHRASE)
    except Invalid as error:
        return str(error.fields.get("username", error.fields))
    return "registered"


def test_the_new_name_is_good_at_once_and_the_old_one_for_nothing(
    app: Doorward, person: Callable[..., Visitor]
) -> None:
    alice = person("alice")
    page = rename(alice, "Alicia.B")
    assert (page.path, page.status) == ("/account/username", 200)
    assert alice.get("/account", follow=False).status == 200
    assert Visitor(app.test_client()).sign_in("alicia.b").path == "/account"
    assert Visitor(app.test_client()).sign_in("ALICIA.B").path == "/account"
    assert Visitor(app.test_client()).sign_in("alice").status == 422
    assert db.session.scalars(select(Account.username)).one() == "Alicia.B"


def test_keys_and_the_record_go_on(
    person: Callable[..., Visitor], machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    alice = person("alice")
    key = key_of(db.session.scalars(select(Account)).one())
    rename(alice, "alicia")
    answer = machine("keys:verify").post("/keys/verify", {"key": key}).get_json()
    assert answer["code"] == "VALID"


def test_the_owner_is_told_by_mail_and_it_is_on_record(person: Callable[..., Visitor]) -> None:
    rename(person("alice"), "alicia")
    told = the_letter("notice")
    assert told.to == "alice@example.org"
    assert "from alice to alicia" in told.values["what"]
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "username.changed")).one()
    assert entry.facts == {"from": "alice", "to": "alicia"}


NO_USERNAME = [
    "", "al", "x" * 41, "alice", "bob", "BOB", "\uff42ob", "b\u043eb", "alice@example.org", "al ice", "\u202ealicia",
    "ali\u200bcia", "-alicia", "\u0131van", "stra\u00dfe", "deleted:1", "../etc", "alicia\r\nx",
]  # fmt: skip


def test_what_is_taken_or_no_username_is_refused(person: Callable[..., Visitor]) -> None:
    make_account("bob")
    alice = person("alice")
    page = alice.get("/account/username")
    for typed in NO_USERNAME:
        assert alice.send(page, {"username": typed}).status == 422, typed
    assert letters() == []
    assert alice.get("/account", follow=False).status == 200


def test_a_name_is_changed_once_in_seven_days(app: Doorward) -> None:
    make_account("alice")
    with transaction():
        change_username(actor_named("alice"), "alicia")
    clock.shift(timedelta(days=7) - timedelta(seconds=1))
    with pytest.raises(Invalid), transaction():
        change_username(actor_named("alicia"), "alison")
    clock.shift(timedelta(days=7))
    with transaction():
        change_username(actor_named("alicia"), "alison")


def test_the_page_says_when_it_can_be_changed_again(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    assert "once in seven days; again from" not in alice.get("/account/username").text
    rename(alice, "alicia")
    assert "once in seven days; again from" in alice.get("/account/username").text


def test_the_old_name_is_kept_for_its_owner_for_a_month(app: Doorward) -> None:
    make_account("alice")
    with transaction():
        change_username(actor_named("alice"), "alicia")
    assert take("alice") == take("ALICE") == "This username is taken."
    clock.shift(timedelta(days=8))
    with transaction():
        change_username(actor_named("alicia"), "alice")  # the owner takes it back
    assert take("alicia") == "This username is taken."
    clock.shift(timedelta(days=38, seconds=1))
    assert take("alicia") == "registered"


def test_a_deleted_user_keeps_the_present_name_for_good_and_the_former_for_its_month(app: Doorward) -> None:
    alice = make_account("alice")
    with transaction():
        change_username(actor_named("alice"), "alicia")
    with transaction():
        delete_user(operator_actor().because("asked for it"), alice.id, typed_name="alicia")
    assert take("alice") == take("alicia") == "This username is taken."
    with transaction():
        restore_user(operator_actor(), alice.id)
    assert take("alice") == "This username is taken."
    clock.shift(timedelta(days=30, seconds=1))
    assert take("alice") == "registered"


def test_of_twelve_who_want_one_name_at_once_one_gets_it(app: Doorward) -> None:
    people = [make_account(f"user{number}").username for number in range(12)]
    actors = [actor_named(name) for name in people]
    wanted = ("newcomer", "NewComer", "NEWCOMER")

    def try_it(number: int) -> str:
        with app.app_context():
            try:
                with transaction():
                    change_username(actors[number], wanted[number % 3])
            except PortalError as error:
                return error.code
            finally:
                db.session.remove()
            return "renamed"

    assert sorted(race(12, try_it)) == ["INVALID"] * 11 + ["renamed"]
    assert db.session.scalar(select(func.count()).where(Account.username_canonical == "newcomer")) == 1


@pytest.mark.parametrize("name", ["tess", "max", "ada"])
def test_staff_and_admins_change_theirs_too(person: Callable[..., Visitor], name: str) -> None:
    assert rename(person(name), f"{name}-two").status == 200
    assert db.session.scalars(select(Account.username)).one() == f"{name}-two"
