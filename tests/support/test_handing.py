"""Cases are passed on: of two who claim one gets it, it goes up or back with words why, and nobody is passed over."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal.accounts.models import Account, StaffMember
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import CaseNeeded, Conflict, Forbidden, Invalid, PortalError
from portal.jobs.runner import run_job
from portal.mail.models import OutboxMail
from portal.mail.outbox import opened
from portal.privacy.deletion import delete_user
from portal.support.asking import ask_for_help
from portal.support.cases import close_case, find_held_case, in_case
from portal.support.handing import claim_case, hand_back, hand_to_level, hand_to_person, takers_of
from portal.support.messages import answer_case
from portal.support.models import SupportCase
from portal.support.queue import count_for_me, count_waiting, find_case, open_case_page, own_desk, waiting_cases
from portal.web.frame import Doorward
from tests.people import actor_named, make_account, open_case_for
from tests.races import race


@pytest.fixture
def alice(app: Doorward) -> Account:
    """Who asks; the desk is staffed at each level."""
    for name in ("tess", "theo", "tara"):
        make_account(name)
    return make_account("alice")


def asked(name: str = "alice") -> UUID:
    """A case that this user opened."""
    with transaction():
        return ask_for_help(actor_named(name), subject="help", words="My key is refused.").id


def outcome(case_id: UUID, name: str) -> str:
    """What claiming comes to: "" or the words of what is wrong."""
    try:
        with transaction():
            claim_case(actor_named(name), case_id)
    except PortalError as error:
        return str(error)
    return ""


def queue_of(name: str) -> list[UUID]:
    return [line.case.id for line in waiting_cases(actor_named(name)).items]


def test_of_many_who_claim_at_once_one_gets_it_and_the_others_hear_who(alice: Account, app: Flask) -> None:
    names = ("tess", "theo", "tara")

    def claim(case_id: UUID, number: int) -> str:
        with app.app_context():
            return outcome(case_id, names[number % 3])

    for _ in range(3):
        case_id = asked()
        said = race(6, lambda number, case_id=case_id: claim(case_id, number))  # type: ignore[misc]  # its default binds the case
        db.session.expire_all()
        holder = db.session.get_one(Account, db.session.get_one(SupportCase, case_id).holder_id)
        told = Counter(said)
        assert told.pop("") == 1
        assert set(told) <= {f"{holder.shown_name} has taken this case on.", "You hold this case already."}
    claims = select(func.count()).select_from(AuditEntry).where(AuditEntry.event == "case.claimed")
    assert db.session.scalar(claims) == 3


def test_up_to_a_level_to_a_person_back_and_over(alice: Account) -> None:
    case_id = asked()
    tess, theo, tara = (actor_named(name) for name in ("tess", "theo", "tara"))
    claim_case(tess, case_id)
    assert takers_of(tess, db.session.get_one(SupportCase, case_id)).levels == [2, 3]
    for level, why, field in ((1, "x", "to"), (4, "x", "to"), (2, " ", "why"), (2, "x" * 501, "why"), (2, "\0", "why")):
        with pytest.raises(Invalid) as told:
            hand_to_level(tess, case_id, level=level, why=why)
        assert set(told.value.fields) == {field}
    hand_to_level(tess, case_id, level=2, why="Wants an unlock.")
    with pytest.raises(CaseNeeded):
        in_case(tess, alice.id)
    assert (queue_of("tess"), queue_of("theo"), queue_of("tara")) == ([], [case_id], [case_id])
    with pytest.raises(Forbidden, match="waits for level 2"):
        claim_case(tess, case_id)
    claim_case(theo, case_id)
    assert in_case(theo, alice.id).case_of == alice.id
    with pytest.raises(Conflict, match="do not hold"):
        hand_back(tess, case_id, why="x")
    for nobody in (tess.id, theo.id, alice.id):  # below the case, oneself, no staff
        with pytest.raises(Invalid):
            hand_to_person(theo, case_id, person_id=nobody or alice.id, why="x")
    hand_to_person(theo, case_id, person_id=tara.id or alice.id, why="Credits, please.")
    assert (queue_of("theo"), queue_of("tara")) == ([], [case_id])
    assert (count_for_me(tara), count_waiting(theo)) == (1, 0)
    assert [line.case.id for line in own_desk(tara).handed] == [case_id]
    with pytest.raises(Forbidden):
        claim_case(theo, case_id)
    mail = db.session.scalars(select(OutboxMail).where(OutboxMail.template == "case_handed")).one()
    to, values = opened(mail)
    assert (to, values["by"]) == ("tara@example.org", "theo")
    assert "alice" not in str(values).lower()
    claim_case(tara, case_id)
    hand_back(tara, case_id, why="Somebody else may.")
    claim_case(tara, case_id)
    case = close_case(tara, case_id, outcome="Gave credits.")
    db.session.flush()
    assert (case.state, case.holder_id, case.waiting_since, count_for_me(tara)) == ("closed", None, None, 0)
    done = db.session.scalars(select(AuditEntry).where(AuditEntry.case == case.number).order_by(AuditEntry.id)).all()
    assert [(entry.event, entry.actor_name, entry.reason) for entry in done] == [
        ("case.help_asked", "alice", None),
        ("case.claimed", "tess", "Asks for help"),
        ("case.handed_up", "tess", "Wants an unlock."),
        ("case.claimed", "theo", "Asks for help"),
        ("case.handed_up", "theo", "Credits, please."),
        ("case.claimed", "tara", "Asks for help"),
        ("case.handed_back", "tara", "Somebody else may."),
        ("case.claimed", "tara", "Asks for help"),
        ("case.closed", "tara", "Gave credits."),
    ]
    assert {entry.on_behalf_of for entry in done[1:]} == {alice.id}


def test_what_was_handed_to_somebody_who_is_gone_is_anybody_s_who_can(alice: Account) -> None:
    case_id = asked()
    tess, theo = actor_named("tess"), actor_named("theo")
    claim_case(tess, case_id)
    hand_to_person(tess, case_id, person_id=theo.id or alice.id, why="For you.")
    db.session.commit()
    other = StaffMember(**_like("thea"), level=2)
    with transaction():
        db.session.add(other)
    assert queue_of("thea") == []
    with transaction():
        db.session.get_one(StaffMember, theo.id).state = "suspended"
    assert queue_of("thea") == [case_id]


def test_who_waits_longest_comes_first_and_handing_back_costs_no_place(alice: Account) -> None:
    make_account("bob")
    first = asked()
    clock.shift(timedelta(minutes=10))
    second = asked("bob")
    tess = actor_named("tess")
    assert queue_of("tess") == [first, second]
    claim_case(tess, first)
    clock.shift(timedelta(minutes=20))
    hand_back(tess, first, why="Off to lunch.")
    assert queue_of("tess") == [first, second]
    claim_case(tess, first)
    answer_case(tess, first, words="Which key?")
    hand_back(tess, first, why="Wait for them.")
    assert queue_of("tess") == [second, first]


def test_what_the_user_wrote_in_goes_back_after_an_hour_and_all_else_closes(alice: Account) -> None:
    number = open_case_for("theo", alice)
    case_id = asked()
    with transaction():
        claim_case(actor_named("tess"), case_id)
    clock.shift(timedelta(minutes=61))
    run = run_job("close_idle_cases", by_hand=True)
    assert run is not None
    assert run.summary == "closed 1, back into the queue 1"
    db.session.expire_all()
    case = db.session.get_one(SupportCase, case_id)
    assert (case.state, case.holder_id, queue_of("tess")) == ("waiting", None, [case_id])
    assert find_held_case(actor_named("theo"), alice.id) is None
    entries = select(AuditEntry.event, AuditEntry.case).where(AuditEntry.actor_kind == "job")
    assert set(db.session.execute(entries).all()) >= {("case.closed", number), ("case.handed_back", case.number)}


def test_a_number_finds_its_case_until_the_user_is_deleted(alice: Account) -> None:
    number = open_case_for("theo", alice)
    tess, theo = actor_named("tess"), actor_named("theo")
    found = find_case(tess, f" {number.lower()} ")
    assert found is not None
    assert found.number == number
    assert [find_case(tess, typed) for typed in (number[:-1], "C-000000", "", "\0", number + "X")] == [None] * 5
    assert in_case(theo, alice.id, number=number).case == number
    seen = open_case_page(tess, number)
    assert (seen.line.mine, seen.claimable, [deed.who for deed in seen.deeds]) == (False, False, ["theo"])
    viewed = select(AuditEntry).where(AuditEntry.event == "record.viewed")
    assert [(one.case, one.reason) for one in db.session.scalars(viewed)] == [(number, None)]
    with transaction():
        delete_user(operator_actor().because("asked for it"), alice.id, typed_name="alice")
    assert find_case(tess, number) is None
    db.session.expire_all()
    assert db.session.scalars(select(SupportCase.state)).all() == ["closed"]
    with pytest.raises(CaseNeeded):
        in_case(theo, alice.id)


def _like(name: str) -> dict[str, object]:
    """The columns of one more staff member."""
    tess = db.session.scalars(select(Account).where(Account.username == "tess")).one()
    times = {"created_at": tess.created_at, "last_seen_at": tess.created_at, "state": "active"}
    return {"id": UUID(int=7), "username": name, "username_canonical": name, "email": None, **times}
