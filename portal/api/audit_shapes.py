"""Entries of the audit log as the API tells them; portal/audit/exporting.py makes them."""

from __future__ import annotations

from typing import Any

import msgspec

from portal.api.list_shapes import Instant, PageQuery, PageShape


class AuditQuery(PageQuery):
    """Which entries. `actor` and `target` are ids, or usernames of accounts."""

    actor: str | msgspec.UnsetType = msgspec.UNSET
    target: str | msgspec.UnsetType = msgspec.UNSET
    event: str | msgspec.UnsetType = msgspec.UNSET
    since: Instant | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="from")
    until: Instant | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="to")
    request_id: str | msgspec.UnsetType = msgspec.UNSET
    case: str | msgspec.UnsetType = msgspec.UNSET
    address: str | msgspec.UnsetType = msgspec.UNSET
    result: str | msgspec.UnsetType = msgspec.UNSET


class AuditActorShape(msgspec.Struct):
    """Who did it, and how they came in."""

    kind: str
    id: str | None
    name: str
    credential: str


class AuditTargetShape(msgspec.Struct):
    """What it was done to."""

    type: str
    id: str | None
    name: str | None


class AuditEntryShape(msgspec.Struct):
    """One entry. `seq` and `digest` are null until it is sealed, seconds later."""

    id: str
    seq: int | None
    at: str
    event: str
    actor: AuditActorShape
    on_behalf_of: str | None
    target: AuditTargetShape | None
    facts: Any
    reason: str | None
    case: str | None
    request_id: str | None
    address: str | None
    result: str
    digest: str | None


class AuditPage(PageShape):
    """Entries, newest first."""

    items: list[AuditEntryShape]
