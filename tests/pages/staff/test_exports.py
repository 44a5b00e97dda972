"""Exporting what another person said, from the desk and the console: with the right, for a reason, with entries."""

from __future__ import annotations

import json
from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy import select

from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core.database import db
from portal.core.ids import new_id
from portal.jobs.table import JOBS
from tests.people import make_account, open_case_for
from tests.visitor import Visitor

Talk = Callable[..., None]
Browser = Callable[[str], Visitor]
DOORS = pytest.mark.parametrize(("name", "door"), [("tara", "/staff"), ("ada", "/admin")])


@pytest.fixture
def alice(talk: Talk) -> Account:
    """Alice, who said two things."""
    made = make_account("alice")
    make_account("bob")
    talk("bob", "a lantern of Bob")
    talk("alice", "a lantern")
    talk("alice", "a lighthouse")
    return made


def form_of(door: str, user_id: UUID) -> str:
    """Where the form is."""
    return f"{door}/exports/{user_id}/new"


def read_for() -> list[tuple[str, str | None, str | None]]:
    """(what, whose, why) of each entry."""
    found = db.session.scalars(select(AuditEntry).where(AuditEntry.event.startswith("conversation.")))
    return sorted((one.event, one.target_name, one.reason) for one in found)


@DOORS
def test_it_is_the_answer_for_a_reason_and_leaves_entries(
    alice: Account, browser: Browser, name: str, door: str
) -> None:
    make_account(name)
    visitor = browser(name)
    if name == "tara":
        assert visitor.get(form_of(door, alice.id)).path.startswith("/staff/cases/new/")
        open_case_for(name, alice)
    page = visitor.get(form_of(door, alice.id))
    refused = visitor.send(page, {"q": "lantern", "reason": ""})
    assert refused.status == 422
    assert "Say why" in refused.text
    assert read_for() == []
    sent = visitor.send(page, {"reason": "asked by phone"})
    said = [json.loads(line)["messages"][0]["content"] for line in sent.html.splitlines()]
    assert said == ["a lantern", "a lighthouse"]
    assert read_for() == [
        ("conversation.exported", "alice", "asked by phone"),
        ("conversation.read", "alice", "asked by phone"),
    ]


@DOORS
@pytest.mark.parametrize("setting", [{"export_most_streamed": 1}])
def test_a_large_one_is_for_who_asked(alice: Account, browser: Browser, name: str, door: str) -> None:
    make_account(name)
    visitor = browser(name)
    if name == "tara":
        open_case_for(name, alice)
    page = visitor.send(visitor.get(form_of(door, alice.id)), {"reason": "a case"})
    assert page.path.startswith("/account/exports/")
    JOBS["do_long_works"].work()
    (link,) = [link for link in visitor.get(page.path).links() if "/file?link=" in link]
    assert "lighthouse" in visitor.get(link).html
    for other in ("alice", "bob"):
        assert browser(other).get(link).status == 404
        assert browser(other).get("/account/exports").text.count("Waiting") == 0


@DOORS
def test_the_list_of_logs_leads_there(alice: Account, browser: Browser, name: str, door: str) -> None:
    make_account(name)
    lists = {"/staff": f"/staff/users/{alice.id}/logs", "/admin": f"/admin/logs?user={alice.id}"}
    assert form_of(door, alice.id) in browser(name).get(lists[door]).links()


@pytest.mark.parametrize(
    ("name", "door"), [("tess", "/staff"), ("theo", "/staff"), ("max", "/admin"), ("bob", "/admin")]
)
def test_nobody_else_gets_there(alice: Account, browser: Browser, name: str, door: str) -> None:
    if name != "bob":
        make_account(name)
    visitor = browser(name)
    assert visitor.get(form_of(door, alice.id)).status in {403, 404}
    assert visitor.post(form_of(door, alice.id), {"reason": "curious"}).status in {400, 401, 403, 404}
    assert read_for() == []


@DOORS
def test_of_nobody_and_of_no_user_there_is_nothing(app: object, browser: Browser, name: str, door: str) -> None:
    make_account(name)
    tess = make_account("tess")
    for user_id in (tess.id, new_id()):
        assert browser(name).get(form_of(door, user_id)).status == 404
