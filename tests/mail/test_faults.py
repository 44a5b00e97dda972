"""F20: whatever is wrong with the mail server, registering, resetting and signing in answer as ever, and mail comes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from portal.core import clock
from portal.mail import transport
from portal.mail.outbox import send_waiting
from portal.web.frame import Doorward
from tests.letters import letters
from tests.mail.catcher import Catcher, catching
from tests.people import make_account
from tests.visitor import SeenPage, Visitor

PHRASE = "four noisy trumpets"
CHANGING = re.compile(r'value="[^"]*"|[0-9a-f]{8}-?[0-9a-f-]{24,27}')
TROUBLES: dict[str, dict[str, Any]] = {
    "none": {},
    "busy": {"refuse": "451 later"},
    "refusing": {"refuse": "550 no such box"},
    "closing": {"refuse": "421 going down"},
    "mute": {"mute": True},
    "lost after the content": {"drops": 1},
    "lost with the content": {"drops": 1, "loses": True},
}


@pytest.fixture
def catcher() -> Iterator[Catcher]:
    """A server that keeps what it is sent."""
    with catching() as caught:
        yield caught


@pytest.fixture
def setting(catcher: Catcher) -> dict[str, Any]:
    """Mail leaves to the catcher, and an account waits for the mailed link."""
    return {"smtp_url": catcher.url, "mail_from": "desk@example.org", "confirm_email": True}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a moment for a server that says nothing, not a quarter of a minute."""
    monkeypatch.setattr(transport, "TIMEOUT_S", 0.5)


def bare(page: SeenPage) -> tuple[int, str]:
    """Status and markup without what differs between any two requests."""
    return page.status, CHANGING.sub("", page.html)


def go_through(app: Doorward) -> list[tuple[int, str]]:
    """Register, ask for a reset, sign in in two browsers; the answers."""
    first, second, stranger = (Visitor(app.test_client()) for _ in range(3))
    wanted = {"username": "nora", "email": "nora@example.org", "password": PHRASE, "again": PHRASE}
    return [
        bare(stranger.send(stranger.get("/register"), wanted)),
        bare(stranger.send(stranger.get("/forgotten"), {"name": "alice"})),
        bare(first.sign_in("alice")),
        bare(second.sign_in("alice")),
    ]


@pytest.fixture(params=TROUBLES)
def trouble(request: pytest.FixtureRequest) -> str:
    """One trouble after another."""
    name: str = request.param
    return name


def test_answers_are_the_same_and_mail_comes_whatever_the_server_does(
    app: Doorward, catcher: Catcher, trouble: str
) -> None:
    make_account("alice")
    for name, value in TROUBLES[trouble].items():
        setattr(catcher, name, value)
    answers = go_through(app)
    assert [status for status, _ in answers] == [200] * 4
    assert catcher.greetings == 0, "nobody waits for the mail server but the job"
    assert [(one.template, one.to) for one in letters()] == [
        ("confirm", "nora@example.org"),
        ("reset", "alice@example.org"),
        ("new_device", "alice@example.org"),
    ]
    send_waiting()
    catcher.refuse, catcher.mute = "", False
    for _ in range(3):
        clock.shift(clock.offset() + timedelta(minutes=2))
        send_waiting()
    arrived = Counter((mail.recipients[0], mail.message["Subject"]) for mail in catcher.mails)
    assert len(arrived) == 3
    assert sum(arrived.values()) - 3 == (1 if trouble == "lost after the content" else 0)


def test_the_answers_with_a_dead_server_are_those_with_a_living_one(app: Doorward, catcher: Catcher) -> None:
    make_account("alice")
    alive = go_through(app)
    catcher.mute = True
    send_waiting()
    make_account("bob")
    stranger = Visitor(app.test_client())
    wanted = {"username": "olga", "email": "olga@example.org", "password": PHRASE, "again": PHRASE}
    dead = [
        bare(stranger.send(stranger.get("/register"), wanted)),
        bare(stranger.send(stranger.get("/forgotten"), {"name": "bob"})),
    ]
    assert [(status, text.replace("olga", "nora")) for status, text in dead] == alive[:2]


@pytest.mark.parametrize("setting", [{"smtp_url": "smtp://127.0.0.1:1", "confirm_email": True}])
def test_a_server_that_is_down_costs_nobody_anything(app: Doorward) -> None:
    make_account("alice")
    assert [status for status, _ in go_through(app)] == [200] * 4
    assert send_waiting() == (0, 1)
    assert len(letters()) == 3


@pytest.mark.parametrize("wicked", ["\r\n", "\n", "\r", "\u2028", "\x85", "%0d%0a", "\x0b"])
def test_what_people_type_adds_no_header_and_no_recipient(app: Doorward, catcher: Catcher, wicked: str) -> None:
    """S083: the address and the names of a registration, through the page and onto the wire."""
    injected = f"{wicked}Bcc: eve@example.org"
    for number, fields in enumerate(({"display_name": f"Nora{injected}"}, {"email": f"n@example.org{injected}"}, {})):
        visitor = Visitor(app.test_client())
        given = {"username": f"nora{number}", "email": f"nora{number}@example.org", **fields}
        visitor.client.post("/register", data={**token(visitor), **given, "password": PHRASE, "again": PHRASE})
    send_waiting()
    for caught in catcher.mails:
        assert len(caught.recipients) == 1 and caught.recipients[0].startswith("nora")
        assert caught.message["Bcc"] is None and caught.message["Cc"] is None
        assert len(caught.message.get_all("To") or []) == 1
        assert "\n" not in caught.message["Subject"]
    assert len(catcher.mails) in {1, 2}


def token(visitor: Visitor) -> dict[str, str]:
    """The CSRF token of the registration form."""
    form = visitor.get("/register").form_to("/register")
    return {"csrf_token": next(one.get("value") or "" for one in form.iter("input") if one.get("name") == "csrf_token")}
