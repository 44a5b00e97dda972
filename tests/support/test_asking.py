"""The user's door: a case opens with a number, the talk goes both ways, within bounds, and is nobody else's."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.database import db, transaction
from portal.core.errors import Conflict, Forbidden, Invalid, LimitReached, NotFound, PortalError
from portal.mail.models import OutboxMail
from portal.mail.outbox import opened
from portal.support.asking import ask_for_help, own_case, own_cases, own_talk, write_in_case
from portal.support.cases import close_case
from portal.support.handing import claim_case
from portal.support.messages import answer_case
from portal.support.models import SupportCase
from portal.web.frame import Doorward
from tests.pages.conftest import refuse
from tests.people import actor_named, make_account
from tests.races import race


@pytest.fixture
def alice(app: Doorward) -> Account:
    """Who asks; Bob is somebody else."""
    for name in ("tess", "bob"):
        make_account(name)
    return make_account("alice")


def ask(words: str = "It does not work.", **given: str) -> SupportCase:
    with transaction():
        return ask_for_help(actor_named("alice"), **{"subject": "help", "words": words, **given})


def test_it_waits_at_level_one_and_names_the_refused_call(alice: Account) -> None:
    decision = refuse(alice)
    case = ask(" Why?\r\nI pay. ", subject="more", decision=f" {decision} ")
    assert (case.state, case.level, case.subject, case.channel) == ("waiting", 1, "more", "page")
    assert (case.decision_id, case.opened_by, case.wanted_id) == (decision, alice.id, None)
    assert [one.words for one in own_talk(actor_named("alice"), case.number)] == ["Why?\nI pay."]
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "case.help_asked")).one()
    assert (entry.actor_name, entry.facts) == ("alice", {"subject": "more"})
    others = refuse(db.session.scalars(select(Account).where(Account.username == "bob")).one())
    for given, field in (
        ({"words": " "}, "message"),
        ({"words": "x" * 4001}, "message"),
        ({"words": "a\0b"}, "message"),
        ({"words": "\ud800"}, "message"),
        ({"subject": "call"}, "subject"),
        ({"decision": str(others)}, "decision"),
        ({"decision": "nonsense\0"}, "decision"),
    ):
        with pytest.raises(Invalid) as told:
            ask(**given)
        assert set(told.value.fields) == {field}


def test_the_talk_goes_both_ways_and_the_mail_says_nothing_of_it(alice: Account) -> None:
    case = ask()
    who, tess = actor_named("alice"), actor_named("tess")
    with pytest.raises(Conflict):
        answer_case(tess, case.id, words="Not mine to answer.")
    claim_case(tess, case.id)
    answer_case(tess, case.id, words="Which secret key?")
    answer_case(tess, case.id, words="The second.")
    db.session.flush()
    assert db.session.get_one(SupportCase, case.id).waiting_since is None
    to, values = opened(db.session.scalars(select(OutboxMail).where(OutboxMail.template == "case_answer")).one())
    assert to == "alice@example.org"
    assert values["link"].endswith(f"/account/help/{case.number}")
    assert "secret" not in str(values)
    after = write_in_case(who, case.number, words="The first.")
    assert (after.state, after.waiting_since is not None) == ("held", True)
    assert [(one.by_user, one.words) for one in own_talk(who, case.number)] == [
        (True, "It does not work."),
        (False, "Which secret key?"),
        (False, "The second."),
        (True, "The first."),
    ]
    assert [one.number for one in own_cases(who).items] == [case.number]
    bob = actor_named("bob")
    assert own_cases(bob).items == []
    for way in (own_case, own_talk, lambda who, number: write_in_case(who, number, words="x")):
        with pytest.raises(NotFound):
            way(bob, case.number)


def test_writing_opens_it_again_for_seven_days(alice: Account) -> None:
    case = ask()
    who, tess = actor_named("alice"), actor_named("tess")
    for days, opens in ((6, True), (8, False)):
        with transaction():
            claim_case(tess, case.id)
            close_case(tess, case.id, outcome="Fixed.")
        clock.shift(timedelta(days=days))
        assert own_case(who, case.number)[1] is opens
        if opens:
            with transaction():
                after = write_in_case(who, case.number, words="Not at all.")
            assert (after.state, after.closed_at, after.closed_by, after.level) == ("waiting", None, None, 1)
            clock.shift(timedelta(0))
    with pytest.raises(Conflict):
        write_in_case(who, case.number, words="Still not.")


def test_five_open_cases_and_twenty_messages_an_hour_also_at_once(alice: Account, app: Flask) -> None:
    def tried(_: int) -> str:
        with app.app_context():
            try:
                return ask().number
            except PortalError as error:
                return type(error).__name__

    numbers = race(8, tried)
    assert numbers.count("LimitReached") == 3
    number = next(one for one in numbers if one.startswith("C-"))
    db.session.rollback()

    def wrote(_: int) -> str:
        with app.app_context():
            try:
                with transaction():
                    write_in_case(actor_named("alice"), number, words="And?")
            except LimitReached as error:
                return str(0 < error.retry_after <= 3601)
            return "written"

    said = race(18, wrote)
    assert (said.count("written"), said.count("True")) == (15, 3)
    clock.shift(timedelta(minutes=61))
    with transaction():
        write_in_case(actor_named("alice"), number, words="Hello?")
    with pytest.raises(LimitReached):
        ask()
    with transaction():
        db.session.get_one(Account, alice.id).state = "suspended"
    with pytest.raises(Forbidden):
        ask()
