"""What was made can be restored, on either database from either, and made again is the same."""

from __future__ import annotations

import json
import re
import stat
import threading
import time
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from sqlalchemy import delete, func, null, select, text, update

from portal.accounts.links import Purpose, make_link
from portal.backup.making import make_backup
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.data_keys import DataKey, make_data_key
from portal.core.database import db, dialect_name, transaction
from portal.core.ids import new_id
from portal.core.places import migrations_dir
from portal.messages.models import Conversation, MessageContent, MessageLog, SealedContent
from portal.messages.searching import owner_token
from portal.migrating import carry_migrations
from portal.signin.sessions import begin_session
from portal.web.frame import Doorward
from tests.backup.conftest import CROSSED, SAME, SECRET_KEY, Doorwards, make_talk, opened, parts_of, run_on, said
from tests.people import make_account

# What a restore changes by itself: it ends sessions and links, and writes an entry about itself.
CHANGED = {"sessions", "one_time_links", "audit_entries", "audit_head", "job_runs", "long_works"}


def lines_of(data: bytes, columns: dict[str, str]) -> list[list[Any]]:
    """The rows of a part; JSON as what it means, for PostgreSQL orders the names in it as it likes."""
    rows = [json.loads(line) for line in data.splitlines()]
    kinds = list(columns.values())
    return [
        [
            json.loads(value) if kind == "json" and value is not None else value
            for kind, value in zip(kinds, row, strict=True)
        ]
        for row in rows
    ]


def contents_of(path: Path) -> dict[str, list[list[Any]]]:
    """The rows of every table of a backup."""
    parts = parts_of(path)
    manifest = json.loads(parts["manifest.json"])
    return {part["table"]: lines_of(parts[f"{part['table']}.jsonl"], part["columns"]) for part in manifest["parts"]}


