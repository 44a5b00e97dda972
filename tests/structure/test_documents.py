"""Documents that are made from the code are what the code makes of them today."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from portal.core.access import PERMISSIONS, SCOPES, Capability
from portal.core.settings import example_file, load
from tests.structure.source import ROOT, portal_modules
from tests.structure.test_verbs import wears_guard

if TYPE_CHECKING:
    from pathlib import Path


def test_the_access_table_is_the_code_s() -> None:
    command = [sys.executable, str(ROOT / "tools/access_table.py")]
    made = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert (ROOT / "docs/access.md").read_text() == made, "run: python tools/access_table.py > docs/access.md"


def test_the_access_table_leaves_nothing_out() -> None:
    table = (ROOT / "docs/access.md").read_text()
    verbs = [
        f"{module.name.removeprefix('portal.')}.{name}"
        for module in portal_modules()
        for name, function in module.functions.items()
        if wears_guard(module, function)
    ]
    wanted = [*map(str, Capability), *PERMISSIONS, *SCOPES, *verbs]
    assert len(verbs) > 50
    assert [name for name in wanted if f"`{name}`" not in table] == []


def test_the_example_of_settings_is_the_code_s() -> None:
    assert (ROOT / ".env.example").read_text() == example_file()


def test_the_example_of_settings_says_the_defaults(tmp_path: Path) -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    given = [line.removeprefix("#") for line in lines if line.startswith("#") and not line.startswith("# ")]
    (tmp_path / ".env").write_text("\n".join(line for line in given if not line.startswith("DATA_DIR=")))
    assert len(given) > 50
    assert load({}, folder=tmp_path, data_dir=tmp_path) == load({}, folder=tmp_path.parent, data_dir=tmp_path)
