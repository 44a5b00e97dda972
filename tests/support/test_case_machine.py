"""A hypothesis state machine over the life of cases: whatever is done in whatever order, a case has exactly one state
with the holder that goes with it, and only who may do a thing does it."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import delete, select

from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.access import job_actor
from portal.core.database import db, transaction
from portal.core.errors import Conflict, Forbidden, LimitReached
from portal.support.asking import ask_for_help, write_in_case
from portal.support.cases import CLOSE_CASES_JOB, IDLE, close_case, close_idle_cases, open_case
from portal.support.handing import claim_case, hand_back, hand_to_level, hand_to_person, takers_of
from portal.support.messages import answer_case
from portal.support.models import CaseMessage, SupportCase
from tests.machines import run_machine
from tests.people import actor_named, make_account

if TYPE_CHECKING:
    from collections.abc import Callable

    from portal.core.actor import Actor
    from portal.web.frame import Doorward

DESK = ("tess", "theo", "tara")
WHO = st.sampled_from(DESK)
PICK = st.integers(0, 3)


class Cases(RuleBasedStateMachine):
    """One user, three at the desk, a few cases; `held` is who holds which, as the model knows it."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = timedelta(0)
        self.held: dict[Any, str] = {}
        self.people: dict[str, Actor] = {}

    @initialize()
    def begin(self) -> None:
        clock.shift(timedelta(0))
        with transaction():
            for table in (CaseMessage, SupportCase, AuditEntry):
                db.session.execute(delete(table))
        self.people = {name: actor_named(name) for name in (*DESK, "alice")}

    def cases(self) -> list[SupportCase]:
        db.session.expire_all()
        return list(db.session.scalars(select(SupportCase).order_by(SupportCase.id)))

    def attempt(self, act: Callable[..., object], *given: Any, **said: Any) -> bool:
        """Whether it went through, as one request."""
        try:
            with transaction():
                act(*given, **said)
        except (Conflict, Forbidden, LimitReached):
            return False
        return True

    @rule()
    def ask(self) -> None:
        self.attempt(ask_for_help, self.people["alice"], subject="help", words="Please.")

    @rule(name=WHO)
    def open(self, name: str) -> None:
        held = self.people[name]
        user = db.session.scalars(select(Account.id).where(Account.username == "alice")).one()
        self.attempt(open_case, held, user, reason="They called.", channel="phone")
        for case in self.cases():
            if case.holder_id == held.id:
                self.held[case.id] = name

    @rule(name=WHO, pick=PICK)
    def claim(self, name: str, pick: int) -> None:
        for case in self.cases()[pick : pick + 1]:
            waited = case.state == "waiting"
            if self.attempt(claim_case, self.people[name], case.id):
                assert waited
                self.held[case.id] = name

    @rule(name=WHO, pick=PICK, how=st.sampled_from(["answer", "back", "level", "person", "close"]))
    def act(self, name: str, pick: int, how: str) -> None:
        who = self.people[name]
        for case in self.cases()[pick : pick + 1]:
            takers = takers_of(who, case)
            acts: dict[str, Callable[..., object]] = {
                "answer": partial(answer_case, words="There."),
                "back": partial(hand_back, why="No time."),
                "close": partial(close_case, outcome="Done."),
            }
            if takers.levels:
                acts["level"] = partial(hand_to_level, level=takers.levels[-1], why="Up.")
            if takers.people:
                acts["person"] = partial(hand_to_person, person_id=takers.people[-1].id, why="Yours.")
            if how in acts:
                assert self.attempt(acts[how], who, case.id) == (self.held.get(case.id) == name)
                if how != "answer" and self.held.get(case.id) == name:
                    del self.held[case.id]

    @rule(pick=PICK)
    def write(self, pick: int) -> None:
        for case in self.cases()[pick : pick + 1]:
            self.attempt(write_in_case, self.people["alice"], case.number, words="And?")

    @rule(minutes=st.sampled_from([7, 61]))
    def wait(self, minutes: int) -> None:
        self.passed += timedelta(minutes=minutes)
        clock.shift(self.passed)
        with transaction():
            close_idle_cases(job_actor(CLOSE_CASES_JOB))
        for case in self.cases():
            if case.used_at <= clock.now() - IDLE:
                self.held.pop(case.id, None)

    @invariant()
    def each_has_one_state(self) -> None:
        names = {person.id: name for name, person in self.people.items()}
        for case in self.cases():
            held, waits = case.state == "held", case.state == "waiting"
            assert names.get(case.holder_id) == self.held.get(case.id)
            assert (case.holder_id is not None) == held
            assert (case.closed_at is not None) == (case.state == "closed")
            assert case.wanted_id is None or waits
            assert case.waiting_since is not None if waits else True
            assert case.waiting_since is None if case.state == "closed" else True
            assert 1 <= case.level <= 3
            last = db.session.scalars(
                select(AuditEntry.event).where(AuditEntry.case == case.number).order_by(AuditEntry.id.desc()).limit(1)
            ).first()
            assert last not in {"case.handed_up", "case.handed_back"} or not held


def test_a_case_has_exactly_one_state(app: Doorward) -> None:
    for name in (*DESK, "alice"):
        make_account(name)
    run_machine(Cases, 8, 12)
