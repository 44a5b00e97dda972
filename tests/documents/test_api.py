"""docs/api.md: every shell block runs as written and answers what the page shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from portal.web.frame import Doorward
from tests.documents.guide import Guide
from tests.people import make_account
from tests.servers import Server

GUIDE = Guide("docs/api.md", {"id", "request_id", "access_token", "refresh_token"})


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_block_answers_what_the_page_shows(app: Doorward, served: Server, tmp_path: Path) -> None:
    make_account("alice")
    assert GUIDE.run(served, tmp_path) > 3
