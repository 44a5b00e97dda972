"""Rounds: one case after the other, again and again, with the books checked after each."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

import click

from benchmarks.books import Books, check_books, read_books
from benchmarks.load import Load, run_load
from benchmarks.trial import run_trial

if TYPE_CHECKING:
    from benchmarks.cases import Case
    from benchmarks.load import Request
    from benchmarks.servers import Server
    from benchmarks.stores import Store


class WrongAnswers(Exception):
    """Something else came back than VALID with 200; the text has the numbers and an example."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long and how hard, and whether by Python's own load. Seconds may be a fraction."""

    rounds: int
    seconds: float
    warm_up: float
    connections: int
    load_cores: frozenset[int]
    trial: bool = False

    def run(self, port: int, request: Request) -> list[Load]:
        """The warm-up, if there is one, and then what counts. Raises LoadFailed."""
        return [self.send(port, request, seconds) for seconds in (self.warm_up, self.seconds) if seconds > 0]

    def send(self, port: int, request: Request, seconds: float) -> Load:
        """These requests for so long. Raises LoadFailed."""
        make = run_trial if self.trial else run_load
        return make(port, request, connections=self.connections, seconds=seconds, cores=self.load_cores)


@dataclass(slots=True)
class Line:
    """One case on one store, and its runs, one a round."""

    case: Case
    store: Store
    server: Server
    loads: list[Load] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Requests per second, the median of the rounds."""
        return median(load.rate for load in self.loads)

    @property
    def p50_ms(self) -> float:
        """The median of the rounds' medians."""
        return median(load.p50_ms for load in self.loads)

    @property
    def p99_ms(self) -> float:
        """The median of the rounds' 99th percentiles."""
        return median(load.p99_ms for load in self.loads)

    @property
    def busy(self) -> float:
        """The most that wrk needed of its core: near 1 the figure is wrk's and not the server's."""
        return max(load.busy for load in self.loads)

    def ratios(self, other: Line) -> list[float]:
        """This rate to the other's, round by round."""
        return [own.rate / its.rate for own, its in zip(self.loads, other.loads, strict=True) if its.rate]


def run_rounds(lines: list[Line], pace: Pace) -> None:
    """Measure all lines in turn, `rounds` times. Raises WrongAnswers, WrongBooks, LoadFailed."""
    books = {line.store.url: read_books(line.store) for line in lines}
    for number in range(1, pace.rounds + 1):
        for line in lines:
            load, books[line.store.url] = _measure(line, pace, books[line.store.url])
            line.loads.append(load)
            click.echo(f"  round {number} of {pace.rounds}: {line.case.name:9} {load.rate:10,.0f}/s", err=True)


def _measure(line: Line, pace: Pace, before: Books) -> tuple[Load, Books]:
    request = line.case.request(line.store)
    line.server.resume()
    try:
        runs = pace.run(line.server.port, request)
        for run in runs:
            check_answers(line.case, run)
        # A look is answered VALID too, and spends nothing.
        valid = sum(run.valid for run in runs) if line.case.units else 0
        in_flight = len(runs) * pace.connections * line.case.units
        after = check_books(
            line.store,
            before,
            valid=valid,
            in_flight=in_flight,
            credits=line.case.credits,
            slowest_s=max(run.slowest_s for run in runs),
        )
    finally:
        line.server.pause()
    return runs[-1], after


def check_answers(case: Case, run: Load) -> None:
    """Raises WrongAnswers unless every answer was 200 and, where units are spent, VALID for each."""
    faults = []
    if run.wrong:
        faults.append(f"{run.wrong} answers outside 200 to 299")
    if run.broken:
        faults.append(f"{run.broken} connections lost or timed out")
    if run.invalid:
        faults.append(f"{run.invalid} answers that were not VALID")
    if case.units and run.valid != run.requests * case.units:
        faults.append(f"{run.requests} answers held {run.valid} VALID instead of {case.units} each")
    if faults:
        raise WrongAnswers(f"{case.words}: {', '.join(faults)}. For example: {run.sample or 'none'}")
