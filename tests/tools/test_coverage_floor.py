"""A module under its floor is named with what of it was not walked, and one that no test touches at all too."""

import json
from pathlib import Path
from typing import Any

import pytest

from tools.coverage_floor import FLOORS, WHOLE, find_shortfalls, main


def facts(percent: float = 100.0, *, lines: tuple[int, ...] = (), ways: tuple[tuple[int, int], ...] = ()) -> Any:
    """What stands in a report about one file."""
    return {"summary": {"percent_covered": percent}, "missing_lines": lines, "missing_branches": ways}


def test_only_what_falls_short_is_named() -> None:
    files = {"a/one.py": facts(), "a/two.py": facts(99, lines=(3,), ways=((3, 4), (7, 0))), "b.py": facts()}
    assert find_shortfalls(files, {"a": 100, "b.py": 100, "c.py": 50}) == [
        "a/two.py: 99.0 %, wanted 100 %; not walked: 3, 7→0",
        "c.py: not in the report",
    ]


def walk(walked: int) -> str:
    """The report of a process that walked the first so many of the hundred lines of each file."""
    lines = {"executed_lines": list(range(walked)), "missing_lines": list(range(walked, 100))}
    own = {"executed_branches": [], "missing_branches": [], "summary": {"percent_covered": walked}}
    files = dict.fromkeys([*FLOORS, "portal/rest.py"], lines | own)
    meta = {"software": "slipcover", "branch_coverage": True}
    return json.dumps({"meta": meta, "files": files, "summary": {"percent_covered": walked}})


@pytest.mark.parametrize(("walked", "code"), [((100, 40), 0), ((99, 99), 1), ((100,), 0), ((99,), 1)])
def test_what_one_process_walked_no_other_has_to(tmp_path: Path, walked: tuple[int, ...], code: int) -> None:
    for number, lines in enumerate(walked):
        (tmp_path / f"gw{number}.json").write_text(walk(lines))
    assert main(str(tmp_path)) == code


def test_the_whole_has_a_floor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = json.loads(walk(100))
    report["summary"]["percent_covered"] = WHOLE - 0.1
    (tmp_path / "main.json").write_text(json.dumps(report))
    assert main(str(tmp_path)) == 1
    assert "The whole: 89.9 %" in capsys.readouterr().out


def test_without_any_report_nothing_is_said_to_be_well(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no process"):
        main(str(tmp_path))
