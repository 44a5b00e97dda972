"""What vouches for the chain from outside the database: a signed root each day, and the present end, in DATA_DIR.

The chain alone does not show that its end was cut off, nor that all of it was made anew. A root is the end of the
chain as it was on a day; each is a line of DATA_DIR/audit-roots.jsonl, of the log and of a table. DATA_DIR/
audit-head.json holds the end as it was after the last sealing on this host.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import select

from portal.audit.models import AuditEntry, AuditRoot, AuditStretch
from portal.audit.sealing import Head, lock_head, present_head, seal_entries
from portal.audit.signing import is_signed, public_key, sign
from portal.core import clock, settings
from portal.core.database import db, transaction

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = structlog.get_logger()
ROOTS = "audit-roots.jsonl"
HEAD = "audit-head.json"
MOST_LINE = 4096


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where the chain was known to be: of a day's root, or of the end kept in DATA_DIR (`day` None)."""

    day: date | None
    seq: int
    digest: bytes
    at: datetime
    signature: bytes

    @property
    def good(self) -> bool:
        """Whether this installation signed it."""
        return is_signed(_said(self.day, self.seq, self.digest, self.at), self.signature)

    def line(self) -> dict[str, Any]:
        """The anchor as JSON."""
        said = _said(self.day, self.seq, self.digest, self.at)
        return {**said, "signature": self.signature.hex(), "key": public_key()}


class BadAnchor(Exception):
    """A line that is no root; the text says which."""


def _said(day: date | None, seq: int, digest: bytes, at: datetime) -> dict[str, Any]:
    told = {"seq": seq, "digest": digest.hex(), "at": at.isoformat(timespec="microseconds")}
    return {"day": day.isoformat(), **told} if day else told


def _anchored(day: date | None, head: Head) -> Anchor:
    now = clock.now()
    return Anchor(day, head.seq, head.digest, now, sign(_said(day, head.seq, head.digest, now)))


def read_anchor(line: str) -> Anchor:
    """An anchor from its JSON. Raises BadAnchor."""
    try:
        said = json.loads(line)
        day = date.fromisoformat(said["day"]) if "day" in said else None
        at = datetime.fromisoformat(said["at"])
        anchor = Anchor(day, said["seq"], bytes.fromhex(said["digest"]), at, bytes.fromhex(said["signature"]))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadAnchor from error
    if type(anchor.seq) is not int or at.tzinfo is None:
        raise BadAnchor
    return anchor


def roots_in(path: Path) -> list[Anchor]:
    """The roots of a file, in its order; none where there is no file. Raises BadAnchor naming the line, OSError."""
    found = []
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                try:
                    found.append(read_anchor(line[:MOST_LINE]))
                except BadAnchor as error:
                    raise BadAnchor(f"line {number} of {path.name} is no root") from error
    except FileNotFoundError:
        return []
    return found


def kept_roots() -> list[Anchor]:
    """The roots of the table, by day."""
    rows = db.session.scalars(select(AuditRoot).order_by(AuditRoot.day))
    return [_of_row(row) for row in rows]


def _of_row(row: AuditRoot) -> Anchor:
    return Anchor(row.day, row.seq, row.digest, row.at, row.signature)


def latest_roots(most: int) -> list[Anchor]:
    """The latest roots, newest first."""
    rows = db.session.scalars(select(AuditRoot).order_by(AuditRoot.day.desc()).limit(most))
    return [_of_row(row) for row in rows]


def write_root() -> Anchor | None:
    """The root of this day (UTC), if there is none yet and anything is sealed: in the table, the file and the log."""
    today = clock.now().date()
    if db.session.get(AuditRoot, today) is not None:
        return None
    with transaction():
        head = lock_head()
        # Somebody else may have been quicker; the lock shows it.
        if not head.seq or db.session.scalar(select(AuditRoot.day).where(AuditRoot.day == today)) is not None:
            return None
        root = _anchored(today, head)
        row = AuditRoot(day=today, seq=root.seq, digest=root.digest, at=root.at, signature=root.signature)
        db.session.add(row)
    log.info("audit.root", **root.line())
    add_lines()
    return root


def seal_and_keep() -> int:
    """All the sealer does at its turn: seal, write the root of a new day, keep the end. Answers how many were sealed.

    Raises HeadLost, SQLAlchemyError, OSError.
    """
    sealed = seal_entries()
    write_root()
    keep_head()
    return sealed


def add_lines() -> None:
    """Append to the file of roots those of the table that it lacks. Raises OSError."""
    path = settings.current().data_dir / ROOTS
    with _alone(path):
        try:
            there = {anchor.day for anchor in roots_in(path)}
        except BadAnchor:
            log.error("audit.roots_damaged", file=path.name)  # verify names the line; what is good is added to it
            there = set()
            last = max((anchor.day for anchor in _readable(path) if anchor.day), default=None)
            missing = [root for root in kept_roots() if last is None or (root.day and root.day > last)]
        else:
            missing = [root for root in kept_roots() if root.day not in there]
        if not missing:
            return
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as file:
            for root in missing:
                file.write(json.dumps(root.line()).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _readable(path: Path) -> Iterator[Anchor]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                yield read_anchor(line[:MOST_LINE])
            except BadAnchor:
                continue


def kept_head() -> Anchor | None:
    """The end of the chain as this host last saw it. Raises BadAnchor, OSError."""
    try:
        text = (settings.current().data_dir / HEAD).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    try:
        return read_anchor(text[:MOST_LINE])
    except BadAnchor as error:
        raise BadAnchor(f"{HEAD} is damaged") from error


def keep_head() -> None:
    """Write down the present end. One that the chain does not hold any more stays: it is what verify will show."""
    head = present_head()
    path = settings.current().data_dir / HEAD
    if not head.seq:
        return
    with _alone(path):
        try:
            last = kept_head()
        except BadAnchor:
            log.error("audit.head_damaged")
            return
        if last is not None:
            if last.seq == head.seq and last.digest == head.digest:
                return
            if last.seq >= head.seq and last.digest == digest_at(last.seq):
                return  # another process of this host was quicker and further
            if last.digest != digest_at(last.seq) and not _lies_in_file(last.seq):
                log.error("audit.head_differs", kept=last.seq, here=head.seq)
                return
        _replace(path, _anchored(None, head))


def digest_at(seq: int) -> bytes | None:
    """The digest of the entry of this number, where that is known: in the table, or as the last one of a file."""
    found: bytes | None = db.session.scalar(select(AuditEntry.digest).where(AuditEntry.seq == seq))
    return found or db.session.scalar(select(AuditStretch.digest).where(AuditStretch.last == seq))


def _lies_in_file(seq: int) -> bool:
    return db.session.scalar(select(AuditStretch.first).where(AuditStretch.last >= seq).limit(1)) is not None


def begin_again() -> None:
    """After a restore: set aside what vouched for the database of before, under its hour, and write the end anew."""
    folder = settings.current().data_dir
    for name in (ROOTS, HEAD):
        path = folder / name
        if path.exists():
            path.rename(path.with_name(f"{path.stem}.{clock.now():%Y%m%dT%H%M%S%f}{path.suffix}"))
    keep_head()
    add_lines()


def _replace(path: Path, anchor: Anchor) -> None:
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.draft")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(json.dumps(anchor.line()).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process of this host at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path.with_name("audit.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
