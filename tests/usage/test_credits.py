"""Granting and adjusting credits: the balance is the sum of the ledger, and every entry says who and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from sqlalchemy import select, text, update

from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import Conflict, Forbidden, Invalid, Malformed, NotFound, PortalError
from portal.core.ids import new_id
from portal.privacy.deletion import delete_user
from portal.usage import credits
from portal.usage.credits import adjust_credits, balance_of, find_drift, grant_credits, list_ledger
from portal.usage.history import standing
from portal.usage.models import CreditBalance, CreditEntry
from portal.usage.months import turn_months
from portal.usage.plans import PlanTerms, create_plan
from portal.web.frame import Doorward
from tests.people import actor_named, make_account
from tests.races import race


def grant(account: Account, amount: int, reason: str = "a gift") -> int:
    """Ada grants credits."""
    with transaction():
        return grant_credits(actor_named("ada").because(reason), account.id, amount)


def adjust(account: Account, amount: int, reason: str = "put right") -> int:
    """Ada adjusts credits."""
    with transaction():
        return adjust_credits(actor_named("ada").because(reason), account.id, amount)


@pytest.fixture
def alice(app: Doorward) -> Account:
    """Alice, in a house with an admin."""
    make_account("ada")
    return make_account("alice")


def test_a_grant_raises_the_balance_and_leaves_an_entry(alice: Account) -> None:
    assert [grant(alice, 5), grant(alice, 7, "a second gift")] == [5, 12]
    assert standing(actor_named("alice"), alice.id).credits == 12
    newest, oldest = list_ledger(actor_named("alice"), alice.id).items
    assert (newest.kind, newest.amount, newest.balance, newest.reason) == ("grant", 7, 12, "a second gift")
    assert (oldest.balance, oldest.actor_kind, oldest.actor_name) == (5, "admin", "ada")


def test_a_grant_is_in_the_audit(alice: Account) -> None:
    grant(alice, 5)
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event.contains("credit"))).one()
    assert (entry.actor_name, entry.reason) == ("ada", "a gift")


@pytest.mark.parametrize("amount", [0, -1, 1_000_001, 2**63])
def test_amounts_out_of_bounds_are_refused(alice: Account, amount: int) -> None:
    with pytest.raises(Invalid) as refused:
        grant(alice, amount)
    assert set(refused.value.fields) == {"amount"}
    assert db.session.scalars(select(CreditEntry)).all() == []


@pytest.mark.parametrize("reason", ["", "x" * 501])
def test_a_grant_wants_a_reason_that_can_be_kept(alice: Account, reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        grant(alice, 5, reason)
    assert set(refused.value.fields) == {"reason"}


def test_only_users_that_live_are_given_credits(alice: Account) -> None:
    with pytest.raises(NotFound), transaction():
        grant_credits(operator_actor().because("a gift"), new_id(), 5)
    with transaction():
        delete_user(operator_actor().because("a test"), alice.id, typed_name="alice")
    with pytest.raises(NotFound):
        grant(alice, 5)


def test_who_may_not_grant_changes_nothing(alice: Account) -> None:
    for name in ("alice", "max", "tess"):
        if name != "alice":
            make_account(name)
        with pytest.raises(Forbidden), transaction():
            grant_credits(actor_named(name).because("a gift"), alice.id, 5)
    assert standing(actor_named("alice"), alice.id).credits == 0


def test_an_adjustment_goes_up_and_down_with_its_entries(alice: Account) -> None:
    assert [adjust(alice, 50), adjust(alice, -20), adjust(alice, -30)] == [50, 30, 0]
    kept = [(row.kind, row.amount, row.balance) for row in list_ledger(actor_named("alice"), alice.id).items]
    assert kept == [("adjust", -30, 0), ("adjust", -20, 30), ("adjust", 50, 50)]
    entry = db.session.scalars(select(AuditEntry).order_by(AuditEntry.at.desc(), AuditEntry.id.desc())).first()
    assert entry is not None
    assert (entry.event, entry.facts, entry.reason) == (
        "credits.adjusted",
        {"amount": -30, "balance": 0},
        "put right",
    )


def test_a_balance_never_goes_below_zero(alice: Account) -> None:
    grant(alice, 5)
    with pytest.raises(Conflict, match="5"):
        adjust(alice, -6)
    assert balance_of(actor_named("alice"), alice.id).total == 5
    assert len(list_ledger(actor_named("alice"), alice.id).items) == 1


def test_an_adjustment_takes_plan_credits_first(alice: Account) -> None:
    with transaction():
        monthly = create_plan(operator_actor(), PlanTerms("monthly", None, 100))
    with transaction():
        alice.plan_id = monthly.id
    grant(alice, 10)
    adjust(alice, -103)
    left = balance_of(actor_named("alice"), alice.id)
    assert (left.plan_credits, left.own_credits, left.plan_granted) == (0, 7, 100)


@pytest.mark.parametrize("amount", [0, -1_000_001, 1_000_001, 2**53, -(2**63), 2**63])
def test_adjustments_out_of_bounds_are_refused(alice: Account, amount: int) -> None:
    grant(alice, 1_000_000)
    with pytest.raises(Invalid) as refused:
        adjust(alice, amount)
    assert set(refused.value.fields) == {"amount"}
    assert balance_of(actor_named("alice"), alice.id).total == 1_000_000


def test_an_adjustment_wants_a_reason_and_the_right(alice: Account) -> None:
    with pytest.raises(Invalid) as refused:
        adjust_credits(actor_named("ada"), alice.id, 5)
    assert set(refused.value.fields) == {"reason"}
    with pytest.raises(Forbidden):
        adjust_credits(actor_named("alice").because("please"), alice.id, 5)
    with pytest.raises(NotFound):
        adjust(make_account("tess"), 5)


def test_nobody_reads_the_ledger_of_another(alice: Account) -> None:
    make_account("bob")
    grant(alice, 5)
    for look in (list_ledger, balance_of):
        with pytest.raises(NotFound):
            look(actor_named("bob"), alice.id)


def test_the_ledger_is_paged_without_loss_or_repeat(alice: Account) -> None:
    with transaction():
        for amount in range(1, 121):
            grant_credits(actor_named("ada").because("a gift"), alice.id, amount)
    who, seen, cursor = actor_named("ada"), list[int](), None
    for _ in range(3):
        page = list_ledger(who, alice.id, cursor)
        seen += [row.amount for row in page.items]
        cursor = page.next_cursor
    assert seen == list(range(120, 0, -1))
    assert cursor is None
    bob = make_account("bob")
    with pytest.raises(Malformed):
        list_ledger(who, bob.id, list_ledger(who, alice.id).next_cursor)


def test_who_never_had_a_balance_row_has_nothing(alice: Account) -> None:
    with transaction():
        db.session.execute(text("DELETE FROM credit_balances"))
    assert balance_of(actor_named("alice"), alice.id).total == 0
    assert grant(alice, 5) == 5


def test_a_planted_drift_is_found_and_named(alice: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credits, "BATCH", 2)
    people = [alice, *(make_account(f"user{number}") for number in range(5))]
    for account in people:
        grant(account, 10)
    clean = find_drift()
    assert (clean.checked, clean.count, clean.credits, clean.users) == (6, 0, 0, [])
    with transaction():
        for account, amount in ((people[1], 3), (people[4], -4)):
            planted = update(CreditBalance).where(CreditBalance.user_id == account.id)
            db.session.execute(planted.values(own_credits=CreditBalance.own_credits + amount))
    drift = find_drift()
    assert (drift.checked, drift.count, drift.credits) == (6, 2, 7)
    assert set(drift.users) == {(people[1].id, 13, 10), (people[4].id, 6, 10)}
    monkeypatch.setattr(credits, "MOST_NAMED", 1)
    shorter = find_drift()
    assert (shorter.count, len(shorter.users)) == (2, 1)


def test_balances_beyond_32_bits_are_kept(alice: Account) -> None:
    for _ in range(3):
        grant(alice, 1_000_000)
    with transaction():
        entry = db.session.scalars(select(CreditEntry)).first()
        assert entry is not None
        entry.balance = 2**31
    assert grant(alice, 1_000_000) == 4_000_000


def in_own_context(app: Doorward, act: Callable[[], object]) -> str:
    """What came of an act in a thread of its own: done, or the name of what it raised."""
    with app.app_context():
        try:
            with transaction():
                act()
            return "done"
        except PortalError as error:
            return type(error).__name__
        finally:
            db.session.remove()


def test_of_many_who_take_the_last_credits_at_once_one_has_them(app: Doorward, alice: Account) -> None:
    grant(alice, 5)
    ada, user_id = actor_named("ada").because("put right"), alice.id
    outcomes = race(8, lambda _: in_own_context(app, lambda: adjust_credits(ada, user_id, -5)))
    assert Counter(outcomes) == Counter(done=1, Conflict=7)
    assert find_drift().count == 0
    assert balance_of(ada, user_id).total == 0


def test_grants_and_the_months_turn_at_once_give_each_of_them_once(app: Doorward, alice: Account) -> None:
    with transaction():
        monthly = create_plan(operator_actor(), PlanTerms("monthly", None, 100))
    with transaction():
        alice.plan_id = monthly.id
    ada, user_id = actor_named("ada").because("a gift"), alice.id

    def act(number: int) -> str:
        if number % 2:
            return in_own_context(app, lambda: grant_credits(ada, user_id, 1))
        with app.app_context():
            turn_months()
            db.session.remove()
        return "turned"

    outcomes = race(8, act)
    assert Counter(outcomes) == Counter(done=4, turned=4)
    assert (find_drift().count, balance_of(ada, user_id).total) == (0, 104)


def test_a_grant_whose_entry_cannot_be_written_leaves_nothing(alice: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    for act in (grant, adjust):
        with monkeypatch.context() as patched, pytest.raises(RuntimeError):
            patched.setattr(credits, "record", fail)
            act(alice, 5)
    assert balance_of(actor_named("alice"), alice.id).total == 0
    assert db.session.scalars(select(CreditEntry)).all() == []
