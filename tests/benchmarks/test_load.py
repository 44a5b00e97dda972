"""What wrk told is read as wrk.lua wrote it."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner

from benchmarks.load import SCRIPT, Load, LoadFailed, read_result
from benchmarks.verify import main

SAID = """Running 2s test @ http://127.0.0.1:8123
  1 threads and 12 connections
RESULT requests=4021 duration_us=2000500 p50_us=2860 p99_us=28590 max_us=41720 valid=4019 invalid=2 wrong=1 broken=3 \
sample=200 {"valid":false,"code":"DAILY LIMIT=100"}
"""


def test_a_result_is_read() -> None:
    assert read_result(SAID, used=1.00025) == Load(
        requests=4021,
        seconds=2.0005,
        p50_ms=2.86,
        p99_ms=28.59,
        max_ms=41.72,
        valid=4019,
        invalid=2,
        wrong=1,
        broken=3,
        sample='200 {"valid":false,"code":"DAILY LIMIT=100"}',
        busy=0.5,
    )


def test_the_result_is_the_one_that_the_script_writes() -> None:
    form = re.search(r'"(RESULT .*)\\n"', SCRIPT.read_text())
    assert form is not None
    numbers = (4021, 2_000_500, 2860, 28_590, 41_720, 4019, 2, 1, 3)
    written = form[1] % (*numbers, '200 {"valid":false,"code":"DAILY LIMIT=100"}')
    assert written in SAID.splitlines()


def test_without_a_sample_it_is_empty() -> None:
    assert read_result(SAID.partition("sample=")[0] + "sample=\n", used=0).sample == ""


@pytest.mark.parametrize(
    "said", ["", "unable to connect to 127.0.0.1:8123 Connection refused\n", SAID.partition(" sample=")[0]]
)
def test_without_a_result_the_load_failed(said: str) -> None:
    with pytest.raises(LoadFailed, match=r"^wrk said:"):
        read_result(said, used=0)


def test_who_has_no_wrk_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    said = CliRunner().invoke(main, [])
    assert said.exit_code == 1
    assert "apt-get install wrk" in said.output
    assert "--trial" in said.output
