"""A restore that is killed, comes second, has the wrong keys or meets a large backup."""

from __future__ import annotations

import fcntl
import gc
import os
import signal
import tracemalloc
from pathlib import Path

import flask_migrate
import pytest
from sqlalchemy import inspect, select, text

from portal.backup.making import make_backup
from portal.core.access import operator_actor
from portal.core.database import db, dialect_name, transaction
from portal.core.places import migrations_dir
from portal.messages.models import MessageContent
from portal.migrating import carry_migrations
from portal.web.frame import Doorward
from tests.backup.conftest import SAME, Doorwards, environment_of, make_talk, opened, said
from tests.programs import run_program

ENDS = [("sqlite", "rows are in"), ("sqlite", "the old goes"), ("postgresql", "rows are in")]
ENDS += [("postgresql", "the old has gone")]


@pytest.mark.slow
@pytest.mark.parametrize(("database_url", "point"), ENDS, indirect=["database_url"])
def test_a_restore_that_is_killed_leaves_what_was_there_and_can_be_begun_again(
    app: Doorward, database_url: str, doorward: Doorwards, tmp_path: Path, point: str
) -> None:
    make_talk(app)
    assert doorward("backup", "create", "one.zip").exit_code == 0
    doorward("client", "create", "--name", "later", "--scope", "keys:verify")
    words = ("backup", "restore", "one.zip", "--replace", "--yes")
    given = {**os.environ, **environment_of(database_url, tmp_path / "data"), "DIE_AT": point}
    killed = run_program("tests.backup.dying", *words, environment=given, folder=tmp_path)
    assert killed.returncode == -signal.SIGKILL
    assert "later" in doorward("client", "list").stdout
    done = doorward(*words)
    assert done.exit_code == 0, done.output
    assert "later" not in doorward("client", "list").stdout
    assert not list(tmp_path.glob("*.restoring*"))
    db.session.remove()
    assert "doorward_restore" not in inspect(db.engine).get_schema_names()


@pytest.mark.parametrize(("database_url", "other_url"), SAME, indirect=True)
def test_two_do_not_restore_at_once(
    app: Doorward, database_url: str, doorward: Doorwards, other: Doorwards, other_url: str, tmp_path: Path
) -> None:
    assert doorward("backup", "create", "one.zip").exit_code == 0
    with opened(other_url, tmp_path / "other"):
        if dialect_name() == "sqlite":
            with Path(f"{tmp_path / 'other.sqlite3'}.restoring").open("w") as held:
                fcntl.flock(held, fcntl.LOCK_EX)
                assert "another restore" in said(other("backup", "restore", "one.zip"))
        else:
            with db.engine.connect() as connection:
                connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": 0x446F6F72776172})
                assert "another restore" in said(other("backup", "restore", "one.zip"))
                connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": 0x446F6F72776172})
    assert other("backup", "restore", "one.zip").exit_code == 0


def test_a_refused_restore_leaves_the_database_at_its_revision(
    app: Doorward, doorward: Doorwards, tmp_path: Path
) -> None:
    make_talk(app)
    assert doorward("backup", "create", "one.zip").exit_code == 0
    carry_migrations(app)
    flask_migrate.downgrade(directory=str(migrations_dir()), revision="0002")
    assert "is not empty" in said(doorward("backup", "restore", "one.zip"))
    assert db.session.scalar(text("SELECT version_num FROM alembic_version")) == "0002"


@pytest.mark.slow
@pytest.mark.parametrize(("database_url", "other_url"), SAME, indirect=True)
def test_memory_does_not_grow_with_the_backup(
    app: Doorward, doorward: Doorwards, other: Doorwards, tmp_path: Path
) -> None:
    """A hundred of the longest records there may be, 25 MB, go out and in; at no time is much of it held."""
    make_talk(app, users=10, logs=120)
    long = "much is said here " * (255 * 1024 // 18)
    with transaction():
        for content in db.session.scalars(select(MessageContent).limit(100)):
            content.messages = [{"role": "user", "content": long}]
    db.session.remove()
    usual = gc.get_threshold()
    gc.set_threshold(700, 10, 10)  # as in a command; in tests garbage lies about for longer
    gc.collect()
    tracemalloc.start()
    try:
        made = make_backup(operator_actor(), tmp_path / "one.zip", version="0")
        _, most = tracemalloc.get_traced_memory()
        assert made.manifest.rows > 30
        assert most < 8 * 1024 * 1024
        db.session.rollback()
        tracemalloc.reset_peak()
        assert other("backup", "restore", "one.zip").exit_code == 0
        _, most = tracemalloc.get_traced_memory()
        # Three applications and what migrating loads are in this: some 10 MB, which grow with the house.
        assert most < 20 * 1024 * 1024
    finally:
        tracemalloc.stop()
        gc.set_threshold(*usual)
