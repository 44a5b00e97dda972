"""docs/api.md: every shell block runs as written, no call in it fails; docs/api-changes.md is what the page shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from portal.api.changes import CHANGES
from portal.core.places import ROOT
from portal.web.frame import Doorward
from tests.documents.guide import Guide
from tests.people import make_account
from tests.servers import Server
from tests.shell import Shell

GUIDE = Guide("docs/api.md", {"request_id"})


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # of both speak the tests of each part
def test_every_block_runs_as_written(app: Doorward, served: Server, tmp_path: Path) -> None:
    make_account("alice")
    shell = Shell(served, tmp_path, CURL_HOME=str(tmp_path))
    for block, sort, shown in GUIDE.blocks():
        told = json.loads(shown) if sort == "json" else {}
        # An answer that tells of an error ends the block, but where the page shows one.
        is_error = isinstance(told, dict) and isinstance(told.get("status"), int) and told["status"] >= 400
        (tmp_path / ".curlrc").write_text("" if is_error else "fail-with-body\n")
        printed = shell.run(block)
        if is_error:
            assert GUIDE.differences(told, json.loads(printed)) == [], block
        elif sort == "text":
            assert printed.strip() == shown.strip(), block


def test_the_changes_are_those_of_the_page() -> None:
    page = " ".join((ROOT / "docs/api-changes.md").read_text("utf-8").split())
    assert [change.version for change in CHANGES if f"## {change.version} {change.words}" not in page] == []
