"""Why was I refused? The kept refusals, for whoever may see them and for no longer than 30 days."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from portal.accounts.models import Account
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.actor import nobody
from portal.core.database import db, transaction
from portal.core.errors import Forbidden, NotFound
from portal.core.ids import new_id
from portal.jobs.runner import run_job
from portal.usage.models import Refusal
from portal.usage.refusal_reading import RULES, find_refusal, forget_refusals, refusal, refusals_of, was_allowed
from portal.usage.spending import NO_KEY
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.people import actor_named, make_account

# The contract's codes that leave a row: an unknown key or name belongs to nobody.
CODES = {
    "KEY_REVOKED",
    "KEY_EXPIRED",
    "ACCOUNT_DELETED",
    "ACCOUNT_SUSPENDED",
    "IP_NOT_ALLOWED",
    "SCOPE_MISSING",
    "RATE_LIMITED",
    "KEY_LIMIT_REACHED",
    "DAILY_LIMIT_REACHED",
    "CREDITS_EXHAUSTED",
}


def keep_refusal(account: Account, code: str = "DAILY_LIMIT_REACHED", **given: Any) -> UUID:
    """A refusal as spending writes it."""
    at = given.pop("last_at", clock.now())
    facts: dict[str, Any] = {"asked": {"conversations": 1, "credits": 0}, "address": "203.0.113.7", **given}
    row = Refusal(
        id=new_id(),
        user_id=account.id,
        key_id=facts.pop("key_id", NO_KEY),
        code=code,
        client_name="gate",
        count=facts.pop("count", 1),
        first_at=at,
        last_at=at,
        first_facts=facts,
        last_facts=facts,
    )
    with transaction():
        db.session.add(row)
    return row.id


def test_every_code_has_its_sentence() -> None:
    assert set(RULES) == CODES
    assert all(str(part) for rule in RULES.values() for part in (rule.title, rule.sentence, rule.remedy))


def test_a_refused_call_opens_by_the_decision_id_of_its_answer(
    machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    alice = make_account("alice", daily_limit_override=2, time_zone="Europe/Berlin")
    gate, key = machine(name="gate"), key_of(alice)
    asked = {"key": key, "cost": {"conversations": 1}, "ip": "203.0.113.7", "model": "m-1"}
    answers = [gate.post("/keys/verify", asked).get_json() for _ in range(4)]
    told = refusal(actor_named("alice"), UUID(answers[-1]["decision_id"]))
    assert (told.code, told.client_name, told.count) == ("DAILY_LIMIT_REACHED", "gate", 2)
    assert (told.last.asked_conversations, told.last.used, told.last.limit, told.last.remaining) == (1, 2, 2, 0)
    assert (told.last.address, told.last.model, told.last.plan) == ("203.0.113.7", "m-1", "free")
    assert told.clears_at == datetime.fromisoformat(answers[-1]["daily"]["resets_at"])
    assert not told.cleared
    assert was_allowed(answers[0]["decision_id"])
    assert not was_allowed(answers[-1]["decision_id"])
    clock.shift(clock.offset() + timedelta(days=2))
    assert refusal(actor_named("alice"), told.id).cleared


def test_what_asks_for_more_than_a_whole_day_does_not_clear(app: Doorward) -> None:
    alice, resets = make_account("alice"), (clock.now() + timedelta(hours=3)).isoformat()
    much = keep_refusal(alice, asked={"conversations": 101, "credits": 0}, limit=100, used=0, clears_at=resets)
    fair = keep_refusal(alice, asked={"conversations": 100, "credits": 0}, limit=100, used=1, clears_at=resets)
    by_key = keep_refusal(
        alice, "KEY_LIMIT_REACHED", asked={"conversations": 6, "credits": 0}, limit=100, key_limit=5, clears_at=resets
    )
    seen = {one: refusal(actor_named("alice"), one).clears_at for one in (much, fair, by_key)}
    assert [at is None for at in seen.values()] == [True, False, True]


def test_the_addresses_are_whole_for_the_owner_and_the_console_and_masked_for_the_desk(app: Doorward) -> None:
    alice = make_account("alice")
    found = keep_refusal(alice, "IP_NOT_ALLOWED", networks=["198.51.100.0/24"])
    for name in ("tess", "theo", "tara", "ada"):
        make_account(name)
    for name in ("alice", "ada"):
        seen = refusal(actor_named(name), found).last
        assert (seen.address, seen.networks) == ("203.0.113.7", ("198.51.100.0/24",))
    for name in ("tess", "theo", "tara"):
        seen = refusal(actor_named(name), found).last
        assert (seen.address, seen.networks) == ("203.0.•••", ("198.51.•••",))


def test_those_of_others_are_not_there(app: Doorward) -> None:
    alice = make_account("alice")
    make_account("bob")
    make_account("max")
    found = keep_refusal(alice)
    bob = actor_named("bob")
    with pytest.raises(NotFound):
        refusal(bob, found)
    with pytest.raises(NotFound):
        refusals_of(bob, alice.id)
    assert find_refusal(bob, str(found)) is None
    for outsider in (actor_named("max"), nobody()):
        with pytest.raises(Forbidden):
            refusal(outsider, found)
    for typed in ("", "nonsense", str(new_id()), "ok_abc", "\0", "x" * 5000):
        assert find_refusal(actor_named("alice"), typed) is None
    assert find_refusal(actor_named("alice"), f" {found}\n") is not None


def test_the_list_is_newest_first_and_pages(app: Doorward) -> None:
    alice = make_account("alice")
    start = clock.now() - timedelta(hours=2)
    kept = [keep_refusal(alice, last_at=start + timedelta(minutes=n)) for n in range(7)]
    actor = actor_named("alice")
    first = refusals_of(actor, alice.id, size=3)
    second = refusals_of(actor, alice.id, first.next_cursor, size=3)
    third = refusals_of(actor, alice.id, second.next_cursor, size=3)
    assert [row.id for page in (first, second, third) for row in page.items] == kept[::-1]
    assert third.next_cursor is None
    assert refusals_of(actor, alice.id, third.previous_cursor, size=3).items == second.items


def test_after_30_days_they_are_not_shown_and_then_gone(app: Doorward) -> None:
    alice = make_account("alice")
    old = keep_refusal(alice, last_at=clock.now() - timedelta(days=30, seconds=1))
    young = keep_refusal(alice, last_at=clock.now() - timedelta(days=29))
    assert [row.id for row in refusals_of(operator_actor(), alice.id).items] == [young]
    with pytest.raises(NotFound):
        refusal(operator_actor(), old)
    runs = [run_job("forget_refusals", by_hand=True) for _ in range(2)]
    assert [run.summary for run in runs if run] == ["forgot 1", "forgot 0"]
    assert list(db.session.scalars(select(Refusal.id))) == [young]


def test_more_than_a_batch_is_forgotten(app: Doorward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.usage.refusal_reading.BATCH", 4)
    alice = make_account("alice")
    for number in range(10):
        keep_refusal(alice, last_at=clock.now() - timedelta(days=31, minutes=number))
    assert forget_refusals() == 10
    assert db.session.scalar(select(func.count()).select_from(Refusal)) == 0
