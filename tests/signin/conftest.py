"""What the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portal import create_app
from portal.core.database import db
from portal.core.settings import load
from portal.web.frame import Doorward


@pytest.fixture
def bare(tmp_path: Path, setting: dict[str, Any]) -> Iterator[Doorward]:
    """An application whose database is never asked, for rules that need only the settings."""
    given = {"bcrypt_cost": 4, "log_level": "error", **setting}
    made = create_app(load({}, folder=tmp_path, data_dir=tmp_path, **given))
    with made.app_context():
        yield made
        db.session.remove()
        db.engine.dispose()
