"""The benchmarks of signing in: how their figures are made, and that a form is sent as a browser sends it."""

from __future__ import annotations

from contextlib import closing

import pytest

from benchmarks.answers import SORTS, apart
from benchmarks.cores import Cores
from benchmarks.knocking import Form
from benchmarks.load import Load
from benchmarks.signin import Round, bare_hashes, tell
from tests.people import PASSWORD, make_account
from tests.servers import Server


def load(rate: float, p99: float) -> Load:
    return Load(int(rate), 1.0, 1.0, p99, p99, 0, 0, 0, 0, "", 0.0)


def test_a_door_tells_by_its_slowest_and_its_quickest() -> None:
    seconds, share = apart(dict.fromkeys(SORTS, 0.100) | {"locked": 0.112})
    assert (round(seconds, 3), round(share, 2)) == (0.012, 0.12)


@pytest.mark.parametrize(("rate", "kept", "p99", "verdicts"), [(3.3, 700, 9, 2), (3.1, 700, 9, 1), (3.3, 499, 21, 1)])
def test_the_table_says_what_is_met(rate: float, kept: float, p99: float, verdicts: int) -> None:
    rounds = [Round(4.0, rate, 3, load(1000, 5), load(kept, p99)) for _ in range(3)]
    lines = tell(rounds, Cores(frozenset({0}), frozenset({1})), 12, 20)
    assert sum(line.endswith("met") for line in lines) == verdicts
    assert sum(line.endswith("UNDER") for line in lines) == 2 - verdicts
    assert lines[-1].split()[-1] == "9"


def test_the_bound_counts_hashes() -> None:
    assert bare_hashes(0.2, 4, frozenset()) > 1


def test_a_form_signs_people_in_again_and_again(served: Server) -> None:
    make_account("alice")
    fields = {"name": "alice", "password": PASSWORD}
    with closing(Form(served.port, "/sign-in")) as form:
        assert [form.send(fields).status for _ in range(2)] == [302, 302]
        assert form.send({**fields, "password": "wrong words here"}).status == 422
