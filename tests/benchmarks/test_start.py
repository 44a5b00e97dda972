"""The benchmark of starts measures all it names."""

from __future__ import annotations

import sys

import pytest
from click.testing import CliRunner

from benchmarks.start import main


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="PSS is Linux's")
def test_it_runs_and_prints_its_figures() -> None:
    done = CliRunner().invoke(main, ["--rounds", "1"])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert len(lines) == 6
    told = {words.strip(): measured for _, words, measured, *_ in (line.split("|") for line in lines[2:])}
    assert all(float(measured.split()[0]) > 0 for measured in told.values()), told
    assert "each further worker" in told
