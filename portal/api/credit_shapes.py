"""The credit ledger as the API takes and tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from portal.api.list_shapes import PageShape

if TYPE_CHECKING:
    from portal.core.pages import Page
    from portal.usage.models import CreditEntry

Amount = Annotated[int, msgspec.Meta(extra_json_schema={"minimum": -1_000_000, "maximum": 1_000_000})]
Reason = Annotated[str, msgspec.Meta(description="Why; else X-Reason says it. At most 500 characters.")]


class NewCredits(msgspec.Struct, forbid_unknown_fields=True):
    """Credits to add, or a balance to put right. A "grant" adds; an "adjust" may take away too, and is what staff may,
    up to STAFF_CREDIT_CAP."""

    amount: Amount
    kind: Literal["grant", "adjust"] = "adjust"
    reason: Reason | msgspec.UnsetType = msgspec.UNSET


class CreditActorShape(msgspec.Struct):
    """Who changed the balance."""

    kind: str
    name: str


class CreditShape(msgspec.Struct):
    """One change of a balance; `balance` is what stood after it."""

    id: str
    kind: str
    amount: int
    balance: int
    reason: str
    actor: CreditActorShape
    created_at: str


class CreditPage(PageShape):
    """Entries of a ledger, newest first."""

    items: list[CreditShape]


def credit_shape(entry: CreditEntry) -> CreditShape:
    """An entry as the API tells it."""
    by = CreditActorShape(entry.actor_kind, entry.actor_name)
    at = entry.created_at.isoformat()
    return CreditShape(str(entry.id), entry.kind, entry.amount, entry.balance, entry.reason, by, at)


def credit_page(page: Page[CreditEntry]) -> CreditPage:
    """A page of them."""
    return CreditPage(items=[credit_shape(entry) for entry in page.items], next_cursor=page.next_cursor)
