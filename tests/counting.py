"""Counts which lines and branches of the project the tests walk: `pytest -p tests.counting --count-into=FOLDER`
(with the sign: as a word of its own pytest takes the folder for a place of tests).

A probe stands at each line and takes itself out once it was passed, so that a test costs what it costs uncounted
(tracing would double it). What each process walked lies in the folder at its end; tools/coverage_floor.py adds it up.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import slipcover
from slipcover.importer import SlipcoverLoader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

FOLDER = Path(__file__).resolve().parent.parent / "portal"
EXCLUDED = ("if TYPE_CHECKING:", "@overload", "raise NotImplementedError", r": \.\.\.$")
# The name of this process where several share the tests; the one that hands them out has none.
WORKER = os.environ.get("PYTEST_XDIST_WORKER")
OWN = pytest.StashKey[slipcover.Slipcover]()


class Finder(MetaPathFinder):
    """Has the modules of a package loaded with probes, and leaves all others to those who come after it."""

    def __init__(self, counted: slipcover.Slipcover, package: str) -> None:
        self.counted = counted
        self.package = package

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As of an importlib.abc.MetaPathFinder."""
        if fullname.partition(".")[0] != self.package:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None and spec.origin is not None:
            spec.loader = SlipcoverLoader(self.counted, spec.loader, spec.origin)
        return spec


def probes_for(folder: Path) -> slipcover.Slipcover:
    """What counts in the modules of this folder; of those that nobody loads it counts all as not walked."""
    return slipcover.Slipcover(branch=True, source=[str(folder)], exclude_also=list(EXCLUDED))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where to put it."""
    parser.addoption("--count-into", type=Path, help="folder for which lines and branches were walked")


def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Begin before anything of the project is loaded."""
    given = early_config.known_args_namespace
    hands_out = given.numprocesses and not WORKER
    if given.count_into is None or hands_out:
        return
    counted = probes_for(FOLDER)
    early_config.stash[OWN] = counted
    sys.meta_path.insert(0, Finder(counted, FOLDER.name))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write down what this process walked."""
    counted = session.config.stash.get(OWN, None)
    if counted is not None:
        place = session.config.getoption("count_into") / f"{WORKER or 'alone'}.json"
        place.write_text(json.dumps(counted.get_coverage()))
