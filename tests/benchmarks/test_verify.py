"""The benchmark of verify still runs: every case for a moment, on few users. What it measures here means nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.books import Books, WrongBooks, check_books
from benchmarks.cases import CASES, GROWING
from benchmarks.crowd import id_of, secret_of, spread
from benchmarks.load import Load
from benchmarks.measuring import WrongAnswers, check_answers
from benchmarks.serving import server_options
from benchmarks.stores import Store
from benchmarks.tables import laid_out
from benchmarks.verify import TRIAL
from portal import serving
from portal.core.settings import load
from portal.keys.secrets import well_formed
from tests.structure.source import ROOT

if TYPE_CHECKING:
    from tests.postgres import PostgresServer

BRIEF = ("--users", "200", "--rounds", "1", "--seconds", "0.2", "--warm-up", "0", "--connections", "2")
ONCE = ("--durability", "process", "--threads", "2", "--trial")
GOOD = Load(10, 1.0, 1.0, 2.0, 3.0, valid=10, invalid=0, wrong=0, broken=0, sample="", busy=0.1)
BEFORE = Books(days=100, details=100, credits=900, ledger=-100)


def measured(*words: str, **environment: str) -> list[str]:
    """The lines that the command prints where there is no wrk."""
    command = [sys.executable, "-m", "benchmarks.verify", *BRIEF, *ONCE, *words]
    given = {**os.environ, "PATH": "", "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_every_case_runs_on_sqlite() -> None:
    lines = measured("--database", "sqlite", *(word for name in CASES for word in ("--case", name)))
    assert [case.words for case in CASES.values() if not any(case.words in line for line in lines)] == []
    table = next(number for number, line in enumerate(lines) if line.startswith("|"))
    assert lines[table - 2].endswith(f"; TRIAL: {TRIAL}")


@pytest.mark.xdist_group("benchmark database")  # its name tells its size: of two at once one drops the other's
@pytest.mark.slow
def test_spending_runs_on_postgresql(postgres: PostgresServer) -> None:
    address = postgres.url.render_as_string(hide_password=False)
    names = ("hello", "hot", "credits", "many", "unique")
    words = [word for name in names for word in ("--case", name)]
    lines = measured("--database", "postgresql", *words, BENCHMARK_DATABASE_URL=address)
    assert [name for name in names if not any(CASES[name].words in line for line in lines)] == []


@pytest.mark.slow
def test_growth_runs() -> None:
    lines = measured("--database", "sqlite", "--growth", "--log-level", "warning")
    assert [name for name in GROWING if not any(CASES[name].words in line for line in lines)] == []


def test_hello_is_served_as_the_product_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    class Told:
        def __init__(self, _target: str, **options: Any) -> None:
            given.update(options)

        def serve(self) -> None:
            """Ends at once."""

    monkeypatch.setattr("granian.Granian", Told)
    monkeypatch.setattr("sys.stdout", sys.stderr)
    settings = load({}, folder=tmp_path, data_dir=tmp_path, port=8123, log_level="error")
    serving.serve(settings, workers=3)
    assert given == server_options(host=settings.host, port=8123, workers=3, threads=settings.threads)


def test_answers_that_are_not_all_valid_end_the_run() -> None:
    hot = CASES["hot"]
    check_answers(hot, GOOD)
    for bad in (
        replace(GOOD, wrong=1, sample="500 oops"),
        replace(GOOD, broken=1),
        replace(GOOD, valid=9, invalid=1),
        replace(GOOD, valid=9),
    ):
        with pytest.raises(WrongAnswers):
            check_answers(hot, bad)
    check_answers(CASES["hello"], replace(GOOD, valid=0))


def test_books_that_do_not_agree_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store("sqlite:///nowhere", Path(), 200, "")
    monkeypatch.setattr("benchmarks.books.PATIENCE_S", 0)

    def check(after: Books, credits: int = 0) -> None:
        monkeypatch.setattr("benchmarks.books.read_books", lambda _store: after)
        check_books(store, BEFORE, valid=10, in_flight=2, credits=credits)

    check(replace(BEFORE, days=110, details=110))
    check(replace(BEFORE, days=112, details=112))
    check(replace(BEFORE, days=110, details=110, credits=870, ledger=-130), credits=3)
    for wrong in (
        replace(BEFORE, days=109, details=109),
        replace(BEFORE, days=113, details=113),
        replace(BEFORE, days=110, details=109),
        replace(BEFORE, days=110, details=110, credits=899, ledger=-101),
        replace(BEFORE, days=110, details=110, ledger=-101),
    ):
        with pytest.raises(WrongBooks):
            check(wrong)


def test_the_keys_are_keys() -> None:
    assert all(well_formed(secret_of(number)) for number in (0, 7, 999_999))
    assert spread(1_000, 200)[:3] == [0, 5, 10]
    assert spread(3, 200) == [0, 1, 2]
    ids = [id_of("user", number) for number in range(3)]
    assert ids == sorted(ids)
    assert all(len(made) == 32 and made[12] == "7" and made[16] in "89ab" for made in ids)


def test_tables_stand_straight() -> None:
    lines = laid_out([("case", "rate", ""), ("a long name", "1,000", "met")])
    assert lines == ["| case        |  rate |     |", "| ----------- | ----: | --- |", "| a long name | 1,000 | met |"]
