"""One commit per request; errors keep nothing but their trace and have one of two faces."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.exc import OperationalError

from portal.audit.models import AuditEntry
from portal.core.database import db
from portal.core.errors import Conflict, Invalid
from portal.usage.models import Plan
from tests.people import make_account
from tests.visitor import Visitor

if TYPE_CHECKING:
    from portal.web.frame import Doorward


def rename_plans(name: str) -> None:
    """A change to look for afterwards."""
    plan = db.session.scalars(select(Plan).where(Plan.name == "free")).one()
    plan.name = name


def plans_named(name: str) -> int:
    """How many there are."""
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(Plan).where(Plan.name == name)) or 0


def plant(app: Doorward, path: str, view: Callable[[], object]) -> None:
    """Give the application a view for this test."""
    app.add_url_rule(path, path, view)  # type: ignore[arg-type]  # a view may raise instead of answering


def test_a_request_is_committed_once(app: Doorward, person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    page = alice.get("/account/profile")
    commits: list[object] = []

    @event.listens_for(app.extensions["sqlalchemy"].session.session_factory, "after_commit")
    def count(session: object) -> None:
        commits.append(session)

    alice.send(page, {"display_name": "New Name"}, follow=False)
    assert len(commits) == 1


@pytest.mark.parametrize("raised", [ValueError("boom"), Conflict(), OperationalError("x", {}, Exception("gone"))])
def test_an_error_keeps_nothing_of_the_change(raised: Exception, app: Doorward, visitor: Visitor) -> None:
    def fail() -> None:
        rename_plans("lost")
        db.session.flush()
        raise raised

    plant(app, "/planted", fail)
    assert visitor.client.get("/planted").status_code >= 400
    assert plans_named("lost") == 0


def test_the_trace_of_a_refusal_outlives_its_rollback(app: Doorward, visitor: Visitor) -> None:
    def fail() -> None:
        rename_plans("lost")
        raise Invalid({}, trace=(lambda: rename_plans("kept"),))

    plant(app, "/planted", fail)
    assert visitor.client.get("/planted").status_code == 422
    assert (plans_named("lost"), plans_named("kept")) == (0, 1)


def test_a_failed_sign_in_is_recorded_although_it_is_refused(visitor: Visitor) -> None:
    make_account("alice")
    visitor.sign_in("alice", "wrong")
    query = select(func.count()).select_from(AuditEntry).where(AuditEntry.event == "sign_in.failed")
    assert db.session.scalar(query) == 1


def test_missing_and_forbidden_methods_have_pages(visitor: Visitor) -> None:
    assert visitor.get("/nothing-here").status == 404
    refused = visitor.post("/status")
    assert refused.status in {400, 405}
    gone = visitor.client.delete("/status")
    assert gone.status_code == 405
    assert "GET" in gone.headers["Allow"]


@pytest.mark.parametrize("setting", [{"max_body_bytes": 2048}])
def test_a_body_too_large_has_a_page(visitor: Visitor) -> None:
    answer = visitor.client.post("/sign-in", data={"name": "x" * 5000})
    assert answer.status_code == 413
    assert "larger than" in answer.get_data(as_text=True)


def test_an_unexpected_error_tells_no_inner_thing(app: Doorward, visitor: Visitor) -> None:
    def fail() -> None:
        raise RuntimeError("SELECT canary FROM /srv/secret.py")

    plant(app, "/planted", fail)
    plant(app, "/api/v1/planted", fail)
    page, document = (visitor.client.get(path) for path in ("/planted", "/api/v1/planted"))
    assert (page.status_code, document.status_code) == (500, 500)
    assert page.mimetype == "text/html"
    assert document.mimetype == "application/problem+json"
    for answer in (page, document):
        assert "canary" not in answer.get_data(as_text=True)
        assert answer.headers["X-Request-Id"] in answer.get_data(as_text=True)


def test_without_a_database_pages_say_that_it_is_away_and_when_to_come_back(app: Doorward, visitor: Visitor) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("canary"))

    plant(app, "/planted", fail)
    answer = visitor.get("/planted")
    assert answer.status == 503
    assert answer.response.headers["Retry-After"]
    assert "canary" not in answer.html


def test_errors_of_the_machine_door_are_documents(visitor: Visitor) -> None:
    for answer, status in (
        (visitor.client.get("/api/v1/nothing"), 404),
        (visitor.client.delete("/api/v1/keys/verify"), 405),
    ):
        assert answer.status_code == status
        assert answer.mimetype == "application/problem+json"
        assert answer.get_json()["request_id"] == answer.headers["X-Request-Id"]