def test_what_was_made_is_restored_and_made_again_the_same(
    app: Doorward, doorward: Doorwards, other: Doorwards, tmp_path: Path
) -> None:
    make_talk(app, users=30, logs=80)
    doorward("client", "create", "--name", "gate", "--scope", "keys:verify")
    made = doorward("backup", "create", "one.zip")
    assert made.exit_code == 0, made.output
    told = json.loads(made.stdout)
    assert told["rows"] > 1000
    assert told["spool_waiting"] == 0
    for name in ("one.zip", "one.zip.keys"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
        assert doorward("backup", "verify", name).exit_code == 0
    assert not list(tmp_path.glob("*.draft"))

    done = other("backup", "restore", "one.zip")
    assert done.exit_code == 0, done.output
    restored = json.loads(done.stdout)
    assert restored["rows"] == told["rows"]
    assert restored["drift"]["count"] == 0
    assert restored["drift"]["checked"] > 0

    assert other("backup", "create", "two.zip").exit_code == 0
    before, after = contents_of(tmp_path / "one.zip"), contents_of(tmp_path / "two.zip")
    assert before.keys() == after.keys()
    for table in before.keys() - CHANGED:
        assert before[table] == after[table], table
    entries, fresh = before["audit_entries"], after["audit_entries"]
    assert [row for row in fresh if row in entries] == entries
    assert [row for row in fresh if row not in entries and "backup.restored" not in row] == []
    whole = other("audit", "verify")
    assert (whole.exit_code, whole.stdout.startswith(f"whole: {len(fresh) + 1} entries")) == (0, True), whole.output
    elsewhere = {"SECRET_KEY": "the secret of another machine, made anew"}
    strange = other("audit", "verify", **elsewhere)
    assert (strange.exit_code, "SECRET_KEY_FALLBACKS" in strange.output) == (1, True), strange.output
    known = other("audit", "verify", **elsewhere, SECRET_KEY_FALLBACKS=SECRET_KEY)
    assert known.exit_code == 0, known.output
    assert after["one_time_links"] == []
    assert not list(tmp_path.glob("*.restoring*"))


def test_words_are_found_and_numbers_go_on_after_a_restore(
    app: Doorward, doorward: Doorwards, other: Doorwards, other_url: str, tmp_path: Path
) -> None:
    make_talk(app, users=10, logs=40)
    assert doorward("backup", "create", "one.zip").exit_code == 0
    assert other("backup", "restore", "one.zip").exit_code == 0
    with opened(other_url, tmp_path / "other"):
        row = db.session.execute(select(MessageContent).order_by(MessageContent.number)).scalars().first()
        assert row is not None
        word = re.findall(r"[a-z]{5,}", row.messages[0]["content"])[0]
        if dialect_name() == "sqlite":
            found = db.session.execute(
                text("SELECT rowid FROM message_search WHERE message_search MATCH :asked"),
                {"asked": f'words:"{word}" AND owner:"{owner_token(row.user_id)}"'},
            )
            assert row.number in set(found.scalars())
        else:
            highest = db.session.scalar(select(func.max(MessageLog.number)))
            assert highest is not None
            assert db.session.scalar(text("SELECT nextval('message_logs_number_seq')")) == highest + 1


@pytest.mark.parametrize(("database_url", "other_url"), CROSSED, indirect=True)
def test_everybody_has_to_sign_in_again(
    doorward: Doorwards, other: Doorwards, other_url: str, app: Doorward, tmp_path: Path
) -> None:
    alice = make_account("alice")
    with transaction():
        begin_session(alice, address=None, device="")
        make_link(Purpose.RESET, alice)
    assert doorward("backup", "create", "one.zip").exit_code == 0
    done = other("backup", "restore", "one.zip")
    assert json.loads(done.stdout)["sessions_ended"] == 1
    other("backup", "create", "two.zip")
    after = contents_of(tmp_path / "two.zip")
    assert after["one_time_links"] == []
    columns = json.loads(parts_of(tmp_path / "two.zip")["manifest.json"])["parts"]
    ended = list(next(part for part in columns if part["table"] == "sessions")["columns"]).index("ended_at")
    assert [row[ended] is not None for row in after["sessions"]] == [True]


@pytest.mark.parametrize(("database_url", "other_url"), SAME, indirect=True)
def test_nothing_is_overwritten_unless_said_so(
    app: Doorward, doorward: Doorwards, other: Doorwards, tmp_path: Path
) -> None:
    make_talk(app)
    doorward("backup", "create", "one.zip")
    assert "is there already" in said(doorward("backup", "create", "one.zip"))
    other("client", "create", "--name", "mine", "--scope", "keys:verify")
    assert "is not empty" in said(other("backup", "restore", "one.zip"))
    assert other("backup", "restore", "one.zip", "--replace", typed="n\n").exit_code == 1
    assert [one["name"] for one in json.loads(other("client", "list").stdout)] == ["mine"]
    assert other("backup", "restore", "one.zip", "--replace", typed="y\n").exit_code == 0
    assert "mine" not in other("client", "list").stdout
    assert other("backup", "restore", "one.zip", "--replace", "--yes").exit_code == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_database_without_a_table_takes_a_backup(app: Doorward, doorward: Doorwards, tmp_path: Path) -> None:
    make_talk(app)
    doorward("backup", "create", "one.zip")
    new = tmp_path / "new.sqlite3"
    assert run_on(f"sqlite:///{new}", tmp_path / "new", "backup", "restore", "one.zip").exit_code == 0
    assert stat.S_IMODE(new.stat().st_mode) == 0o600
    away = f"sqlite:///{tmp_path / 'away' / 'new.sqlite3'}"
    assert "cannot be written" in said(run_on(away, tmp_path / "new", "backup", "restore", "one.zip"))


@pytest.mark.slow
@pytest.mark.parametrize(("database_url", "other_url"), CROSSED, indirect=True)
def test_a_backup_of_an_older_revision_is_brought_up_to_date(
    app: Doorward, doorward: Doorwards, other: Doorwards, tmp_path: Path
) -> None:
    make_talk(app)
    carry_migrations(app)
    flask_migrate.downgrade(directory=str(migrations_dir()), revision="0002")
    make_backup(operator_actor(), tmp_path / "old.zip", version="0.0.9")
    db.session.rollback()  # its entry would have columns that those tables lack
    assert json.loads(doorward("backup", "verify", "old.zip").stdout)["revision"] == "0002"
    done = other("backup", "restore", "old.zip")
    assert done.exit_code == 0, done.output
    other("backup", "create", "new.zip")
    old, new = contents_of(tmp_path / "old.zip"), contents_of(tmp_path / "new.zip")
    assert len(new["message_contents"]) == len(old["message_contents"]) > 0
    assert "prompts" in new.keys() - old.keys()
    assert new["credit_entries"] == old["credit_entries"] != []


@pytest.mark.slow
@pytest.mark.parametrize(("database_url", "other_url"), SAME, indirect=True)
def test_while_others_write_a_backup_is_of_one_moment(
    app: Doorward, doorward: Doorwards, other: Doorwards, tmp_path: Path
) -> None:
    """Each log that a writer adds comes with its content, in another table: neither is there without the other."""
    make_talk(app, users=20, logs=400)
    made, ending = [0], threading.Event()

    def write() -> None:
        with app.app_context():
            while not ending.is_set():
                with transaction():
                    log = db.session.scalars(select(MessageLog).limit(1)).one()
                    copy = {column.name: getattr(log, column.name) for column in MessageLog.__table__.columns}
                    fresh = MessageLog(**{**copy, "number": None, "id": new_id(), "source_id": f"w-{made[0]}"})
                    db.session.add(fresh)
                    db.session.flush()
                    db.session.add(MessageContent(number=fresh.number, user_id=fresh.user_id, messages=[]))
                made[0] += 1
            db.session.remove()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while made[0] < 5:
            time.sleep(0.01)
        for name in ("one.zip", "two.zip", "three.zip"):
            before = made[0]
            assert doorward("backup", "create", name).exit_code == 0
            assert made[0] > before, "nobody waits for a backup"
    finally:
        ending.set()
        writer.join()
    for name in ("one.zip", "two.zip", "three.zip"):
        parts = contents_of(tmp_path / name)
        assert len(parts["message_logs"]) == len(parts["message_contents"]) > 400
    assert other("backup", "restore", "three.zip").exit_code == 0


@pytest.mark.parametrize(("database_url", "other_url"), CROSSED, indirect=True)
def test_a_destroyed_key_erases_what_a_backup_still_holds(
    app: Doorward, doorward: Doorwards, other: Doorwards, other_url: str, tmp_path: Path
) -> None:
    """Of five users: keyed is sealed; gone is sealed and destroyed since; late has sealed and is in no key file;
    plain never had a key; erased has words of before the sealing and a key that was destroyed since."""
    make_talk(app, users=10, logs=200)
    with transaction():
        holders = db.session.scalars(select(MessageContent.user_id).distinct().limit(5)).all()
        keyed, gone, late, plain, erased = holders
        for owner in (keyed, gone, late):
            for content in db.session.scalars(select(MessageContent).where(MessageContent.user_id == owner)):
                db.session.add(SealedContent(number=content.number, sealed=b"sealed"))
                db.session.delete(content)
            db.session.execute(
                update(Conversation).where(Conversation.user_id == owner).values(title="", sealed_title=b"sealed")
            )
        for owner in (keyed, gone, late, erased):
            make_data_key(owner)
    assert doorward("backup", "create", "one.zip").exit_code == 0
    with transaction():
        for owner in (gone, erased):
            db.session.execute(
                update(DataKey).where(DataKey.user_id == owner).values(wrapped=b"", destroyed_at=clock.now())
            )
        db.session.execute(delete(DataKey).where(DataKey.user_id == late))
    assert doorward("backup", "create", "two.zip").exit_code == 0
    db.session.remove()

    assert b"data_keys" not in parts_of(tmp_path / "one.zip")["manifest.json"]
    assert "newest key file" in said(other("backup", "restore", "one.zip"))
    assert "is no key file" in said(other("backup", "restore", "one.zip", "--keys", "one.zip"))
    done = other("backup", "restore", "one.zip", "--keys", "two.zip.keys")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["keys"] == 3
    with opened(other_url, tmp_path / "other"):
        sealed = select(MessageLog.user_id).join(SealedContent, SealedContent.number == MessageLog.number)
        assert set(db.session.scalars(sealed)) == {keyed}
        words = set(db.session.scalars(select(MessageContent.user_id)))
        assert plain in words
        assert words.isdisjoint({keyed, gone, late, erased})
        titled = set(db.session.scalars(select(Conversation.user_id).where(Conversation.sealed_title.is_not(None))))
        assert titled == {keyed}
        assert set(db.session.scalars(select(Conversation.title).where(Conversation.user_id == erased))) == {""}
        left = select(MessageLog.digest, MessageLog.extra.is_(null())).where(
            MessageLog.user_id.in_((gone, late, erased))
        )
        assert {(bytes(row[0]), bool(row[1])) for row in db.session.execute(left)} == {(b"", True)}
    bare = other("backup", "restore", "one.zip", "--without-keys", "--replace", "--yes")
    assert bare.exit_code == 0, bare.output
    with opened(other_url, tmp_path / "other"):
        assert db.session.scalar(select(func.count()).select_from(SealedContent)) == 0
