"""A user's record as a file: what the desk may see of them, masked as whoever takes it sees it at that moment.

One JSON document, sent piece by piece. Columns are named one by one, so that a new one does not go out by itself. What
was said in conversations is not in it: that has an export of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import or_, select

from portal.accounts.directory import user_record
from portal.accounts.lifecycle import target_of
from portal.accounts.models import User
from portal.audit import events
from portal.audit.models import AuditEntry
from portal.audit.record import record
from portal.core import clock
from portal.core.access import Capability, check_case, needs, outranks
from portal.core.errors import Forbidden
from portal.core.masks import mask_address, mask_email
from portal.core.own_data import Part, as_json, part_of
from portal.core.tables import compact_json
from portal.keys.models import ApiKey
from portal.signin.models import SignInSession
from portal.support.models import CaseMessage, Note, SupportCase
from portal.support.record import email_for
from portal.support.viewed import sees_addresses
from portal.usage.models import CreditEntry, Plan, Refusal, UsageDay, UsageMonth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

    from portal.core.actor import Actor

log = structlog.get_logger()
MEDIA_TYPE = "application/json"
# What is sent of each row; of a column that is masked for some the mask stands with it.
ACCOUNT = (
    *("id", "username", "display_name", "email", "email_verified_at", "state", "time_zone", "language", "created_at"),
    *("last_seen_at", "has_factor", "locked_at", "daily_limit_override", "boost_extra", "boost_until", "keep_messages"),
    *("next_plan_from", "closes_at"),
)
PLAN = ("name", "daily_limit", "credits_per_month", "rate_per_minute", "key_count", "retention_days")
LEDGER = ("id", "kind", "amount", "balance", "reason", "actor_kind", "actor_name", "decision_id", "created_at")
REFUSAL = ("id", "key_id", "code", "client_name", "count", "first_at", "last_at")
KEY = (
    *("id", "name", "prefix", "scopes", "networks", "created_at", "expires_at", "daily_limit", "revoked_at"),
    *("revoked_why", "last_used_at", "last_used_from", "last_used_by"),
)
SESSION = ("id", "device", "address", "method", "created_at", "last_seen_at", "ended_at")
CASE = (
    *("number", "subject", "channel", "reference", "reason", "decision_id", "state", "level", "opened_at"),
    *("waiting_since", "closed_at", "outcome"),
)
AUDIT = (
    *("id", "at", "event", "actor_kind", "actor_name", "on_behalf_of", "target_type", "target_id", "facts", "reason"),
    *("case", "address", "result"),
)


@dataclass(frozen=True, slots=True)
class RecordFile:
    """A record as a file, ready to be sent."""

    name: str
    media_type: str
    pieces: Iterator[bytes]


@needs(Capability.RECORD_EXPORT, case=True)
def export_record(actor: Actor, user_id: UUID) -> RecordFile:
    """A user's record, for a reason. The entry of it is written before the first byte.

    Raises CaseNeeded, Invalid at "reason", NotFound, Forbidden.
    """
    user = user_record(actor, user_id)
    if not outranks(actor, user.rank):
        raise Forbidden
    check_case(actor, user_id)
    record(actor, events.RECORD_EXPORTED, target_of(user))
    whole = sees_addresses(actor, user_id)
    head = {
        "made_at": clock.now(),
        "made_by": actor.name,
        "case": actor.case,
        "reason": actor.reason,
        "masked": [
            *(["email"] if user.email and email_for(actor, user) != user.email else []),
            *([] if whole else ["address"]),
        ],
    }
    parts = _parts(user_id, email=email_for(actor, user), whole=whole, notes=actor.may(Capability.NOTE_WRITE))
    return RecordFile(f"record-{clock.now():%Y-%m-%d}.json", MEDIA_TYPE, _pieces(head, parts))


def _parts(user_id: UUID, *, email: str, whole: bool, notes: bool) -> list[Part]:
    def address(text: str | None) -> str | None:
        return text if whole or not text else mask_address(text)

    plan = select(User.plan_id).where(User.id == user_id).scalar_subquery()
    asked = select(SupportCase.id).where(SupportCase.user_id == user_id)
    keys = select(ApiKey.id).where(ApiKey.user_id == user_id)
    about = or_(AuditEntry.target_id == user_id, AuditEntry.target_id.in_(keys), AuditEntry.actor_id == user_id)
    own_email = {"email": lambda _row: email}
    masked_key = {
        "networks": lambda row: [address(one) for one in row.networks],
        "last_used_from": lambda row: address(row.last_used_from),
    }
    masked_entry = {
        # Of others only what they did is told, not from where.
        "address": lambda row: address(row.address) if row.actor_id == user_id else None,
        "facts": lambda row: row.facts if whole else masked_facts(row.facts),
    }
    parts = [
        _of("account", User, User.id == user_id, ACCOUNT, own_email),
        _of("plan", Plan, Plan.id == plan, PLAN),
        _of("usage_days", UsageDay, UsageDay.user_id == user_id, ("day", "used", "closed_at")),
        _of("usage_months", UsageMonth, UsageMonth.user_id == user_id, ("month", "used")),
        _of("credit_ledger", CreditEntry, CreditEntry.user_id == user_id, LEDGER),
        _of("refusals", Refusal, Refusal.user_id == user_id, REFUSAL),
        _of("api_keys", ApiKey, ApiKey.user_id == user_id, KEY, masked_key),
        _of(
            "sessions",
            SignInSession,
            SignInSession.account_id == user_id,
            SESSION,
            {"address": lambda row: address(row.address)},
        ),
        _of("cases", SupportCase, SupportCase.user_id == user_id, CASE),
        _of("case_messages", CaseMessage, CaseMessage.case_id.in_(asked), ("case_id", "by_user", "at", "words")),
        _of("audit", AuditEntry, about, AUDIT, masked_entry),
    ]
    written = _of("notes", Note, Note.user_id == user_id, ("at", "words", "pinned", "case"))
    return [*parts, written] if notes else parts


def _of(
    name: str, table: Any, theirs: Any, columns: tuple[str, ...], masks: dict[str, Callable[[Any], Any]] | None = None
) -> Part:
    """The rows as `part_of` reads them, but of these columns only."""
    whole = part_of(name, table, theirs, also=masks)

    def batches() -> Iterator[list[dict[str, Any]]]:
        for rows in whole.batches():
            yield [{column: row[column] for column in columns} for row in rows]

    return Part(name, whole.tables, columns, batches)


def masked_facts(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts of an audit entry with what is a network or e-mail address masked."""
    return {name: _masked_fact(name, value) for name, value in facts.items()}


def _masked_fact(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if name == "address":
        return mask_address(value)
    return mask_email(value) if "@" in value else value


def _pieces(head: dict[str, Any], parts: list[Part]) -> Iterator[bytes]:
    """The document. One that breaks off is no JSON any more, so that nobody takes a part for all."""
    try:
        yield compact_json({name: as_json(value) for name, value in head.items()})[:-1]
        for part in parts:
            yield b",\n" + compact_json(part.name) + b":["
            between = b"\n"
            for rows in part.batches():
                yield between + b",\n".join(_line(row) for row in rows)
                between = b",\n"
            yield b"]"
        yield b"}\n"
    except Exception:  # whatever it was, the end must be missing
        log.exception("record_export.broken")


def _line(row: dict[str, Any]) -> bytes:
    return compact_json({name: as_json(value) for name, value in row.items()})
