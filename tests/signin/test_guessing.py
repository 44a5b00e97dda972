"""Guessing passwords, through the page: slowed for strangers, and never a way to keep the owner out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from portal.core import clock
from portal.core.database import db, transaction
from portal.core.errors import LimitReached
from portal.signin import throttle
from portal.signin.models import FailureCount
from portal.signin.registration import NewPerson, invite_again, invite_staff
from portal.signin.throttle import LONGEST, count_failure, counter_of
from portal.web.frame import Doorward
from tests.people import PASSWORD, actor_named, make_account
from tests.races import race
from tests.signin.telling import told
from tests.visitor import Visitor

WRONG = "wrong words here"
FREE = throttle.MOST["name"]


def put(counter: str, failures: int) -> None:
    """As if so many had failed, the last just now."""
    with transaction():
        count_failure(counter)
        db.session.execute(update(FailureCount).where(FailureCount.name == counter).values(failures=failures))


def from_address(app: Doorward, address: str) -> Visitor:
    """Somebody with a fresh browser at this address."""
    client = app.test_client()
    client.environ_base["REMOTE_ADDR"] = address
    return Visitor(client)


def test_guessing_is_slowed_alike_for_names_that_exist_and_not(app: Doorward) -> None:
    make_account("alice")
    make_account("bobby")
    answers = {}
    for name in ("alice", "frank"):
        statuses = [from_address(app, f"203.0.113.{n}").sign_in(name, WRONG).status for n in range(FREE)]
        assert statuses == [422] * FREE
        put(counter_of("name", name), 10_000)
        page = from_address(app, "198.51.100.7").sign_in(name)
        assert page.status == 429
        assert 800 < int(page.response.headers["Retry-After"]) <= 900
        answers[name] = told(page, name)
    assert answers["alice"] == answers["frank"]
    assert from_address(app, "203.0.113.0").sign_in("bobby").path == "/account"


def test_of_many_wrong_passwords_at_the_same_moment_no_more_than_may_are_looked_at(app: Doorward) -> None:
    make_account("alice")
    put(counter_of("name", "alice"), FREE + 9)
    clock.shift(LONGEST)
    clients = [app.test_client() for _ in range(16)]
    pages = [Visitor(client).get("/sign-in") for client in clients]

    def send(number: int) -> int:
        return Visitor(clients[number]).send(pages[number], {"name": "alice", "password": WRONG}).status

    assert sorted(race(16, send)) == [422] + [429] * 15


def test_a_guess_counts_however_the_name_is_written(app: Doorward, visitor: Visitor) -> None:
    make_account("alice", email="alice@b\u00fccher.example", email_canonical="alice@xn--bcher-kva.example")
    spellings = ["alice@b\u00fccher.example", "ALICE@B\u00dcCHER.example", "alice@xn--bcher-kva.example"]
    spellings += ["\uff41lice@bu\u0308cher.example", "alice@b\u00fccher\u3002example"]
    for typed in spellings:
        assert visitor.sign_in(typed, WRONG).status == 422
    assert db.session.scalar(select(FailureCount.failures).where(FailureCount.name.startswith("name:"))) == FREE
    put(counter_of("name", spellings[0]), 100)
    assert [visitor.sign_in(typed).status for typed in spellings] == [429] * len(spellings)


def test_ten_thousand_wrong_passwords_keep_the_owner_out_of_no_browser_they_know(app: Doorward) -> None:
    make_account("alice")
    owner = Visitor(app.test_client())
    assert owner.sign_in("alice").path == "/account"
    owner.sign_out()
    for counter in (counter_of("name", "alice"), counter_of("address", "127.0.0.1"), counter_of("all-sign-ins", "")):
        put(counter, 10_000)
    assert Visitor(app.test_client()).sign_in("alice").status == 429
    assert owner.sign_in("alice", WRONG).status == 422
    assert owner.sign_in("alice").path == "/account"


def test_a_known_browser_is_known_to_its_own_account_only_and_is_slowed_too(app: Doorward) -> None:
    make_account("alice")
    make_account("bobby")
    owner = Visitor(app.test_client())
    owner.sign_in("bobby")
    owner.sign_out()
    put(counter_of("name", "alice"), 10_000)
    assert owner.sign_in("alice").status == 429
    assert [owner.sign_in("bobby", WRONG).status for _ in range(FREE)] == [422] * FREE
    known = db.session.scalars(select(FailureCount.name).where(FailureCount.name.startswith("known:"))).one()
    put(known, 10_000)
    assert owner.sign_in("bobby").status == 429
    assert Visitor(app.test_client()).sign_in("bobby").path == "/account"


def test_nobody_is_kept_out_for_longer_than_the_longest_wait(visitor: Visitor) -> None:
    make_account("alice")
    put(counter_of("name", "alice"), 10_000)
    assert visitor.sign_in("alice").status == 429
    clock.shift(LONGEST + timedelta(seconds=1))
    assert visitor.sign_in("alice").path == "/account"


def test_a_success_begins_the_count_anew(visitor: Visitor, app: Doorward) -> None:
    make_account("alice")
    for _ in range(2):
        stranger = Visitor(app.test_client())
        for _ in range(FREE - 1):
            stranger.sign_in("alice", WRONG)
        assert stranger.sign_in("alice").path == "/account"
    rows = db.session.scalars(select(FailureCount).execution_options(populate_existing=True)).all()
    assert {row.name.partition(":")[0]: row.failures for row in rows} == {"address": 8, "all-sign-ins": 8}


def test_an_address_that_tries_many_names_is_slowed(app: Doorward) -> None:
    make_account("alice")
    put(counter_of("address", "198.51.100.7"), 100)
    assert from_address(app, "198.51.100.7").sign_in("alice").status == 429
    assert from_address(app, "198.51.100.8").sign_in("alice").path == "/account"


@pytest.mark.parametrize("setting", [{"threads": 2, "bcrypt_cost": 12}])
def test_whoever_finds_no_place_to_hash_has_not_tried(app: Doorward) -> None:
    make_account("alice")
    clients = [app.test_client() for _ in range(12)]
    pages = [Visitor(client).get("/sign-in") for client in clients]

    def send(number: int) -> int:
        fields = {"name": f"somebody{number}", "password": PASSWORD}
        return Visitor(clients[number]).send(pages[number], fields).status

    statuses = race(12, send)
    assert set(statuses) == {422, 429}
    rows = {row.name.partition(":")[0]: row.failures for row in db.session.scalars(select(FailureCount))}
    assert rows["address"] == rows["all-sign-ins"] == statuses.count(422)


def test_nobody_registers_without_end_from_one_address(app: Doorward) -> None:
    fields = {"username": "nina", "email": "nina@example.org", "password": PASSWORD}
    put(counter_of("register", "198.51.100.7"), throttle.MOST["register"])
    flooding = from_address(app, "198.51.100.7")
    assert flooding.send(flooding.get("/register"), fields).status == 429
    other = from_address(app, "198.51.100.8")
    assert other.send(other.get("/register"), fields).path == "/account"


@pytest.mark.parametrize("setting", [{"confirm_email": True}])
def test_nobody_fills_the_letter_box_of_another_by_registering(app: Doorward) -> None:
    make_account("alice")
    for email in ("alice@example.org", "nobody@example.org"):
        statuses = []
        for number in range(6):
            visitor = from_address(app, f"198.51.100.{number}")
            fields = {"username": f"{email[:3]}-{number}", "email": email, "password": PASSWORD}
            statuses.append(visitor.send(visitor.get("/register"), fields).status)
        assert statuses == [200] * 5 + [429], email


@pytest.mark.parametrize("setting", [{"confirm_email": True}])
@pytest.mark.parametrize("path", ["/forgotten", "/confirm"])
def test_all_mails_together_have_an_end_too(app: Doorward, path: str) -> None:
    make_account("alice")
    put(counter_of("all-mails", ""), throttle.MOST["all-mails"])
    for name in ("alice", "frank"):
        visitor = Visitor(app.test_client())
        assert visitor.send(visitor.get(path), {"name": name}).status == 429


def test_an_admin_invites_no_more_than_may_and_nobody_is_invited_without_end(app: Doorward) -> None:
    make_account("ada")
    ada = actor_named("ada")
    with transaction():
        made = invite_staff(ada, NewPerson("nina", "nina@example.org"), level=1)
    for _ in range(4):
        with transaction():
            invite_again(ada, made.account.id)
    with pytest.raises(LimitReached), transaction():
        invite_again(ada, made.account.id)
    put(counter_of("invite", str(ada.id)), throttle.MOST["invite"])
    with pytest.raises(LimitReached), transaction():
        invite_staff(ada, NewPerson("noah", "noah@example.org"), level=1)
