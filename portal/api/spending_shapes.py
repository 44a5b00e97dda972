"""Answers to questions about keys and units, for the document; portal/api/shapes.py makes them, in the hot routes."""

from __future__ import annotations

from typing import Annotated

import msgspec

from portal.usage.refusal_reading import RULES

CODES = ["VALID", "KEY_UNKNOWN", "USER_UNKNOWN", *RULES]
VerdictCode = Annotated[str, msgspec.Meta(description="VALID, or why not.", extra_json_schema={"enum": CODES})]
Decision = Annotated[str, msgspec.Meta(description="Opens why; takes it back with `usage/refund`.")]


class DailyShape(msgspec.Struct):
    """Conversations of the user's day. `limit` null: no limit."""

    limit: int | None
    used: int
    remaining: int | None
    resets_at: str
    time_zone: str


class KeyDailyShape(msgspec.Struct):
    """The same under the limit that the key has of its own."""

    limit: int
    used: int
    remaining: int
    resets_at: str


class CreditsShape(msgspec.Struct):
    """Credits left."""

    remaining: int


class SpenderShape(msgspec.Struct):
    """Whose units; a deleted user has no name."""

    id: str
    username: str | None
    plan: str


class StandingShape(msgspec.Struct, kw_only=True):
    """Whether it may be, and what is left."""

    valid: bool
    code: VerdictCode
    clears_at: Annotated[str, msgspec.Meta(description="When a refusal ends by itself.")] | msgspec.UnsetType = (
        msgspec.UNSET
    )
    retry_after: int | msgspec.UnsetType = msgspec.UNSET
    daily: DailyShape | msgspec.UnsetType = msgspec.UNSET
    key_daily: KeyDailyShape | msgspec.UnsetType = msgspec.UNSET
    credits: CreditsShape | msgspec.UnsetType = msgspec.UNSET
    user: SpenderShape | msgspec.UnsetType = msgspec.UNSET


class DecisionShape(StandingShape, kw_only=True):
    """A decision about units."""

    decision_id: Decision


class KeyDecisionShape(DecisionShape, kw_only=True):
    """A decision about a key."""

    key_id: str | msgspec.UnsetType = msgspec.UNSET
    scopes: list[str] | msgspec.UnsetType = msgspec.UNSET


class KeyDecisionsShape(msgspec.Struct):
    """Decisions, in the order of the questions."""

    items: list[KeyDecisionShape]


class OwnKeyShape(StandingShape, kw_only=True):
    """How a key stands; nothing was spent."""

    key_id: str
    scopes: list[str]
    expires_at: str | None


class ReceivedShape(msgspec.Struct):
    """Taken; whether it was a key is not told."""

    status: str


class BothShape(msgspec.Struct):
    """Units of both kinds."""

    conversations: int
    credits: int


class RefundedShape(msgspec.Struct):
    """What was given back."""

    decision_id: str
    user_id: str
    refunded: BothShape


class LeaseAnswerShape(DecisionShape, kw_only=True):
    """The block that was granted; one that was refused has no id."""

    lease_id: str | None
    granted: BothShape
    expires_at: str | None


class SettledShape(msgspec.Struct):
    """How a lease stands after a report."""

    lease_id: str
    state: str
    used: BothShape
    returned: BothShape
    expires_at: str | None
