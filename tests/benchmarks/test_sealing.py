"""The benchmark of sealing measures every step and both ways."""

from __future__ import annotations

import re

from click.testing import CliRunner

from benchmarks.sealing import main


def test_it_runs_and_prints_a_figure_for_each_step() -> None:
    done = CliRunner().invoke(main, ["--records", "100", "--rounds", "1"])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert len(lines) == 9
    assert all(re.search(r" +\d+\.\d$", line) for line in lines)
