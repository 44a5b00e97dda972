"""Walking the whole chain, from the first entry to the last, and naming the first that is not as it was sealed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from portal.audit import events
from portal.audit.archive import NotHere, Stretch, all_stretches
from portal.audit.chain import GENESIS, commitment, digest_of, is_blank
from portal.audit.guessing import how_broken
from portal.audit.models import AuditEntry, AuditHead
from portal.audit.record import record
from portal.audit.roots import ROOTS, BadAnchor, kept_head, kept_roots, roots_in
from portal.audit.sealing import HeadLost, oldest_waiting, seal_entries
from portal.core import clock, settings
from portal.core.access import Capability, needs
from portal.core.database import db

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from uuid import UUID

    from portal.audit.roots import Anchor
    from portal.core.actor import Actor

BATCH: Final = 1000
PATIENCE: Final = timedelta(minutes=1)
_TABLE: Any = AuditEntry.__table__


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a walk found. `fault` is None for a whole chain; else it says in a line what is wrong, `seq` where."""

    entries: int
    last: int
    digest: bytes
    fault: str | None = None
    seq: int | None = None
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        notes = "".join(f"; {note}" for note in self.notes)
        if self.fault is not None:
            where = f" at entry {self.seq}" if self.seq else ""
            return f"broken{where}: {self.fault}{notes}"
        return f"whole: {self.entries} entries, the last is {self.last}, digest {self.digest.hex()}{notes}"


class Broken(Exception):
    """The first fault."""

    def __init__(self, seq: int | None, fault: str) -> None:
        super().__init__(fault)
        self.seq, self.fault = seq, fault


@needs(Capability.AUDIT_READ)
def verify_chain(
    actor: Actor, *, roots: Path | None = None, told: Callable[[int, int], None] = lambda done, total: None
) -> Verdict:
    """Seal what waits, walk the chain and compare it with all that vouches for it; leaves an entry of its own.

    `roots`: a copy of the file of roots, kept elsewhere. `told` hears how many entries are done, of how many. Reads a
    batch at a time, outside any transaction. Raises OSError for a copy that cannot be read, BadAnchor for one that is
    none.
    """
    copy = roots_in(roots) if roots else []
    if roots and not copy:
        raise BadAnchor(f"{roots.name} holds no root")
    verdict = _walked(copy, told)
    before = {stretch.first for stretch in all_stretches()}
    if verdict.fault is not None and before != {stretch.first for stretch in all_stretches()}:
        verdict = _walked(copy, told)  # entries went into a file while we walked
    record(actor, events.AUDIT_VERIFIED, None, {"found": str(verdict)[:400]})
    return verdict


def _walked(copy: list[Anchor], told: Callable[[int, int], None]) -> Verdict:
    walk = Walk(told)
    try:
        waiting = oldest_waiting()
        try:
            seal_entries()
        except HeadLost:
            raise Broken(None, "the end of the chain is gone from the database") from None
        except IntegrityError:  # the place of the next entry is taken; the walk comes to it
            walk.notes.append("new entries cannot be sealed")
        walk.anchors = _anchors(copy)
        walk.to_the_end()
        if waiting is not None and clock.now() - waiting.at > PATIENCE:
            seq = db.session.scalar(select(_TABLE.c.seq).where(_TABLE.c.id == waiting.id))
            raise Broken(seq, f"unsealed for over a minute, since {waiting.at:%Y-%m-%d %H:%M:%S}Z; it is sealed now")
    except Broken as broken:
        return Verdict(walk.entries, walk.seq, walk.digest, broken.fault, broken.seq, walk.notes)
    except BadAnchor as error:
        return Verdict(walk.entries, walk.seq, walk.digest, str(error), None, walk.notes)
    return Verdict(walk.entries, walk.seq, walk.digest, notes=walk.notes)


def _anchors(copy: list[Anchor]) -> list[Anchor]:
    """All that vouches for the chain, by place. Raises Broken for what was not signed here, BadAnchor."""
    head = kept_head()
    found = [*copy, *kept_roots(), *roots_in(settings.current().data_dir / ROOTS), *([head] if head else [])]
    for anchor in found:
        if not anchor.good:
            named = f"the root of {anchor.day}" if anchor.day else "the end kept in DATA_DIR"
            words = "was not signed with SECRET_KEY or one of SECRET_KEY_FALLBACKS"
            raise Broken(None, f"{named} {words}")
    return sorted(found, key=lambda anchor: anchor.seq)


