"""Accounts that are there, missing, suspended, deleted, locked or without a password: doors that anybody may knock at
answer all alike, and do as much work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Engine, event

from portal.accounts.models import State
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.privacy.deletion import delete_user
from portal.web.frame import Doorward
from tests.people import PASSWORD, make_account
from tests.signin.telling import told
from tests.visitor import SeenPage, Visitor

CONFIRMING = {"confirm_email": True}
NUMBERS = count()


def deleted(name: str) -> None:
    """One who was there and is deleted, with names that stay reserved."""
    account = make_account(name)
    with transaction():
        delete_user(operator_actor().because("asked"), account.id, typed_name=name)


SORTS: dict[str, Callable[[str], object]] = {
    "there": lambda name: make_account(name),
    "suspended": lambda name: make_account(name, state=State.SUSPENDED.value),
    "invited": lambda name: make_account(name, state=State.INVITED.value, password_hash=None),
    "locked": lambda name: make_account(name, locked_at=clock.now()),
    "without a password": lambda name: make_account(name, password_hash=None),
    "with a second factor": lambda name: make_account(name, has_factor=True),
    "unconfirmed": lambda name: make_account(name, email_verified_at=None),
    "deleted": deleted,
    "missing": lambda name: None,
}
NAMES = {sort: f"person{number}" for number, sort in enumerate(SORTS)}


@pytest.fixture
def people(app: Doorward) -> None:
    """One of each sort."""
    for sort, make in SORTS.items():
        make(NAMES[sort])


def sign_in(visitor: Visitor, name: str) -> SeenPage:
    return visitor.sign_in(name, "wrong words here")


def ask_for_reset(visitor: Visitor, name: str) -> SeenPage:
    return visitor.send(visitor.get("/forgotten"), {"name": name})


def ask_again(visitor: Visitor, name: str) -> SeenPage:
    return visitor.send(visitor.get("/confirm"), {"name": name})


def register(visitor: Visitor, name: str) -> SeenPage:
    """With an e-mail address that may be another's; the username is a new one."""
    email = name if "@" in name else f"{name}@example.org"
    fields = {"username": f"somebody-{next(NUMBERS)}", "email": email, "password": PASSWORD}
    return visitor.send(visitor.get("/register"), fields)


DOORS = {"sign in": sign_in, "reset": ask_for_reset, "resend": ask_again, "register": register}


@pytest.mark.parametrize("setting", [CONFIRMING])
@pytest.mark.parametrize("by", ["name", "e-mail"])
@pytest.mark.parametrize("door", DOORS)
def test_status_words_headers_and_cookies_are_the_same(app: Doorward, people: None, door: str, by: str) -> None:
    answers = {}
    for sort, name in NAMES.items():
        typed = name if by == "name" else f"{name}@example.org"
        answers[sort] = told(DOORS[door](Visitor(app.test_client()), typed), typed)
    expected = answers["missing"]
    assert expected[0] == (422 if door == "sign in" else 200)
    assert {sort: answer for sort, answer in answers.items() if answer != expected} == {}


@pytest.mark.parametrize("setting", [CONFIRMING])
@pytest.mark.parametrize("door", DOORS)
def test_too_many_tries_are_too_many_for_whoever_it_is(app: Doorward, people: None, door: str) -> None:
    answers: dict[str, object] = {}
    for sort, name in NAMES.items():
        client = app.test_client()
        client.environ_base["REMOTE_ADDR"] = f"198.51.100.{len(answers)}"
        typed = f"{name}@example.org"
        page = DOORS[door](Visitor(client), typed)
        for _ in range(20):
            if page.status == 429:
                break
            page = DOORS[door](Visitor(client), typed)
        assert page.status == 429, sort
        answers[sort] = told(page, typed)
    assert {sort: answer for sort, answer in answers.items() if answer != answers["missing"]} == {}


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """What is asked of the database inside the block: the first words of each statement."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(" ".join(statement.replace("\n", " ").split()[:3]))

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("setting", [CONFIRMING])
@pytest.mark.parametrize("door", ["sign in", "reset", "resend"])
def test_as_much_is_asked_of_the_database(app: Doorward, people: None, door: str) -> None:
    """Whether or not there is somebody to mail to; savepoints, in which work is taken back, aside."""
    asked = {}
    for sort in ("there", "unconfirmed", "suspended", "without a password", "missing"):
        visitor = Visitor(app.test_client())
        DOORS[door](visitor, f"{sort.replace(' ', '-')}-warming-up")
        page = visitor.get({"sign in": "/sign-in", "reset": "/forgotten", "resend": "/confirm"}[door])
        with statements(db.engine) as seen:
            visitor.send(page, {"name": NAMES[sort], "password": "wrong words here"})
        asked[sort] = sorted(line for line in seen if "SAVEPOINT" not in line)
    for sort, lines in asked.items():
        assert abs(len(lines) - len(asked["missing"])) <= 1, (sort, lines, asked["missing"])
        written = [line for line in lines if not line.startswith("SELECT")]
        assert written == [line for line in asked["missing"] if not line.startswith("SELECT")], sort


def test_with_no_confirmation_there_is_nothing_to_send_again(visitor: Visitor) -> None:
    assert visitor.get("/confirm").status == 404
    assert "/confirm" not in visitor.get("/sign-in").links()
