"""Entries that are old enough leave the table: whole stretches of the chain, into packed files of DATA_DIR/audit.

A stretch is written and safe before its rows go. What stays in the database is where it begins and ends, signed, so
that the chain goes on from there whether or not the file is at hand.
"""

from __future__ import annotations

import gzip
import json
import os
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from sqlalchemy import delete, select

from portal.audit import events
from portal.audit.chain import GENESIS, blank
from portal.audit.models import AuditEntry, AuditStretch
from portal.audit.record import record
from portal.audit.roots import digest_at
from portal.audit.sealing import lock_head
from portal.audit.signing import is_signed, sign
from portal.core import clock, settings
from portal.core.access import job_actor
from portal.core.database import db, transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ARCHIVE_JOB = "archive_audit"
FOLDER = "audit"
MOST: Final = 10_000
BATCH: Final = 1000
_TABLE: Any = AuditEntry.__table__
_IDS = ("id", "actor_id", "on_behalf_of", "target_id", "purged_of")
_BYTES = ("digest", "salt", "personal_digest")


class NotHere(Exception):
    """The file of a stretch is not on this host."""


class BadFile(Exception):
    """The file of a stretch is damaged."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Entries `first` to `last`, in a file; `before` and `digest` are the chain's before the first and at the last."""

    first: int
    last: int
    before: bytes
    digest: bytes
    at: datetime
    signature: bytes = b""

    @property
    def path(self) -> Path:
        """Its file."""
        return folder() / f"{self.first:012d}-{self.last:012d}.jsonl.gz"

    @property
    def good(self) -> bool:
        """Whether this installation signed it."""
        return is_signed(self.said(), self.signature)

    def said(self) -> dict[str, Any]:
        """What is signed."""
        at = self.at.isoformat(timespec="microseconds")
        return {
            "stretch": [self.first, self.last],
            "before": self.before.hex(),
            "digest": self.digest.hex(),
            "at": at,
        }

    def batches(self) -> Iterator[list[dict[str, Any]]]:
        """Its entries, a batch at a time. Raises NotHere; a damaged file ends early."""
        try:
            file = gzip.open(self.path, "rt", encoding="utf-8")  # noqa: SIM115  # closed below
        except OSError:
            raise NotHere from None
        batch: list[dict[str, Any]] = []
        with file:
            try:
                for line in file:
                    batch.append(_read(line))
                    if len(batch) >= BATCH:
                        yield batch
                        batch = []
            except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError):
                pass  # what can be read is judged; that it is not all is seen at its end
        yield batch


def folder() -> Path:
    """Where the files lie: for nobody but this service."""
    path = settings.current().data_dir / FOLDER
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def all_stretches() -> list[Stretch]:
    """Every stretch that lies in a file, in order."""
    rows = db.session.scalars(
        select(AuditStretch).order_by(AuditStretch.first).execution_options(populate_existing=True)
    )
    return [Stretch(row.first, row.last, row.before, row.digest, row.at, row.signature) for row in rows]


def archive_old() -> int:
    """Move what is older than AUDIT_RETENTION_DAYS into files. Answers how many entries; 0 days keep all for ever."""
    days = settings.current().audit_retention_days
    if not days:
        return 0
    moved = 0
    while (count := _archive_one(clock.now() - timedelta(days=days))) > 0:
        moved += count
    return moved


def _archive_one(before: datetime) -> int:
    """Move the oldest stretch of at most MOST entries that are all older than this instant."""
    rows = _oldest(before)
    if not rows:
        return 0
    start = GENESIS if rows[0]["seq"] == 1 else digest_at(rows[0]["seq"] - 1)
    if start is None:
        return 0  # the chain is broken there: verify tells of it, and what is left must stay for whoever looks
    stretch = Stretch(rows[0]["seq"], rows[-1]["seq"], start, rows[-1]["digest"], clock.now())
    _write(stretch, [_line(row) for row in rows])
    with transaction():
        lock_head()  # no purge blanks what has been written already
        whole = _blanked(stretch) == {row["seq"] for row in rows if row["purged_of"]}
        if whole:
            _move(stretch, len(rows))
    if not whole:  # blanked meanwhile: the next run writes them as they are now
        stretch.path.unlink()
        return 0
    return len(rows)


def _move(stretch: Stretch, count: int) -> None:
    connection = db.session.connection()
    for batch in range(stretch.first, stretch.last + 1, BATCH):
        here = _TABLE.c.seq.between(batch, min(batch + BATCH - 1, stretch.last))
        connection.execute(delete(_TABLE).where(here))
    db.session.add(
        AuditStretch(
            first=stretch.first,
            last=stretch.last,
            before=stretch.before,
            digest=stretch.digest,
            at=stretch.at,
            signature=sign(stretch.said()),
        )
    )
    facts = {"count": count, "first": stretch.first, "last": stretch.last}
    record(job_actor(ARCHIVE_JOB), events.AUDIT_ARCHIVED, None, facts)


def _oldest(before: datetime) -> list[dict[str, Any]]:
    query = select(_TABLE).where(_TABLE.c.seq.is_not(None)).order_by(_TABLE.c.seq).limit(MOST)
    rows: list[dict[str, Any]] = []
    for row in db.session.execute(query).mappings():
        if row["at"] >= before or (rows and row["seq"] != rows[-1]["seq"] + 1):
            break
        rows.append(dict(row))
    return rows


def _blanked(stretch: Stretch) -> set[int]:
    here = _TABLE.c.seq.between(stretch.first, stretch.last)
    return set(db.session.scalars(select(_TABLE.c.seq).where(here, _TABLE.c.purged_of.is_not(None))))


def blank_files(user_id: UUID, is_theirs: Callable[[dict[str, Any]], bool]) -> None:
    """Take what is personal of a user out of every file that tells of them. Their rows in the table must be blank."""
    for stretch in all_stretches():
        try:
            rows = [row for batch in stretch.batches() for row in batch]
        except NotHere:
            continue
        theirs = [row for row in rows if row["salt"] is not None and is_theirs(row)]
        # A damaged file is left as it is: to write it anew would hide the damage.
        if not theirs or len(rows) != stretch.last - stretch.first + 1:
            continue
        for row in theirs:
            row |= {**blank(row, row["personal"]), "purged_of": user_id}
        _write(stretch, [_line(row) for row in rows])


def _write(stretch: Stretch, lines: list[bytes]) -> None:
    draft = stretch.path.with_suffix(f".{secrets.token_hex(4)}.draft")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6) as packed:
                packed.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(stretch.path)
    finally:
        draft.unlink(missing_ok=True)
    descriptor = os.open(stretch.path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _line(row: dict[str, Any]) -> bytes:
    plain = dict(row)
    for name in _IDS:
        plain[name] = str(row[name]) if row[name] else None
    for name in _BYTES:
        plain[name] = row[name].hex() if row[name] is not None else None
    plain["at"] = row["at"].isoformat(timespec="microseconds")
    return json.dumps(plain, separators=(",", ":")).encode("ascii") + b"\n"


def _read(line: str) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(line)
    for name in _IDS:
        row[name] = UUID(row[name]) if row[name] else None
    for name in _BYTES:
        row[name] = bytes.fromhex(row[name]) if row[name] is not None else None
    row["at"] = datetime.fromisoformat(row["at"])
    return row