class Walk:
    """Where a walk is: the last entry that was good, and what was seen so far."""

    def __init__(self, told: Callable[[int, int], None]) -> None:
        self.told = told
        self.seq, self.digest, self.entries = 0, GENESIS, 0
        self.anchors: list[Anchor] = []
        self.known = 0
        self.notes: list[str] = []
        self.blanked: dict[UUID, int] = {}
        self.purged: set[UUID] = set()
        self.good = 0

    def to_the_end(self) -> None:
        """Walk files, then the table, then compare the end. Raises Broken."""
        # One statement, so that no sealer comes between.
        ending = select(AuditHead.seq, AuditHead.digest, select(func.max(_TABLE.c.seq)).scalar_subquery())
        seq, digest, highest = db.session.execute(ending).one()
        for stretch in all_stretches():
            self._stretch(stretch, seq)
        if highest is not None and highest > seq:
            raise Broken(seq + 1, "inserted: it stands behind the end of the chain")
        while self.seq < seq:
            rows = self._rows(seq)
            if not rows:
                raise self._cut_off(seq)
            for row in rows:
                self._step(row, lambda: self._rows(seq, around=True))
            self.told(self.seq, seq)
        if digest != self.digest:
            raise Broken(seq, "changed: its digest is not that of the end of the chain")
        self._check_anchors(final=True)
        unfounded = [seq for user_id, seq in self.blanked.items() if user_id not in self.purged]
        if unfounded:
            raise Broken(min(unfounded), "changed: blanked, and nobody's purge tells of it")

    def _rows(self, most: int, *, around: bool = False) -> list[dict[str, Any]]:
        """The next entries. `around`: a few more than those, to see where a wrong one came from."""
        query = select(_TABLE).where(_TABLE.c.seq > self.seq)
        query = query.where(_TABLE.c.seq <= most).order_by(_TABLE.c.seq).limit(BATCH)
        rows = [dict(row) for row in db.session.execute(query).mappings()]
        return rows[:200] if around else rows

    def _stretch(self, stretch: Stretch, most: int) -> None:
        if not stretch.good:
            raise Broken(stretch.first, "the record of entries in a file was not signed here")
        if stretch.first != self.seq + 1 or stretch.before != self.digest:
            raise Broken(self.seq + 1, f"the file of entries {stretch.first} to {stretch.last} does not follow")
        try:
            for batch in stretch.batches():
                for row in batch:
                    self._step(row, lambda batch=batch: batch)  # type: ignore[misc]  # its default binds the batch
                self.told(self.seq, most)
        except NotHere:
            self.notes.append(f"entries {stretch.first} to {stretch.last} lie in a file that is not here: not read")
            self.seq, self.digest = stretch.last, stretch.digest
            self._check_anchors()
        if (self.seq, self.digest) != (stretch.last, stretch.digest):
            raise Broken(self.seq + 1, f"cut off: the file of entries {stretch.first} to {stretch.last} ends early")

    def _step(self, row: dict[str, Any], nearby: Callable[[], list[dict[str, Any]]]) -> None:
        """Take one more entry. Raises Broken."""
        seq = self.seq + 1
        if row["seq"] != seq:
            upto = f" to {row['seq'] - 1}" if row["seq"] > seq + 1 else ""
            raise Broken(seq, f"removed: entry {seq}{upto} is not there")
        try:
            fits = digest_of(self.digest, seq, row) == row["digest"]
        except (TypeError, AttributeError, KeyError):
            raise Broken(seq, "changed: it lacks what was sealed") from None
        if not fits:
            raise Broken(seq, how_broken(self.digest, seq, row, nearby()))
        self._check_personal(row)
        self.seq, self.digest, self.entries = seq, row["digest"], self.entries + 1
        if row["event"] == events.ACCOUNT_PURGED.name and row["target_id"]:
            self.purged.add(row["target_id"])
        self._check_anchors()

    def _check_personal(self, row: dict[str, Any]) -> None:
        if row["salt"] is not None:
            if commitment(row) != row["personal_digest"]:
                raise Broken(row["seq"], "changed: what is personal in it is not what was sealed")
        elif row["purged_of"] is None or not is_blank(row):
            raise Broken(row["seq"], "changed: what is personal in it cannot be checked any more")
        else:
            self.blanked.setdefault(row["purged_of"], row["seq"])

    def _check_anchors(self, *, final: bool = False) -> None:
        """Compare with what vouches for the entries up to here. Raises Broken."""
        while self.known < len(self.anchors) and (final or self.anchors[self.known].seq <= self.seq):
            anchor = self.anchors[self.known]
            named = f"the root of {anchor.day}" if anchor.day else "the end kept in DATA_DIR"
            if anchor.seq > self.seq:
                raise self._cut_off(anchor.seq, named)
            if anchor.seq == self.seq and anchor.digest != self.digest:
                raise Broken(
                    self.good + 1, f"changed: entries {self.good + 1} to {anchor.seq} are not those that {named} signed"
                )
            self.good, self.known = anchor.seq, self.known + 1

    def _cut_off(self, known: int, by: str = "the end of the chain") -> Broken:
        return Broken(self.seq + 1, f"cut off at the end: {by} knows of entry {known}, here is none after {self.seq}")


def latest_verdict() -> AuditEntry | None:
    """The entry of the last check, if there was one."""
    query = select(AuditEntry).where(AuditEntry.event == events.AUDIT_VERIFIED.name)
    return db.session.scalars(query.order_by(AuditEntry.at.desc(), AuditEntry.id.desc()).limit(1)).first()
