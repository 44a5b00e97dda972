"""Who comes from a provider: into whose account, into a new one, or nowhere; never by the address alone."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from portal.accounts.links import Purpose, make_link
from portal.accounts.models import Account, OneTimeLink, State
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.keys.models import ApiKey
from portal.mail.models import OutboxMail
from portal.outside.models import ExternalIdentity
from portal.privacy.deletion import delete_user
from portal.signin import throttle
from portal.signin.models import SignInSession
from portal.usage.models import CreditBalance
from tests.outside.conftest import Traveller
from tests.people import PASSWORD, make_account

if TYPE_CHECKING:
    from collections.abc import Callable

    from portal.web.frame import Doorward
    from tests.outside.liar import Liar

SIGN_IN_FIRST = "There is an account with this e-mail address here"
NO_ACCOUNT = "is linked with no account here"


def rows(table: Any) -> int:
    """How many there are."""
    return db.session.scalar(select(func.count()).select_from(table)) or 0


def account_of(name: str) -> Account:
    """The account of this name as it stands now."""
    db.session.expire_all()
    return db.session.scalars(select(Account).where(Account.username_canonical == name)).one()


def carol(**columns: object) -> Account:
    """Somebody here with the address that the provider vouches for."""
    return make_account("carol", **columns)


def test_a_verified_address_of_somebody_leads_to_signing_in_and_a_question(traveller: Traveller, liar: Liar) -> None:
    carol()
    page = traveller.travel(liar)
    assert page.path == "/sign-in"
    assert SIGN_IN_FIRST in page.text
    assert (rows(ExternalIdentity), rows(SignInSession)) == (0, 0)
    page = traveller.send(page, {"name": "carol", "password": PASSWORD})
    assert page.title == "Link Acme"
    assert "carol@example.org" in page.text
    assert rows(ExternalIdentity) == 0, "nothing is linked before the owner says so"
    page = traveller.send(page)
    assert "Linked. From now on" in page.text
    identity = db.session.scalars(select(ExternalIdentity)).one()
    assert (identity.account_id, identity.subject) == (account_of("carol").id, "subject-1")
    fresh = Traveller(traveller.client.application.test_client())
    assert fresh.travel(liar).path == "/account"


def test_the_waiting_link_is_asked_about_and_not_made_when_it_is_left(traveller: Traveller, liar: Liar) -> None:
    carol()
    page = traveller.send(traveller.travel(liar), {"name": "carol", "password": PASSWORD})
    assert traveller.get("/account/providers").title == "Linked sign-ins"
    clock.shift(clock.offset() + timedelta(minutes=4, seconds=59))
    assert traveller.get("/account/providers/confirm").title == "Link Acme"
    clock.shift(clock.offset() + timedelta(minutes=5, seconds=2))
    assert page.title == "Link Acme"
    late = traveller.send(page)
    assert "Linked." not in late.text
    assert rows(ExternalIdentity) == 0


@pytest.mark.parametrize("said", [{"email_verified": None}, {"email_verified": False}, {"email_verified": "false"}])
def test_an_address_that_nobody_asserts_links_nothing(app: Doorward, liar: Liar, said: dict[str, Any]) -> None:
    carol()
    liar.claims = said
    page = Traveller.of(app).travel(liar)
    assert NO_ACCOUNT in page.text
    assert SIGN_IN_FIRST not in page.text
    assert (rows(Account), rows(ExternalIdentity), rows(SignInSession)) == (1, 0, 0)


@pytest.mark.parametrize("asserted", [1, "yes", "True", ["true"], {}])
def test_nothing_but_a_plain_yes_asserts_an_address(traveller: Traveller, liar: Liar, asserted: object) -> None:
    liar.claims = {"email_verified": asserted}
    assert traveller.travel(liar).path == "/account"
    assert account_of("carol").email_verified_at is None


@pytest.mark.parametrize("state", [State.ACTIVE, State.SUSPENDED, State.CLOSING, State.INVITED, "deleted"])
def test_the_answer_is_the_same_whatever_became_of_the_account(traveller: Traveller, liar: Liar, state: str) -> None:
    person = carol(state="active" if state == "deleted" else str(state))
    if state == "deleted":
        with transaction():
            delete_user(operator_actor().because("asked"), person.id, typed_name="carol")
    page = traveller.travel(liar, follow=False)
    assert page.response.headers["Location"] == "/sign-in?next=/account/providers/confirm"
    assert SIGN_IN_FIRST in traveller.get("/sign-in").text
    assert (rows(ExternalIdentity), rows(SignInSession)) == (0, 0)
    assert db.session.scalars(select(Account.state)).one() == state


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"state": "suspended"}, "This account is suspended"),
        ({"state": "invited"}, "This account cannot be opened"),
        ({"locked_at": clock.now()}, "This account cannot be opened"),
    ],
)
def test_a_linked_account_that_is_shut_stays_shut(
    app: Doorward, liar: Liar, columns: dict[str, Any], words: str
) -> None:
    Traveller.of(app).travel(liar)
    account = account_of("carol")
    with transaction():
        for name, value in columns.items():
            setattr(account, name, value)
        account.epoch += 1
    page = Traveller.of(app).travel(liar)
    assert words in page.text
    assert db.session.scalars(select(Account.state)).one() == columns.get("state", "active")
    assert rows(SignInSession) == 1, "the one of before"


def test_who_is_leaving_comes_in_by_it_and_is_leaving_still(app: Doorward, liar: Liar) -> None:
    Traveller.of(app).travel(liar)
    with transaction():
        account_of("carol").state = State.CLOSING.value
    assert Traveller.of(app).travel(liar).path == "/account/data"
    assert account_of("carol").state == "closing"


def test_a_deleted_account_is_not_revived_and_no_second_one_made(app: Doorward, liar: Liar) -> None:
    Traveller.of(app).travel(liar)
    with transaction():
        delete_user(operator_actor().because("asked"), account_of("carol").id, typed_name="carol")
    page = Traveller.of(app).travel(liar)
    assert "cannot be opened" in page.text
    assert db.session.scalars(select(Account.state)).all() == ["deleted"]


def test_the_second_factor_of_here_is_asked_for(app: Doorward, liar: Liar) -> None:
    Traveller.of(app).travel(liar)
    with transaction():
        account_of("carol").has_factor = True
    page = Traveller.of(app).travel(liar, target="/account/keys", follow=False)
    assert page.response.headers["Location"] == "/sign-in/factor?next=/account/keys"
    assert rows(SignInSession) == 1, "the one of before"


def test_an_unclaimed_account_is_emptied_before_it_is_its_owner_s(
    app: Doorward, liar: Liar, key_of: Callable[..., str]
) -> None:
    squatter = carol(email_verified_at=None)
    key_of(squatter)
    inside = Traveller.of(app)
    assert inside.sign_in("carol").path == "/account"
    with transaction():
        db.session.add(
            ExternalIdentity(
                id=squatter.id,
                account_id=squatter.id,
                provider="other",
                issuer="https://o",
                subject="squatter",
                created_at=clock.now(),
            )
        )
        make_link(Purpose.RESET, squatter)
        make_link(Purpose.NOT_ME, squatter)
        make_link(Purpose.KEEP_EMAIL, squatter, {"email": "of@before.example", "canonical": "of@before.example"})
    owner = Traveller.of(app)
    assert owner.travel(liar).path == "/account"
    account = account_of("carol")
    assert account.id == squatter.id
    assert account.password_hash is None
    assert account.email_verified_at is not None
    assert db.session.scalars(select(ExternalIdentity.subject)).all() == ["subject-1"]
    # What lies with the owner of the address of before is no stranger's.
    assert db.session.scalars(select(OneTimeLink.purpose)).all() == [Purpose.KEEP_EMAIL.value]
    assert db.session.scalars(select(ApiKey.revoked_why)).all() == ["owner"]
    assert "/sign-in" in inside.get("/account", follow=False).response.headers["Location"]
    assert Traveller.of(app).sign_in("carol").status == 422
    assert db.session.scalars(select(OutboxMail.template)).all() == ["notice"]


@pytest.mark.parametrize(
    ("name", "columns"),
    [("carol", {"has_factor": True}), ("tess", {}), ("ada", {}), ("carol", {"locked_at": clock.now()})],
)
def test_what_matters_more_is_not_given_away_by_a_provider_s_word(
    traveller: Traveller, liar: Liar, name: str, columns: dict[str, Any]
) -> None:
    account = make_account(name, email_verified_at=None, **columns)
    liar.claims = {"email": f"{name}@example.org"}
    assert SIGN_IN_FIRST in traveller.travel(liar).text
    db.session.expire_all()
    assert db.session.get_one(Account, account.id).password_hash is not None
    assert (rows(ExternalIdentity), rows(SignInSession)) == (0, 0)


@pytest.mark.parametrize("terms", [{"makes_accounts": False}])
def test_where_no_accounts_are_made_an_unclaimed_one_is_left_alone(traveller: Traveller, liar: Liar) -> None:
    carol(email_verified_at=None)
    assert SIGN_IN_FIRST in traveller.travel(liar).text
    assert account_of("carol").password_hash is not None


@pytest.mark.parametrize(
    ("terms", "more", "claims", "makes"),
    [
        ({"makes_accounts": False}, {}, {}, False),
        ({}, {"registration": "closed"}, {}, False),
        ({}, {"registration": "invite"}, {}, True),
        ({"domains": ["example.org"]}, {}, {}, True),
        ({"domains": ["EXAMPLE.ORG"]}, {}, {"email": "carol@Example.Org"}, True),
        ({"domains": ["example.com"]}, {}, {}, False),
        ({"domains": ["ample.org"]}, {}, {}, False),
        ({"domains": ["example.org"]}, {}, {"email_verified": False}, False),
        ({}, {"email_domains": "example.com"}, {}, False),
        ({"domains": ["example.org"]}, {"email_domains": "example.com"}, {}, False),
        ({}, {}, {"email": None}, False),
        ({}, {}, {"email": "no address"}, False),
        ({}, {}, {"email": ["carol@example.org"]}, False),
        ({}, {}, {"email": "carol@example.org, eve@example.org"}, False),
    ],
)
def test_who_gets_an_account(traveller: Traveller, liar: Liar, claims: dict[str, Any], makes: bool) -> None:
    liar.claims = claims
    page = traveller.travel(liar)
    assert (page.path == "/account") is makes
    assert (NO_ACCOUNT in page.text) is not makes
    assert rows(Account) == int(makes)
    assert rows(CreditBalance) == int(makes)


@pytest.mark.parametrize("more", [{"confirm_email": True}])
@pytest.mark.parametrize("taken", [False, True])
def test_an_address_that_is_not_asserted_is_confirmed_by_mail(
    traveller: Traveller, liar: Liar, more: dict[str, Any], taken: bool
) -> None:
    if taken:
        carol()
    liar.claims = {"email_verified": False}
    page = traveller.travel(liar)
    assert page.title == "Look at your mail"
    assert rows(SignInSession) == 0
    assert rows(Account) == 1
    template = "already_registered" if taken else "confirm"
    assert db.session.scalars(select(OutboxMail.template)).all() == [template]
    again = traveller.travel(liar)
    assert ("Confirm your e-mail address first" in again.text) is not taken


@pytest.mark.parametrize(
    ("told", "made"),
    [
        ({"preferred_username": "Carol.O'Hara"}, "carol.o-hara"),
        ({"preferred_username": "carol@corp.example"}, "carol"),
        ({"preferred_username": "Çârøl"}, "carl"),
        ({"preferred_username": "李小龙", "email": "bruce@example.org"}, "bruce"),
        ({"preferred_username": "李", "email": "b@example.org"}, "user"),
        ({"preferred_username": "x" * 200}, "x" * 32),
        ({"preferred_username": "alice"}, "alice-2"),
        ({"preferred_username": "\uff21\uff2c\uff29\uff23\uff25"}, "alice-2"),
        ({"preferred_username": "\u202eecila\0"}, "ecila"),
        ({"preferred_username": ["alice"]}, "carol"),
    ],
)
def test_a_free_name_is_made(traveller: Traveller, liar: Liar, told: dict[str, Any], made: str) -> None:
    make_account("alice")
    liar.claims = told
    assert traveller.travel(liar).path == "/account"
    assert account_of(made).password_hash is None


def test_no_more_accounts_from_one_address_than_registrations(
    app: Doorward, liar: Liar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(throttle.MOST, "register", 3)
    seen = []
    for number in range(4):
        liar.claims = {"sub": f"s{number}", "email": f"s{number}@example.org"}
        seen.append(Traveller.of(app).travel(liar))
    assert "Too many tries" in seen[-1].text
    assert rows(Account) == 3
