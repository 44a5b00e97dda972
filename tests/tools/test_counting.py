"""What was walked is told from what was not: line by line, and for each decision both ways."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.counting import Finder, probes_for

CODE = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import nothing
def choose(wanted):
    if wanted:
        wanted = [one for one in wanted]
    return wanted
def never():
    return 1
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with a module that is loaded and one that is not."""
    folder = tmp_path / "counted_for_this_test"
    folder.mkdir()
    (folder / "__init__.py").write_text(CODE)
    (folder / "other.py").write_text("a = 1\nb = 2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    return folder


def walk(package: Path, *calls: Any) -> dict[str, Any]:
    """What is told of the two files after these calls."""
    counted = probes_for(package)
    sys.meta_path.insert(0, Finder(counted, package.name))
    module = importlib.import_module(package.name)
    try:
        for given in calls:
            module.choose(given)
    finally:
        del sys.modules[package.name]
    return {Path(name).name: facts for name, facts in counted.get_coverage()["files"].items()}


def test_each_way_of_a_decision_is_told(package: Path) -> None:
    told = walk(package, [1])["__init__.py"]
    assert told["missing_lines"] == [10]
    assert [tuple(way) for way in told["missing_branches"]] == [(6, 8)]


def test_what_was_walked_both_ways_is_not(package: Path) -> None:
    # Often enough that the probes take themselves out.
    told = walk(package, *([1], []) * 200)["__init__.py"]
    assert told["missing_lines"] == [10]
    assert told["missing_branches"] == []


def test_what_nobody_loads_is_not_walked(package: Path) -> None:
    assert walk(package)["other.py"]["missing_lines"] == [1, 2]
