"""A case is the ground on which staff act: opened with a reason, about one user, closed when nothing is done in it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta

import pytest
from flask import g
from sqlalchemy import select

from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.access import check_case
from portal.core.actor import Actor
from portal.core.database import db
from portal.core.errors import CaseNeeded, Conflict, Invalid, NotFound
from portal.jobs.runner import run_job
from portal.support.cases import close_case, find_held_case, in_case, open_case
from portal.support.models import SupportCase
from portal.web.acting import acting_by_header
from portal.web.frame import Doorward
from tests.people import acting, actor_named, make_account, open_case_for
from tests.visitor import Visitor


@pytest.fixture
def alice(app: Doorward) -> Account:
    """Who calls."""
    for name in ("tess", "theo", "ada"):
        make_account(name)
    return make_account("alice")


def test_whoever_acts_in_a_case_acts_for_its_user_with_its_reason(alice: Account) -> None:
    number = open_case_for("theo", alice)
    who = acting("theo", alice)
    assert (who.case, who.case_of, who.on_behalf_of, who.reason) == (number, alice.id, alice.id, "They called.")
    check_case(who, alice.id)
    assert in_case(actor_named("theo").because("A mail."), alice.id, number=number).reason == "A mail."
    opened = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "case.opened")).one()
    assert (opened.case, opened.target_name, opened.reason) == (number, "alice", "They called.")


def test_a_case_is_about_one_user_and_one_holder(alice: Account) -> None:
    bob = make_account("bob")
    open_case_for("theo", alice)
    for who, user in (("theo", bob), ("tess", alice)):
        with pytest.raises(CaseNeeded):
            in_case(actor_named(who), user.id)
    with pytest.raises(CaseNeeded):
        check_case(acting("theo", alice), bob.id)
    with pytest.raises(CaseNeeded):
        in_case(actor_named("theo"), alice.id, number="C-222222")
    assert in_case(actor_named("ada"), alice.id).case is None
    with pytest.raises(Conflict):
        open_case_for("theo", alice)


def test_what_is_wrong_with_a_case_is_told(alice: Account) -> None:
    theo = actor_named("theo")
    for reason, channel, reference, field in (
        (" ", "phone", "", "reason"),
        ("x" * 501, "phone", "", "reason"),
        ("x", "page", "", "channel"),
        ("x", "smoke", "", "channel"),
        ("x", "phone", "y" * 81, "reference"),
    ):
        with pytest.raises(Invalid) as told:
            open_case(theo, alice.id, reason=reason, channel=channel, reference=reference)
        assert set(told.value.fields) == {field}
    with pytest.raises(NotFound):
        open_case(theo, theo.id or alice.id, reason="x", channel="phone")


def test_an_hour_without_use_closes_it_and_use_keeps_it(alice: Account) -> None:
    number = open_case_for("theo", alice)
    clock.shift(timedelta(minutes=59))
    assert acting("theo", alice).case == number
    clock.shift(timedelta(minutes=59 + 59))
    run_job("close_idle_cases", by_hand=True)
    assert find_held_case(actor_named("theo"), alice.id) is not None
    clock.shift(timedelta(minutes=59 + 60))
    assert find_held_case(actor_named("theo"), alice.id) is None  # before the job has come by
    run = run_job("close_idle_cases", by_hand=True)
    assert run is not None
    assert run.summary == "closed 1, back into the queue 0"
    case = db.session.scalars(select(SupportCase).execution_options(populate_existing=True)).one()
    assert (case.state, case.holder_id, case.closed_by) == ("closed", None, None)
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "case.closed")).one()
    assert (entry.case, entry.facts, entry.actor_kind) == (number, {"why": "idle"}, "job")


def test_only_its_holder_closes_a_case_and_says_what_came_of_it(alice: Account) -> None:
    open_case_for("theo", alice)
    case = db.session.scalars(select(SupportCase)).one()
    with pytest.raises(Conflict):
        close_case(actor_named("tess"), case.id, outcome="done")
    for outcome in ("", "x" * 501):
        with pytest.raises(Invalid):
            close_case(actor_named("theo"), case.id, outcome=outcome)
    assert close_case(actor_named("theo"), case.id, outcome="All well.").outcome == "All well."
    db.session.flush()
    with pytest.raises(CaseNeeded):
        in_case(actor_named("theo"), alice.id)


def test_on_the_page_it_opens_and_leads_back(alice: Account, person: Callable[..., Visitor]) -> None:
    tara = person("tara")
    page = tara.get(f"/staff/cases/new/{alice.id}?next=/staff/users/{alice.id}/logs")
    assert "Say what it is about." in tara.send(page, {"reason": ""}).text
    after = tara.send(page, {"reason": "They called.", "channel": "mail", "reference": "T-9"})
    assert after.path == f"/staff/users/{alice.id}/logs"
    case = db.session.scalars(select(SupportCase)).one()
    assert f"Case {case.number} is open." in after.text
    assert (case.channel, case.reference, case.state) == ("mail", "T-9", "held")
    again = tara.send(page, {"reason": "Once more."})
    assert (again.status, "hold an open case about this user already" in again.text) == (422, True)


def test_a_job_or_a_user_needs_no_case(alice: Account) -> None:
    who: Actor = actor_named("alice")
    assert in_case(who, alice.id) is who
    check_case(who, alice.id)


def test_the_api_names_the_case_in_a_header(app: Doorward, alice: Account) -> None:
    number = open_case_for("theo", alice)
    for header, acts in ((f" {number.lower()}", True), ("", False), ("C-222222", False), (number + "\u00df", False)):
        with app.test_request_context(headers={"X-Case": header}):
            g.actor = actor_named("theo")
            with nullcontext() if acts else pytest.raises(CaseNeeded):
                assert acting_by_header(alice.id, "They asked again.").reason == "They asked again."
