"""The command on the database of the test, and another empty database of either sort to restore into."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet

from portal import create_app
from portal.cli import main
from portal.core.database import db
from portal.core.settings import load
from portal.demo.seed import seed_demo
from portal.web.frame import Doorward
from tests.conftest import DATABASES
from tests.postgres import PostgresServer

Doorwards = Callable[..., Result]
# For what needs not be tried from each database into each.
SAME = [(one, one) for one in DATABASES]
CROSSED = [("sqlite", "postgresql"), ("postgresql", "sqlite")]
ENCRYPTION_KEY = Fernet.generate_key().decode()
# Roots of the audit log that a backup holds are signed with it: who restores one brings it along.
SECRET_KEY = "the secret of the one who made the backup"


def environment_of(url: str, folder: Path) -> dict[str, str]:
    """What the command needs to work on this database."""
    return {
        "DATA_DIR": str(folder),
        "DATABASE_URL": url,
        "BCRYPT_COST": "4",
        "DURABILITY": "process",
        "ENCRYPTION_KEYS": ENCRYPTION_KEY,
        "SECRET_KEY": SECRET_KEY,
    }


def run_on(url: str, folder: Path, *words: str, typed: str | None = None, **more: str) -> Result:
    """Run the command on this database."""
    given = environment_of(url, folder) | more
    return CliRunner().invoke(main, list(words), input=typed, env=given)


def make_talk(app: Doorward, *, users: int = 5, logs: int = 5) -> None:
    """Demo data in the database of this application."""
    with app.app_context():
        seed_demo(users=users, logs=logs, seed=1)
        db.session.remove()
        db.engine.dispose()


@contextmanager
def opened(url: str, folder: Path) -> Iterator[Doorward]:
    """An application on this database for as long as the block runs."""
    app = create_app(load({}, folder=folder, data_dir=folder, database_url=url, log_level="error"))
    with app.app_context():
        try:
            yield app
        finally:
            db.session.remove()
            db.engine.dispose()


def said(result: Result) -> str:
    """The one line of a refusal."""
    assert result.exit_code == 1, result.output
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("doorward: ")
    return lines[0]


@pytest.fixture
def setting() -> dict[str, Any]:
    """The application beside the command has the same keys."""
    return {"encryption_keys": [ENCRYPTION_KEY]}


@pytest.fixture
def doorward(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doorwards:
    """Run the command on the database of the test."""
    monkeypatch.chdir(tmp_path)
    return lambda *words, **more: run_on(database_url, tmp_path / "data", *words, **more)


@pytest.fixture(params=DATABASES)
def other_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Another database, empty and up to date."""
    if request.param == "sqlite":
        path = tmp_path / "other.sqlite3"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.create_database()
    yield url
    server.drop_database(url)


@pytest.fixture
def other(other_url: str, tmp_path: Path) -> Doorwards:
    """Run the command on the other database, with a spool of its own."""
    return lambda *words, **more: run_on(other_url, tmp_path / "other", *words, **more)


def parts_of(path: Path) -> dict[str, bytes]:
    """Each part of a backup as it lies in the file."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path: Path, parts: dict[str, Any]) -> None:
    """A file of these parts."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
