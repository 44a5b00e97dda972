"""New accounts: by oneself, by invitation, and the first admin. Through the pages."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from portal.accounts.models import Account, Admin, User
from portal.audit.models import AuditEntry
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import Forbidden, Invalid, NotFound
from portal.mail.models import OutboxMail
from portal.privacy.deletion import delete_user
from portal.signin.first_admin import create_admin, offer_setup
from portal.signin.registration import (
    NewPerson,
    accept_invitation,
    invite_admin,
    invite_again,
    invite_staff,
)
from portal.usage.models import CreditBalance
from portal.usage.plans import default_plan
from portal.web.frame import Doorward
from tests.people import PASSWORD, actor_named, make_account
from tests.races import race
from tests.visitor import SeenPage, Visitor

ALICE = {"username": "Alice", "email": "Alice@Example.org", "password": PASSWORD, "time_zone": "Europe/Berlin"}


def register(visitor: Visitor, **fields: str) -> SeenPage:
    """Fill the form as Alice, but for these fields, and send it."""
    return visitor.send(visitor.get("/register"), {**ALICE, **fields}, follow=False)


def hidden_token(page: SeenPage) -> str:
    """The CSRF token of the page's form."""
    found = page.form_to("").find(".//input[@name='csrf_token']")
    assert found is not None
    return found.get("value") or ""


def count(table: type[Any]) -> int:
    return db.session.scalar(select(func.count()).select_from(table)) or 0


def test_whoever_registers_is_a_user_on_the_first_plan_and_signed_in(visitor: Visitor) -> None:
    page = visitor.send(visitor.get("/register"), ALICE)
    assert (page.status, page.path) == (200, "/account")
    alice = db.session.scalars(select(User)).one()
    assert (alice.username, alice.username_canonical) == ("Alice", "alice")
    assert (alice.email, alice.email_canonical) == ("Alice@Example.org", "alice@example.org")
    assert (alice.time_zone, alice.plan_id, alice.state) == ("Europe/Berlin", default_plan().id, "active")
    assert (alice.email_verified_at, alice.password_hash == PASSWORD) == (None, False)
    assert count(CreditBalance) == 1
    entries = {entry.event: entry for entry in db.session.scalars(select(AuditEntry))}
    assert entries["account.registered"].facts == {"kind": "user", "plan": "free"}
    assert entries["account.registered"].target_id == alice.id


WRONG = [
    ({"username": "al"}, "3 to 40 characters"),
    ({"username": "alice@example.org"}, "letters a to z"),
    ({"username": "\u0430lice"}, "letters a to z"),
    ({"email": "alice"}, "not an e-mail address"),
    ({"display_name": "Ali\u202ece"}, "cannot be shown"),
    ({"display_name": "x" * 81}, "80 characters"),
    ({"password": "short"}, "at least 12 characters"),
    ({"password": "passwordpassword"}, "lists of common ones"),
    ({"password": "i am Alice, really"}, "Leave your name"),
    ({"password": ""}, "Choose a password"),
    ({"password": "x" * 1025}, "1024 characters"),
    ({"time_zone": "Mars/Olympus"}, "not a known time zone"),
    ({"username": ""}, "Choose a username"),
]


def test_what_is_wrong_is_told_and_nothing_is_kept(visitor: Visitor) -> None:
    for fields, words in WRONG:
        page = register(visitor, **fields)
        assert page.status == 422, fields
        assert words in page.text, fields
    assert count(Account) == count(OutboxMail) == 0


def test_a_nul_is_refused_in_every_field_but_the_password(visitor: Visitor) -> None:
    token = hidden_token(visitor.get("/register"))
    for field in ("username", "email", "display_name", "time_zone"):
        fields = {**ALICE, "csrf_token": token, field: ALICE.get(field, "Alice") + "\0x"}
        assert visitor.client.post("/register", data=fields).status_code == 422, field
    assert register(visitor, password=PASSWORD + "\0x").status == 302


def test_all_that_is_wrong_is_told_at_once_and_what_was_typed_stays(visitor: Visitor) -> None:
    page = register(visitor, username="al", email="nonsense", display_name="Amara")
    assert "3 to 40 characters" in page.text and "not an e-mail address" in page.text
    assert 'value="Amara"' in page.html and 'value="nonsense"' in page.html
    assert PASSWORD not in page.html


