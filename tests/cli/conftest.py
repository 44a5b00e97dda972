"""The command on a fresh database: `doorward("plans", "list")`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from portal.cli import main

Doorwards = Callable[..., Result]


@pytest.fixture
def doorward(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doorwards:
    """Run the command."""
    monkeypatch.chdir(tmp_path)
    settings = {"DATA_DIR": str(tmp_path / "data"), "DATABASE_URL": database_url, "BCRYPT_COST": "4"}

    def run(*words: str, typed: str | None = None, **env: str) -> Result:
        return CliRunner().invoke(main, list(words), input=typed, env={**settings, **env})

    return run
