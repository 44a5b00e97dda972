"""Forgetting leases that are over and refunds: both outlive by far the 30 days in which they could be refunded (again).

The ledger and the history keep what they changed.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from portal.core import clock
from portal.core.database import db
from portal.core.ids import earliest_id
from portal.usage.models import Lease, Refund

if TYPE_CHECKING:
    from typing import Any

    from sqlalchemy import Select

# Thrice as long as a refund is taken: a clock that is put back opens nothing a second time.
KEPT = timedelta(days=90)
BATCH = 1_000


def forget_leases() -> int:
    """Delete a batch of leases of long ago that are over. Answers how many; the oldest go first, by their ids."""
    old = Lease.id < earliest_id(clock.now() - KEPT)
    return _forget(Lease, Lease.id, select(Lease.id).where(old, Lease.state != "open").order_by(Lease.id))


def forget_refunds() -> int:
    """Delete a batch of refunds of long ago. Answers how many."""
    old = Refund.created_at < clock.now() - KEPT
    return _forget(Refund, Refund.decision_id, select(Refund.decision_id).where(old).order_by(Refund.created_at))


def _forget(model: type[Lease | Refund], column: Any, found: Select[Any]) -> int:
    ids = list(db.session.scalars(found.limit(BATCH)))
    gone = delete(model).where(column.in_(ids)).returning(column)
    return len(db.session.scalars(gone.execution_options(synchronize_session=False)).all()) if ids else 0
