"""Rows of the support desk: cases, what is said in them, notes, reveals, viewings."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Model


class CaseState(StrEnum):
    """Where a case stands: in the queue, with somebody, over."""

    WAITING = "waiting"
    HELD = "held"
    CLOSED = "closed"


class SupportCase(Model):
    """One matter of one user: opened by a staff member who is being asked, or by the user who asks for help.

    `number` is what people name it by. While `waiting`, whoever has at least `level` may claim it, or `wanted_id` alone
    where it was handed to a person; while `held`, its holder acts in it. `used_at` is when that was last; a held case
    without use closes. `reference` is the number by which the caller knows the matter.
    """

    __tablename__ = "support_cases"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'held', 'closed')", "state"),
        CheckConstraint("level IN (1, 2, 3)", "level"),
        Index("ix_support_cases_user", "user_id", "opened_at", "id"),
        Index("ix_support_cases_holder", "holder_id", "state", "used_at"),
        Index("ix_support_cases_queue", "state", "level", "waiting_since", "id"),
        Index("ix_support_cases_wanted", "wanted_id", "state"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(String(12), unique=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    opened_by: Mapped[UUID]
    opened_at: Mapped[datetime]
    subject: Mapped[str] = mapped_column(String(10))
    channel: Mapped[str] = mapped_column(String(10))
    reference: Mapped[str] = mapped_column(String(80), default="")
    reason: Mapped[str] = mapped_column(String(500))
    decision_id: Mapped[UUID | None] = mapped_column(default=None)
    state: Mapped[str] = mapped_column(String(10))
    level: Mapped[int] = mapped_column(default=1)
    wanted_id: Mapped[UUID | None] = mapped_column(default=None)
    holder_id: Mapped[UUID | None] = mapped_column(default=None)
    waiting_since: Mapped[datetime | None] = mapped_column(default=None)
    used_at: Mapped[datetime]
    closed_at: Mapped[datetime | None] = mapped_column(default=None)
    closed_by: Mapped[UUID | None] = mapped_column(default=None)
    outcome: Mapped[str] = mapped_column(String(500), default="")


class CaseMessage(Model):
    """What the user and the desk say to each other in a case. `by_user` tells whose words these are."""

    __tablename__ = "case_messages"
    __table_args__ = (Index("ix_case_messages_case", "case_id", "at", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    case_id: Mapped[UUID] = mapped_column(ForeignKey("support_cases.id"))
    author_id: Mapped[UUID]
    by_user: Mapped[bool]
    at: Mapped[datetime]
    words: Mapped[str] = mapped_column(String(4000))


class Note(Model):
    """What staff and admins write on a user's record for each other.

    No page of the user shows it; the archive of their data does.
    """

    __tablename__ = "notes"
    __table_args__ = (Index("ix_notes_user", "user_id", "at", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    author_id: Mapped[UUID]
    at: Mapped[datetime]
    words: Mapped[str] = mapped_column(String(2000))
    pinned: Mapped[bool] = mapped_column(default=False)
    case: Mapped[str | None] = mapped_column(String(12), default=None)


class Mention(Model):
    """Somebody of the house who is named in a note, and whether they have seen it."""

    __tablename__ = "mentions"
    __table_args__ = (Index("ix_mentions_account", "account_id", "seen_at"),)

    note_id: Mapped[UUID] = mapped_column(ForeignKey("notes.id"), primary_key=True)
    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    seen_at: Mapped[datetime | None] = mapped_column(default=None)


class Reveal(Model):
    """A field that a staff member unmasked for a while; counted against the allowance of the day."""

    __tablename__ = "reveals"
    __table_args__ = (
        CheckConstraint("field IN ('email', 'address')", "field"),
        Index("ix_reveals_reader", "reader_id", "at"),
        Index("ix_reveals_user", "user_id", "reader_id", "until"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    reader_id: Mapped[UUID]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    field: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str] = mapped_column(String(500))
    case: Mapped[str | None] = mapped_column(String(12), default=None)
    at: Mapped[datetime]
    until: Mapped[datetime]


class Viewing(Model):
    """A while in which a staff member or admin sees a user's own pages, read-only."""

    __tablename__ = "viewings"
    __table_args__ = (
        Index("ix_viewings_viewer", "viewer_id", "user_id", "until"),
        Index("ix_viewings_user", "user_id", "at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    viewer_id: Mapped[UUID]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    reason: Mapped[str] = mapped_column(String(500))
    case: Mapped[str | None] = mapped_column(String(12), default=None)
    at: Mapped[datetime]
    until: Mapped[datetime]
    ended_at: Mapped[datetime | None] = mapped_column(default=None)
