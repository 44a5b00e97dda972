"""A module under its floor is named, and one that no test touches at all too."""

import json
from pathlib import Path

import pytest

from tools.coverage_floor import FLOORS, find_shortfalls, main


def test_only_what_falls_short_is_named() -> None:
    percents = {"a/one.py": 100.0, "a/two.py": 99.0, "b.py": 100.0}
    assert find_shortfalls(percents, {"a": 100, "b.py": 100, "c.py": 50}) == [
        "a/two.py: 99.0 %, wanted 100 %",
        "c.py: not in the report",
    ]


@pytest.mark.parametrize(("whole", "code"), [(89.9, 1), (90.0, 0)])
def test_the_whole_has_a_floor(tmp_path: Path, whole: float, code: int) -> None:
    files = {file: {"summary": {"percent_covered": 100.0, "missing_lines": 0}} for file in FLOORS}
    report = tmp_path / "coverage.json"
    report.write_text(json.dumps({"files": files, "totals": {"percent_covered": whole}}))
    assert main(str(report)) == code
