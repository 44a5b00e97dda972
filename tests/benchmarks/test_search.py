"""The benchmark of the search runs on few logs, and what it draws is there. What it measures here means nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from random import Random
from typing import TYPE_CHECKING

import pytest

from benchmarks.search import Timings, table_of
from benchmarks.search_cases import CASES, Draw
from benchmarks.talk import BUSY, QUIET, busy_of, others_of, owner_of, vocabulary, words_of
from tests.structure.source import ROOT

if TYPE_CHECKING:
    from tests.postgres import PostgresServer

LOGS = 400


def measured(*words: str, **environment: str) -> list[str]:
    """The lines that the command prints."""
    command = [sys.executable, "-m", "benchmarks.search", "--logs", str(LOGS), "--runs", "1", *words]
    given = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def places_of(lines: list[str]) -> dict[str, float]:
    """How many places each case found, by its words."""
    rows = [line.split("|") for line in lines if line.startswith("| ")]
    return {row[1].strip(): float(row[5]) for row in rows[1:] if "---" not in row[1]}


@pytest.mark.slow
def test_both_databases_find_the_same(postgres: PostgresServer) -> None:
    address = postgres.url.render_as_string(hide_password=False)
    sqlite = places_of(measured("--database", "sqlite"))
    assert set(sqlite) == {case.words for case in CASES.values()}
    assert sqlite["list, no words"] == 50
    assert sqlite["phrase"] >= 1
    assert sqlite["own, 20 logs: a model"] > 0
    assert places_of(measured("--database", "postgresql", BENCHMARK_DATABASE_URL=address)) == sqlite


def test_the_talk_is_drawn_by_number() -> None:
    assert words_of(7) == words_of(7) != words_of(8)
    owners = [owner_of(number, 100_000) for number in range(100_000)]
    assert owners.count(QUIET) == 20
    assert 0.8 < owners.count(BUSY) / busy_of(100_000) <= 1
    assert set(owners) <= {BUSY, QUIET, *range(3, 3 + others_of(100_000))}


def test_each_run_asks_for_other_words_and_the_same_ones_again() -> None:
    draw = [case.draw(Draw(Random("x"), LOGS)) for case in CASES.values()]
    assert draw == [case.draw(Draw(Random("x"), LOGS)) for case in CASES.values()]
    assert draw != [case.draw(Draw(Random("y"), LOGS)) for case in CASES.values()]
    assert set(CASES["rare"].draw(Draw(Random("x"), LOGS)).search.split()) <= set(vocabulary()[0])


def test_a_slow_case_stands_out_in_the_table() -> None:
    fast, slow = Timings(CASES["rare"], [1.0] * 20, 40), Timings(CASES["common"], [1.0] * 18 + [101.0] * 2, 1000)
    lines = table_of([fast, slow])
    assert lines[2].endswith("| 1.0 | 1.0 | 1.0 | 2.0 | yes |")
    assert lines[3].endswith("| 1.0 | 101.0 | 101.0 | 50.0 | NO |")
