"""What is held of somebody's plan, limits, credits and usage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from portal.accounts.models import Account
from portal.core.own_data import part_of
from portal.usage.models import (
    CreditBalance,
    CreditEntry,
    Lease,
    Plan,
    Refund,
    Refusal,
    UsageDay,
    UsageDetail,
    UsageMonth,
    UsageWarning,
)

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.own_data import Part


def export_of(account_id: UUID) -> list[Part]:
    """Plan, usage by day, month, model and key, ledger, refunds, refusals, leases, warnings."""
    plan = select(Account.plan_id).where(Account.id == account_id)
    return [
        part_of("plan", Plan, Plan.id.in_(plan), hide=("version",)),
        part_of("usage_days", UsageDay, UsageDay.user_id == account_id),
        part_of("usage_details", UsageDetail, UsageDetail.user_id == account_id),
        part_of("usage_months", UsageMonth, UsageMonth.user_id == account_id),
        part_of("usage_warnings", UsageWarning, UsageWarning.user_id == account_id),
        part_of("credit_balance", CreditBalance, CreditBalance.user_id == account_id),
        part_of("credit_ledger", CreditEntry, CreditEntry.user_id == account_id, hide=("actor_name",)),
        part_of("refunds", Refund, Refund.user_id == account_id, hide=("actor_name",)),
        part_of("refusals", Refusal, Refusal.user_id == account_id),
        part_of("leases", Lease, Lease.user_id == account_id, hide=("client_id",)),
    ]
