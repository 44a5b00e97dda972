"""One application for all that only ask it for its routes; its database is never touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from portal import create_app
from portal.core.database import db
from portal.core.settings import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from portal.web.frame import Doorward


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doorward]:
    """The application with its url map."""
    folder = tmp_path_factory.mktemp("site")
    made = create_app(load({}, folder=folder, data_dir=folder, log_level="error"))
    yield made
    with made.app_context():
        db.engine.dispose()