def test_a_form_sets_nothing_that_it_does_not_ask_for(visitor: Visitor) -> None:
    more = {"state": "active", "kind": "admin", "permissions": "users.read", "plan": "plus", "level": "3"}
    register(visitor, **more, daily_limit_override="0", email_verified_at="2026-01-01")
    alice = db.session.scalars(select(Account)).one()
    assert isinstance(alice, User)
    assert (alice.plan_id, alice.daily_limit_override, alice.email_verified_at) == (default_plan().id, None, None)


@pytest.mark.parametrize("holder", ["bob", "tess", "ada"])
def test_a_taken_name_is_told_whatever_the_kind(visitor: Visitor, holder: str) -> None:
    make_account(holder)
    assert "This username is taken" in register(visitor, username=holder.upper()).text
    assert "Another account has this address" in register(visitor, email=f"{holder.upper()}@example.ORG").text
    assert count(Account) == 1


def test_a_deleted_users_names_stay_taken(visitor: Visitor) -> None:
    bob = make_account("bob")
    with transaction():
        delete_user(operator_actor().because("asked"), bob.id, typed_name="bob")
    page = register(visitor, username="bob", email="bob@example.org")
    assert page.status == 422
    assert "This username is taken" in page.text


@pytest.mark.parametrize("setting", [{"registration": "closed"}])
def test_where_registration_is_closed_there_is_no_page(visitor: Visitor) -> None:
    assert visitor.get("/register").status == 404
    assert "/register" not in visitor.get("/").links() + visitor.get("/sign-in").links()
    assert visitor.post("/register", ALICE).status in {400, 404}
    assert count(Account) == 0


@pytest.mark.parametrize("setting", [{"registration": "invite"}])
def test_where_one_must_be_invited_the_page_says_so_and_takes_nobody(visitor: Visitor) -> None:
    page = visitor.get("/register")
    assert (page.status, page.forms()) == (200, [])
    assert "By invitation only" in page.text
    token = hidden_token(visitor.get("/sign-in"))
    assert visitor.post("/register", {**ALICE, "csrf_token": token}).status == 422
    assert count(Account) == 0


@pytest.mark.parametrize("setting", [{"email_domains": "Example.COM, b\u00fccher.example"}])
def test_only_the_allowed_domains_may_register(visitor: Visitor) -> None:
    assert "domain cannot register" in register(visitor).text
    assert register(visitor, email="alice@EXAMPLE.com").status == 302
    visitor.sign_out()
    assert register(visitor, username="bob", email="bob@xn--bcher-kva.example").status == 302


@pytest.mark.parametrize("setting", [{"confirm_email": True}])
def test_with_confirmation_a_known_address_answers_like_a_new_one(visitor: Visitor) -> None:
    make_account("bob", email="bobby@example.org", email_canonical="bobby@example.org")
    known = register(visitor, username="carol", email="bobby@example.org")
    fresh = register(visitor, username="carol", email="carol@example.org")
    assert known.status == fresh.status == 200
    assert known.bare.replace("bobby@", "carol@") == fresh.bare.replace("bobby@", "carol@")
    names = [[name for name, _ in page.response.headers] for page in (known, fresh)]
    assert names[0] == names[1]
    letters = db.session.scalars(select(OutboxMail.template).order_by(OutboxMail.created_at)).all()
    assert letters == ["already_registered", "confirm"]
    assert visitor.get("/account", follow=False).status == 302


@pytest.mark.parametrize("setting", [{"confirm_email": True}])
def test_many_who_take_one_address_at_once_all_hear_the_same(app: Doorward) -> None:
    clients = [app.test_client() for _ in range(8)]
    pages = [Visitor(client).get("/register") for client in clients]

    def send(number: int) -> int:
        fields = {**ALICE, "username": f"alice{number}", "email": "one@example.org"}
        return Visitor(clients[number]).send(pages[number], fields, follow=False).status

    assert set(race(8, send)) <= {200, 429}
    assert count(Account) == 1


TWINS = ["alice", "ALICE", " Alice ", "aLiCe"]
TWIN_MAILS = ["alice@example.org", "ALICE@EXAMPLE.ORG", "\uff41lice@example.org", "alice@example\u3002org"]


@pytest.mark.parametrize("by", ["username", "email"])
def test_of_twenty_twins_at_once_one_gets_the_name(app: Doorward, by: str) -> None:
    clients = [app.test_client() for _ in range(20)]
    pages = [Visitor(client).get("/register") for client in clients]

    def send(number: int) -> int:
        other = {"username": f"user{number}", "email": f"user{number}@example.org"}
        twin = {"username": TWINS[number % 4]} if by == "username" else {"email": TWIN_MAILS[number % 4]}
        return Visitor(clients[number]).send(pages[number], {**ALICE, **other, **twin}, follow=False).status

    statuses = race(20, send)
    assert statuses.count(302) == 1
    assert set(statuses) <= {302, 422, 429}
    assert count(Account) == count(CreditBalance) == 1


