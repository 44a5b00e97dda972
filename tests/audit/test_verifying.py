"""What was altered in the audit log is found, and named: entry and way."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text, update

from portal.audit import events
from portal.audit.chain import commit, digest_of
from portal.audit.models import AuditEntry, AuditHead
from portal.audit.record import record
from portal.audit.roots import BadAnchor
from portal.core import clock, settings
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.ids import new_id
from portal.jobs.runner import run_job
from tests.audit.conftest import ENTRIES, sql, verdict

TABLE: Any = AuditEntry.__table__


def renumber(which: str, anew: str) -> None:
    """Give entries other numbers, without two having the same in between."""
    sql("UPDATE audit_entries SET seq = -seq WHERE seq " + which)  # noqa: S608  # words of this file
    sql("UPDATE audit_entries SET seq = " + anew + " WHERE seq < 0")  # noqa: S608  # words of this file


def swap_places() -> None:
    renumber("IN (3, 6)", "CASE seq WHEN -3 THEN 6 ELSE 3 END")


def swap_neighbours() -> None:
    renumber("IN (3, 4)", "CASE seq WHEN -3 THEN 4 ELSE 3 END")


def swap_words() -> None:
    """All but their places and digests."""
    query = select(TABLE).where(TABLE.c.seq.in_((3, 4))).order_by(TABLE.c.seq)
    rows = [dict(row) for row in db.session.execute(query).mappings()]
    with transaction():
        db.session.execute(TABLE.delete().where(TABLE.c.seq.in_((3, 4))))
        for row, place in zip(reversed(rows), rows, strict=True):
            db.session.execute(TABLE.insert(), row | {name: place[name] for name in ("seq", "digest")})


def insert_one() -> None:
    renumber("> 3", "1 - seq")
    with transaction():
        row = dict(db.session.execute(select(TABLE).where(TABLE.c.seq == 3)).mappings().one())
        db.session.execute(TABLE.insert(), row | {"id": new_id(), "seq": 4, "reason": "Made up."})
        db.session.execute(text("UPDATE audit_head SET seq = seq + 1"))


def insert_waiting() -> None:
    """Written behind the back of Doorward, with an instant of its own choice."""
    with transaction():
        record(operator_actor(), events.SIGNED_OUT)
        db.session.flush()
        db.session.scalars(select(AuditEntry).where(AuditEntry.seq.is_(None))).one().at -= timedelta(days=1)


def remove_and_renumber() -> None:
    sql("DELETE FROM audit_entries WHERE seq = 3")
    renumber("> 3", "-seq - 1")
    sql("UPDATE audit_head SET seq = seq - 1")


def cut_off() -> None:
    """So that the table and its end agree."""
    last = db.session.scalars(select(AuditEntry).where(AuditEntry.seq == 6)).one()
    sql("UPDATE audit_head SET seq = 6, digest = :digest", digest=last.digest)
    sql("DELETE FROM audit_entries WHERE seq > 6")


def make_anew() -> None:
    """Change one and chain all after it as Doorward would."""
    rows = db.session.scalars(select(AuditEntry).order_by(AuditEntry.seq)).all()
    digest = rows[3].digest or b""
    with transaction():
        for row in rows[4:]:
            row.reason = "Nobody asked."
            entry = {column.key: getattr(row, column.key) for column in AuditEntry.__table__.columns}
            commit(entry)
            digest = digest_of(digest, row.seq or 0, entry)
            row.salt, row.personal_digest, row.digest = entry["salt"], entry["personal_digest"], digest
        db.session.scalars(select(AuditHead)).one().digest = digest


WAYS: dict[str, tuple[Callable[[], None] | str, int, str]] = {
    "result": ("UPDATE audit_entries SET result = 'refused' WHERE seq = 4", 4, "changed: it is not what was sealed"),
    "fact": ("UPDATE audit_entries SET facts = '{}' WHERE seq = 5", 5, "changed"),
    "event": ("UPDATE audit_entries SET event = 'sign_in.done' WHERE seq = 1", 1, "changed"),
    "reason": ("UPDATE audit_entries SET reason = 'x' WHERE seq = 2", 2, "changed: what is personal in it is not"),
    "salt": ("UPDATE audit_entries SET salt = NULL WHERE seq = 2", 2, "changed: what is personal in it cannot"),
    "unsealing": ("UPDATE audit_entries SET personal = NULL WHERE seq = 2", 2, "changed: it lacks"),
    "removed": ("DELETE FROM audit_entries WHERE seq = 3", 3, "removed: entry 3 is not there"),
    "two removed": ("DELETE FROM audit_entries WHERE seq IN (3, 4)", 3, "removed: entry 3 to 4"),
    "renumbered": (remove_and_renumber, 3, "removed: entries are missing here"),
    "swapped": (swap_places, 3, "swapped: here stands what belongs elsewhere, and what is entry 6 now"),
    "neighbours": (swap_neighbours, 3, "swapped"),
    "words": (swap_words, 3, "swapped"),
    "inserted": (insert_one, 4, "inserted: what stood here is entry 5 now"),
    "behind": ("UPDATE audit_head SET seq = 7", 8, "inserted: it stands behind"),
    "last": ("DELETE FROM audit_entries WHERE seq = 8", 8, "cut off at the end: the end of the chain knows"),
    "cut off": (cut_off, 7, "cut off at the end: the root of"),
    "anew": (make_anew, 1, "changed: entries 1 to 8 are not those that the root of"),
    "waiting": (insert_waiting, 9, "unsealed for over a minute"),
}


def test_each_way_of_altering_it_is_found_and_named(chain: list[AuditEntry]) -> None:
    assert [entry.seq for entry in chain] == list(range(1, ENTRIES + 1))
    whole, end = verdict(), chain[-1].digest
    assert (whole.fault, whole.entries, whole.digest) == (None, ENTRIES, end)
    sql("DELETE FROM audit_entries WHERE seq > 8")
    sql("UPDATE audit_head SET seq = 8, digest = :digest", digest=end)
    kept = [dict(row) for row in db.session.execute(select(TABLE)).mappings()]
    folder = settings.current().data_dir
    for name, (way, seq, words) in WAYS.items():
        if callable(way):
            way()
        else:
            sql(way)
        found = verdict()
        assert found.fault is not None, name
        assert (found.seq, words in found.fault) == (seq, True), f"{name}: {found}"
        assert str(found).startswith(f"broken at entry {seq}: "), name
        with transaction():  # as it was
            db.session.execute(text("DELETE FROM audit_entries"))
            db.session.execute(TABLE.insert(), kept)
            db.session.execute(update(AuditHead).values(seq=ENTRIES, digest=end))
        db.session.expire_all()
        assert (folder / "audit-head.json").exists()
    assert verdict().fault is None


def test_without_the_row_of_the_end_nothing_is_sealed_and_verify_says_so(chain: list[AuditEntry]) -> None:
    sql("DELETE FROM audit_head")
    assert str(verdict()) == "broken: the end of the chain is gone from the database"


def test_who_alters_the_files_too_is_found_by_a_copy_kept_elsewhere(chain: list[AuditEntry], tmp_path: Path) -> None:
    folder, copy = settings.current().data_dir, tmp_path / "copy.jsonl"
    shutil.copy(folder / "audit-roots.jsonl", copy)
    root = json.loads(copy.read_text())
    assert (root["seq"], root["digest"]) == (ENTRIES, (chain[-1].digest or b"").hex())
    cut_off()
    sql("DELETE FROM audit_roots")
    for name in ("audit-roots.jsonl", "audit-head.json"):
        (folder / name).unlink()
    assert verdict().fault is None  # nothing here knows any more
    found = verdict(roots=copy)
    assert (found.seq, "the root of" in (found.fault or "")) == (8, True), found


def test_files_that_are_no_roots_or_were_signed_by_others_are_named(chain: list[AuditEntry], tmp_path: Path) -> None:
    folder = settings.current().data_dir
    kept = (folder / "audit-roots.jsonl").read_text()
    for odd in ("", "\n", "{}", "[]", "[" * 5000, kept + "\0", kept.replace('"seq": 8', '"seq": "8"')):
        (tmp_path / "odd").write_text(odd)
        with pytest.raises(BadAnchor):
            verdict(roots=tmp_path / "odd")
    with pytest.raises(BadAnchor, match="none holds no root"):
        verdict(roots=tmp_path / "none")
    (tmp_path / "odd").write_text(kept.replace('"seq": 8', '"seq": 7'))
    assert "was not signed with SECRET_KEY" in (verdict(roots=tmp_path / "odd").fault or "")
    (folder / "audit-head.json").write_text("{")
    assert verdict().fault == "audit-head.json is damaged"
    run_job("seal_audit", by_hand=True)
    assert verdict().fault == "audit-head.json is damaged"  # evidence is not written over
    (folder / "audit-head.json").unlink()
    run_job("seal_audit", by_hand=True)
    assert verdict().fault is None


def test_an_end_that_the_chain_does_not_hold_stays_as_evidence(chain: list[AuditEntry]) -> None:
    folder = settings.current().data_dir
    before = (folder / "audit-head.json").read_text()
    cut_off()
    run_job("seal_audit", by_hand=True)
    assert (folder / "audit-head.json").read_text() == before


def test_each_day_has_one_root_in_table_file_and_order(chain: list[AuditEntry]) -> None:
    path = settings.current().data_dir / "audit-roots.jsonl"
    for day in (1, 1, 3):
        clock.shift(timedelta(days=day))
        run_job("seal_audit", by_hand=True)
    days = [json.loads(line)["day"] for line in path.read_text().splitlines()]
    assert len(days) == len(set(days)) == 3
    path.unlink()
    clock.shift(timedelta(days=4))
    run_job("seal_audit", by_hand=True)
    assert [json.loads(line)["day"] for line in path.read_text().splitlines()][:3] == days  # from the table
    assert verdict().fault is None


def test_a_new_secret_key_wants_the_former_one_as_fallback(chain: list[AuditEntry]) -> None:
    now = settings.current()
    for fallbacks in ([], [now.secret_key]):
        settings.enter(now.model_copy(update={"secret_key": "another " * 8, "secret_key_fallbacks": fallbacks}))
        try:
            found = verdict()
        finally:
            settings.leave()
        assert (found.fault is None) == bool(fallbacks), found
