"""docs/api.md: every shell block runs as written, no call in it fails; docs/api-changes.md is what the page shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from portal.api.changes import CHANGES
from portal.core.places import ROOT
from portal.web.frame import Doorward
from tests.documents.guide import Guide
from tests.people import make_account
from tests.servers import Server
from tests.shell import Shell

GUIDE = Guide("docs/api.md", set())


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # of both speak the tests of each part
def test_every_block_runs_as_written(app: Doorward, served: Server, tmp_path: Path) -> None:
    make_account("alice")
    # An answer that tells of an error ends the block.
    (tmp_path / ".curlrc").write_text("fail-with-body\n")
    shell = Shell(served, tmp_path, CURL_HOME=str(tmp_path))
    for block, sort, shown in GUIDE.blocks():
        printed = shell.run(block)
        if sort == "text":
            assert printed.strip() == shown.strip(), block


def test_the_changes_are_those_of_the_page() -> None:
    page = " ".join((ROOT / "docs/api-changes.md").read_text("utf-8").split())
    assert [change.version for change in CHANGES if f"## {change.version} {change.words}" not in page] == []
