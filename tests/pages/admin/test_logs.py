"""/admin/logs and /staff/users/<id>/logs: metadata for many, words for a reason, and the quarantine."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.database import db, transaction
from portal.messages.models import MessageLog, QuarantinedRecord
from portal.messages.quarantine import set_aside
from portal.messages.spool_protocol import line_of
from tests.people import make_account, open_case_for
from tests.visitor import SeenPage, Visitor

Talk = Callable[..., None]
Browser = Callable[[str], Visitor]
PLACES = {"ada": "/admin/logs/{log}", "tara": "/staff/users/{user}/logs/{log}"}
QUARANTINE = "/admin/logs/quarantine"
LISTS = {"ada": "/admin/logs", "theo": "/staff/users/{user}/logs", "tara": "/staff/users/{user}/logs"}


@pytest.fixture
def bob(talk: Talk) -> UUID:
    """Bob, who has asked two things; everybody who looks is there too."""
    for name in ("ada", "theo", "tara", "max"):
        make_account(name)
    user = make_account("bob")
    talk("bob", "Where is <b>my</b> order?", "On a ship.", id="r-1", conversation_id="c-1", metadata={"tag": "parcel"})
    talk("bob", "And when?", "Soon.", id="r-2", conversation_id="c-2", model="m-2", timestamp="2026-01-02T10:00:00Z")
    return user.id


def log_of(source: str) -> UUID:
    """Our id of the log that its caller calls so."""
    return db.session.scalars(select(MessageLog.id).where(MessageLog.source_id == source)).one()


def records(page: SeenPage) -> set[str]:
    """The logs that the list shows."""
    return set(re.findall(r"\br-\d\b", page.text))


def entries(event: str) -> list[AuditEntry]:
    """What was written of it."""
    return list(db.session.scalars(select(AuditEntry).where(AuditEntry.event == event)))


@pytest.mark.parametrize("name", sorted(LISTS))
def test_the_list_shows_metadata_and_narrows(bob: UUID, browser: Browser, name: str) -> None:
    visitor, place = browser(name), LISTS[name].format(user=bob)
    page = visitor.get(place)
    assert records(page) == {"r-1", "r-2"}
    assert "order" not in page.html
    for query, left in (
        ("q=r-1", {"r-1"}), ("q=m-2", {"r-2"}), ("q=c-2", {"r-2"}), ("q=ship", set()), ("model=m-2", {"r-2"}),
        ("conversation=c-1", {"r-1"}), ("to=2026-01-02", {"r-2"}), ("from=2026-01-03", {"r-1"}),
        ("from=x", {"r-1", "r-2"}),
        ("from=2026-01-02&to=2026-01-02&model=m-2", {"r-2"}), ("to=9999-12-31", {"r-1", "r-2"}),
    ):  # fmt: skip
        found = visitor.get(f"{place}?{query}")
        assert found.status == 200
        assert {log for log in ("r-1", "r-2") if f">{log}<" in found.html} == left, query
    links = [link for link in page.links() if str(log_of("r-1")) in link]
    assert bool(links) == (name in PLACES)


@pytest.mark.parametrize("name", sorted(PLACES))
def test_a_reason_opens_what_was_said_for_half_an_hour(bob: UUID, browser: Browser, name: str) -> None:
    visitor = browser(name)
    if name == "tara":
        open_case_for("tara", db.session.get_one(Account, bob))
    first, second = (PLACES[name].format(user=bob, log=log_of(source)) for source in ("r-1", "r-2"))
    asked = visitor.get(first)
    assert "Why do you need to read this?" in asked.text
    assert "order" not in asked.html
    assert "Say why" in visitor.send(asked, {"reason": ""}).text
    assert entries("conversation.read") == entries("conversation.opened") == []
    opened = visitor.send(asked, {"reason": "case 12: a lost order"})
    assert "Where is <b>my</b> order?" in opened.text
    assert "<b>my" not in opened.html
    assert "parcel" in opened.text
    assert "case 12: a lost order" in opened.text
    assert "Soon." in visitor.get(second).text
    assert {(one.actor_name, one.target_name, one.reason) for one in entries("conversation.read")} == {
        (name, "bob", "case 12: a lost order")
    }
    assert len(entries("conversation.read")) == 2
    clock.shift(timedelta(minutes=29))
    assert "order" in visitor.get(first).text
    clock.shift(timedelta(minutes=31))
    again = visitor.get(first)
    assert "Why do you need to read this?" in again.text
    assert "Where is" not in again.html


def test_the_reason_of_one_opens_nothing_to_another_nor_of_another(bob: UUID, talk: Talk, browser: Browser) -> None:
    make_account("alice")
    talk("alice", "a secret of hers", id="r-3")
    ada, carl = browser("ada"), browser("tara")
    open_case_for("tara", db.session.get_one(Account, bob))
    ada.send(ada.get(f"/admin/logs/{log_of('r-1')}"), {"reason": "asked"})
    assert "secret" not in ada.get(f"/admin/logs/{log_of('r-3')}").html
    assert "order" not in carl.get(f"/staff/users/{bob}/logs/{log_of('r-1')}").html


@pytest.fixture
def aside(bob: UUID) -> UUID:
    """A record of Bob's that lies in quarantine."""
    with transaction():
        assert set_aside(
            "k-1",
            line_of(b'{"source_id": "r-9", "user_id": "%s", "messages": "canary"}' % str(bob).encode()),
            "damaged line",
        )
    return db.session.scalars(select(QuarantinedRecord.id)).one()


def test_the_quarantine_says_why_and_nothing_of_what_was_said(aside: UUID, browser: Browser) -> None:
    ada = browser("ada")
    assert "Quarantine 1" in ada.get("/admin/logs").text
    page = ada.get(QUARANTINE)
    assert "damaged line" in page.text
    assert "r-9" in page.text
    assert "canary" not in page.html
    assert browser("max").get(QUARANTINE).status == 403


def test_what_still_cannot_be_stored_stays_with_the_reason(aside: UUID, browser: Browser) -> None:
    ada = browser("ada")
    page = ada.send(ada.get(QUARANTINE), {}, to=f"{QUARANTINE}/{aside}/retry")
    assert "It still cannot be stored" in page.text
    assert "r-9" in page.text
    assert entries("quarantine.retried") == []


def test_all_can_be_tried_again_with_one_button(aside: UUID, browser: Browser) -> None:
    ada = browser("ada")
    page = ada.get(QUARANTINE)
    assert "User bob" in page.text
    assert "Try all again" in page.text
    tried = ada.send(page, {}, to=f"{QUARANTINE}/retry")
    assert "1 record still cannot be stored." in tried.text
    assert "r-9" in tried.text


def test_what_is_dropped_is_gone_and_leaves_an_entry(aside: UUID, browser: Browser) -> None:
    ada = browser("ada")
    page = ada.send(ada.get(QUARANTINE), {}, to=f"{QUARANTINE}/{aside}/drop")
    assert "Nothing is set aside" in page.text
    assert [one.target_name for one in entries("quarantine.dropped")] == ["r-9"]
    assert db.session.scalars(select(QuarantinedRecord)).all() == []
