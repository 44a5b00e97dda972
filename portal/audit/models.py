"""Audit entries as stored."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Model


def _only(rows: str) -> dict[str, Any]:
    return {"sqlite_where": text(rows), "postgresql_where": text(rows)}


class AuditEntry(Model):
    """One act. Once sealed it has its place in the chain (`seq`, from 1) and its digest; see audit/chain.py.

    Never changed but by the purge of a user, which blanks what is personal and notes whose it was (`purged_of`);
    never deleted but into a file of old entries.
    """

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("ix_audit_entries_at", "at", "id"),
        Index("ix_audit_entries_actor", "actor_id", "at", "id"),
        Index("ix_audit_entries_target", "target_id", "at", "id"),
        Index("ix_audit_entries_event", "event", "at", "id"),
        Index("ix_audit_entries_request", "request_id"),
        Index("ix_audit_entries_address", "address", "at", "id"),
        Index("ix_audit_entries_seq", "seq", unique=True),
        # Small ones: few entries wait for their seal, are refused, belong to a case or to somebody else.
        Index("ix_audit_entries_unsealed", "at", "id", **_only("seq IS NULL")),
        Index("ix_audit_entries_refused", "at", "id", **_only("result <> 'done'")),
        Index("ix_audit_entries_case", "case", "at", "id", **_only('"case" IS NOT NULL')),
        Index("ix_audit_entries_behalf", "on_behalf_of", **_only("on_behalf_of IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    event: Mapped[str] = mapped_column(String(60))
    actor_kind: Mapped[str] = mapped_column(String(20))
    actor_id: Mapped[UUID | None]
    actor_name: Mapped[str] = mapped_column(String(80))
    credential: Mapped[str] = mapped_column(String(20))
    on_behalf_of: Mapped[UUID | None]
    target_type: Mapped[str | None] = mapped_column(String(30))
    target_id: Mapped[UUID | None]
    target_name: Mapped[str | None] = mapped_column(String(80))
    facts: Mapped[dict[str, Any]]
    reason: Mapped[str | None] = mapped_column(String(500))
    case: Mapped[str | None] = mapped_column(String(40))
    request_id: Mapped[str | None] = mapped_column(String(64))
    address: Mapped[str | None] = mapped_column(String(45))
    result: Mapped[str] = mapped_column(String(10))
    seq: Mapped[int | None] = mapped_column(BigInteger)
    digest: Mapped[bytes | None]
    personal: Mapped[list[str] | None]
    salt: Mapped[bytes | None]
    personal_digest: Mapped[bytes | None]
    purged_of: Mapped[UUID | None]


class AuditHead(Model):
    """The end of the chain: one row, which only the sealer changes, and whose lock makes sealers take turns."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[bytes]
    sealed_at: Mapped[datetime]


class AuditRoot(Model):
    """The end of the chain as it was on a day (UTC), signed."""

    __tablename__ = "audit_roots"

    day: Mapped[date] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[bytes]
    at: Mapped[datetime]
    signature: Mapped[bytes]


class AuditStretch(Model):
    """Old entries, `first` to `last`, that lie in a file of DATA_DIR/audit. `before` is the digest they begin from."""

    __tablename__ = "audit_stretches"

    first: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    last: Mapped[int] = mapped_column(BigInteger)
    before: Mapped[bytes]
    digest: Mapped[bytes]
    at: Mapped[datetime]
    signature: Mapped[bytes]
