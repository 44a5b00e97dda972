"""Granting credits: the balance is the sum of the ledger, and every entry says who and why."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import Forbidden, Invalid, NotFound
from portal.core.ids import new_id
from portal.privacy.deletion import delete_user
from portal.usage.credits import grant_credits
from portal.usage.history import ledger, standing
from portal.usage.models import CreditEntry
from portal.web.frame import Doorward
from tests.people import actor_named, make_account


def grant(account: Account, amount: int, reason: str = "a gift") -> int:
    """Ada grants credits."""
    with transaction():
        return grant_credits(actor_named("ada").because(reason), account.id, amount)


@pytest.fixture
def alice(app: Doorward) -> Account:
    """Alice, in a house with an admin."""
    make_account("ada")
    return make_account("alice")


def test_a_grant_raises_the_balance_and_leaves_an_entry(alice: Account) -> None:
    assert [grant(alice, 5), grant(alice, 7, "a second gift")] == [5, 12]
    assert standing(actor_named("alice"), alice.id).credits == 12
    newest, oldest = ledger(actor_named("alice"), alice.id)
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


def test_nobody_reads_the_ledger_of_another(alice: Account) -> None:
    make_account("bob")
    grant(alice, 5)
    with pytest.raises(NotFound):
        ledger(actor_named("bob"), alice.id)


def test_balances_beyond_32_bits_are_kept(alice: Account) -> None:
    for _ in range(3):
        grant(alice, 1_000_000)
    with transaction():
        entry = db.session.scalars(select(CreditEntry)).first()
        assert entry is not None
        entry.balance = 2**31
    assert grant(alice, 1_000_000) == 4_000_000
