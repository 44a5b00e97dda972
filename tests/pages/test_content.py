"""What somebody said, looked for at every address by everybody: it shows where it may, and that leaves an entry.

The other half, over the source, is tests/structure/test_content.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core.database import db
from tests.conftest import Machine
from tests.pages.conftest import House
from tests.pages.test_access import PEOPLE, address_of, routes_of, token_of
from tests.people import open_case_for
from tests.visitor import Visitor

if TYPE_CHECKING:
    from portal.web.frame import Doorward

# What was said, asked and answered and noted beside it, and what lies in quarantine; the title is the first of it.
WORDS = ("does {} want", "Tea, {} said", "a note on {}", "{} said this aside")
OWN = {"/account", "/account/conversations", "/account/conversations/<uuid:conversation_id>"}
DESK, CONSOLE = "/staff/users/<uuid:user_id>/logs/<uuid:log_id>", "/admin/logs/<uuid:log_id>"
API_LOG = "/api/v1/message-logs/<uuid:log_id>"
# Who sees what Bob said, where, after giving a reason. Nobody else anywhere; and nobody without.
FOR_A_REASON = {"tara": {DESK}, "ada": {CONSOLE}, "machine": {API_LOG}}
QUERIES = ("", "?q=want", "?q=tea&user={bob}&user_id={bob}")
# Where a query may narrow or search anything; each other address is asked once.
SEARCHED = ("conversations", "logs", "exports", "prompts", "users", "audit", "quarantine")


def leaks(visitor: Visitor, app: Doorward, house: House, *, of: str, headers: dict[str, str] | None = None) -> set[str]:
    """Every route that shows anything of what this person said."""
    said = [words.format(of) for words in WORDS]
    found = set()
    for method, route in routes_of(app):
        if method != "GET" or route.startswith("/static"):
            continue
        for query in QUERIES if any(word in route for word in SEARCHED) else QUERIES[:1]:
            filled = query.format(bob=house["bob"])
            address = address_of(route, house).replace(
                str(house["alice's conversation"]), str(house[f"{of}'s conversation"])
            )
            answer = visitor.client.get(address + filled, headers=headers or {})
            shown = " ".join(
                answer.get_data().decode("utf-8", "replace").replace("<mark>", "").replace("</mark>", "").split()
            )
            answer.close()
            if any(words in shown for words in said):
                found.add(route)
    return found


def entries(actor: str) -> int:
    """How often this actor read what somebody said, by the audit log."""
    query = select(func.count()).where(AuditEntry.event == "conversation.read", AuditEntry.actor_name == actor)
    return db.session.scalar(query) or 0


@pytest.fixture
def seen_as(browser: Callable[[str], Visitor], machine: Callable[..., Machine]) -> Callable[[str], Visitor]:
    """A visitor by name; `machine` shows a client's token with every scope."""

    def enter(name: str) -> Visitor:
        visitor = browser("nobody" if name == "machine" else name)
        if name == "machine":
            visitor.client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {machine(name='every scope').token}"
        return visitor

    return enter


@pytest.mark.parametrize("name", PEOPLE)
def test_without_a_reason_nobody_sees_what_another_said(
    name: str, app: Doorward, house: House, seen_as: Callable[[str], Visitor]
) -> None:
    visitor = seen_as(name)
    assert leaks(visitor, app, house, of="bob") == set()
    assert entries("every scope" if name == "machine" else name) == 0


def test_ones_own_words_are_shown_to_oneself(app: Doorward, house: House, seen_as: Callable[[str], Visitor]) -> None:
    assert leaks(seen_as("alice"), app, house, of="alice") == OWN
    assert entries("alice") == 0


@pytest.mark.parametrize("name", sorted(FOR_A_REASON))
def test_a_reason_shows_it_in_one_place_and_leaves_an_entry_each_time(
    name: str, app: Doorward, house: House, seen_as: Callable[[str], Visitor]
) -> None:
    visitor = seen_as(name)
    headers = {"X-Reason": "a case"} if name == "machine" else {}
    if name != "machine":
        (route,) = FOR_A_REASON[name]
        if name == "tara":
            open_case_for("tara", db.session.get_one(Account, house["bob"]))
        given = {"csrf_token": token_of(visitor), "reason": "a case"}
        visitor.post(address_of(route, house), given)
    before = entries("every scope" if name == "machine" else name)
    assert leaks(visitor, app, house, of="bob", headers=headers) == FOR_A_REASON[name]
    assert entries("every scope" if name == "machine" else name) == before + len(QUERIES)
    kept = select(AuditEntry).where(AuditEntry.event == "conversation.read")
    assert {(one.target_name, one.reason) for one in db.session.scalars(kept)} == {("bob", "a case")}
    # Of Alice, whom nobody gave a reason for, there is still nothing.
    if name != "machine":
        assert leaks(visitor, app, house, of="alice") == set()


def test_the_eyes_of_this_test_are_good(app: Doorward, house: House, seen_as: Callable[[str], Visitor]) -> None:
    @app.get("/planted-leak")
    def planted() -> str:
        return "What does <mark>bob</mark> want?"

    app.url_map.update()
    assert "/planted-leak" in {route for _, route in routes_of(app)}
    assert leaks(seen_as("nobody"), app, house, of="bob") == {"/planted-leak"}