def setup_path() -> str:
    with transaction():
        path = offer_setup()
    assert path is not None
    return path


def test_the_first_admin_is_made_by_the_printed_link(visitor: Visitor) -> None:
    path = setup_path()
    page = visitor.send(visitor.get(path), {"username": "ada", "email": "ada@example.org", "password": PASSWORD})
    assert page.path == "/sign-in"
    assert visitor.sign_in("ada").path == "/admin"
    assert db.session.scalars(select(Admin)).one().is_full
    with transaction():
        assert offer_setup() is None
    assert Visitor(visitor.client.application.test_client()).get(path).status == 404


def test_an_admins_password_has_fifteen_characters(visitor: Visitor) -> None:
    page = visitor.get(setup_path())
    told = visitor.send(page, {"username": "ada", "email": "ada@example.org", "password": "quiet lamps 42"})
    assert told.status == 422
    assert "at least 15 characters" in told.text
    assert count(Account) == 0


def test_of_twenty_who_follow_the_set_up_link_at_once_one_is_admin(app: Doorward) -> None:
    path = setup_path()
    clients = [app.test_client() for _ in range(20)]
    pages = [Visitor(client).get(path) for client in clients]

    def send(number: int) -> int:
        fields = {"username": f"ada{number}", "email": f"ada{number}@example.org", "password": PASSWORD}
        return Visitor(clients[number]).send(pages[number], fields, follow=False).status

    statuses = race(20, send)
    assert statuses.count(302) == 1
    assert set(statuses) <= {302, 404, 429, 503}  # the last: whoever waited for the writer as long as one waits
    assert count(Admin) == 1


def test_a_link_from_before_makes_no_second_admin(visitor: Visitor) -> None:
    path = setup_path()
    with transaction():
        create_admin(operator_actor(), NewPerson("ada", "ada@example.org"), PASSWORD)
    assert visitor.get(path).status == 404


def test_an_invited_account_sets_its_own_password_and_only_once(app: Doorward, visitor: Visitor) -> None:
    make_account("ada")
    with transaction():
        invited = invite_staff(actor_named("ada"), NewPerson("tess", "tess@example.org"), level=2)
    assert invited.link is not None
    path = invited.link.removeprefix("http://localhost:8000")
    assert "right" in visitor.sign_in("tess", PASSWORD).text
    page = visitor.get(path)
    assert visitor.send(page, {"password": PASSWORD, "again": "another"}).status == 422
    assert visitor.send(visitor.get(path), {"password": PASSWORD, "again": PASSWORD}).path == "/sign-in"
    assert visitor.sign_in("tess").path == "/staff"
    assert Visitor(app.test_client()).get(path).status == 404


def test_a_new_invitation_ends_the_older_one(app: Doorward) -> None:
    make_account("ada")
    ada = actor_named("ada")
    with transaction():
        first = invite_admin(ada, NewPerson("erin", "erin@example.org"), permissions=["plans.write"])
    with transaction():
        second = invite_again(ada, first.account.id)
    assert first.link and second.link and first.link != second.link
    with pytest.raises(NotFound):
        accept_invitation(ada, first.link.rpartition("/")[2], PASSWORD)
    with transaction():
        accept_invitation(ada, second.link.rpartition("/")[2], PASSWORD)
    with pytest.raises(NotFound):
        invite_again(ada, first.account.id)


def test_nobody_invites_higher_than_they_stand(app: Doorward) -> None:
    make_account("adminmin", permissions=["admins.manage"])
    make_account("usermin", permissions=["users.write"])
    make_account("ada")
    person = NewPerson("erin", "erin@example.org")
    with pytest.raises(Forbidden):
        invite_admin(actor_named("adminmin"), person, permissions=["users.write"])
    with pytest.raises(Forbidden):
        invite_staff(actor_named("usermin"), person, level=1)
    with pytest.raises(Invalid):
        invite_staff(actor_named("ada"), person, level=4)
    with transaction():
        invited = invite_staff(actor_named("ada"), person, level=1)
    with pytest.raises(Forbidden):
        invite_again(actor_named("usermin"), invited.account.id)
