"""core/clock.py alone reads the clock: no limit, link or entry can disagree about what time it is."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.structure.source import Module, portal_modules

if TYPE_CHECKING:
    from collections.abc import Iterable

READS = {
    *(f"datetime.datetime.{name}" for name in ("now", "utcnow", "today")),
    "datetime.date.today",
    *(f"time.{name}{unit}" for name in ("time", "monotonic", "perf_counter") for unit in ("", "_ns")),
    *(f"time.{name}" for name in ("localtime", "gmtime", "strftime", "ctime")),
    *(f"sqlalchemy.func.{name}" for name in ("now", "current_timestamp", "current_date", "localtimestamp")),
}
CLOCK = "portal.core.clock"


def clock_readings(modules: Iterable[Module]) -> list[str]:
    """Each reading of the clock, called or handed on, outside the one place for it."""
    return [
        f"{module.name}:{node.lineno} {ast.unparse(node)}"
        for module in modules
        if module.name != CLOCK
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Name | ast.Attribute) and module.dotted(node) in READS
    ]


def test_one_place_reads_the_clock() -> None:
    assert clock_readings(portal_modules()) == []
    own = [module for module in portal_modules() if module.name == CLOCK]
    assert clock_readings([Module("portal.core.other", module.text) for module in own]) != []


def test_a_second_clock_is_reported_under_any_name() -> None:
    ways = (
        "from datetime import UTC, datetime\nnow = datetime.now(UTC)",
        "import datetime as dt\nnow = dt.datetime.utcnow()",
        "from datetime import date\ntoday = date.today()",
        "import time\nnow = time.time()",
        "from time import monotonic as tick\nnow = tick()",
        "from datetime import datetime\nfrom dataclasses import field\nat = field(default_factory=datetime.now)",
        "from sqlalchemy import func\nat = func.now()",
    )
    for way in ways:
        assert len(clock_readings([Module("portal.keys.service", way)])) == 1, way
