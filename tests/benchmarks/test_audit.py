"""The benchmark of the audit log measures all it names."""

from __future__ import annotations

import re

from click.testing import CliRunner

from benchmarks.audit import main


def test_it_runs_and_prints_its_figures() -> None:
    done = CliRunner().invoke(main, ["--entries", "100", "--seconds", "0.1", "--rounds", "1", "--only", "sqlite"])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert all(re.search(r" +\d+(\.\d+)?$", line) for line in lines)
