"""What is printed: small tables, as they go into the docs."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.measuring import Line

GROWTH_MUST, GROWTH_GOAL = 1.2, 1.05
STAGE_HEAD = ("case", "requests/s", "keys/s", "p50 ms", "p99 ms", "of hello", "spread", "must / goal", "")
GROWTH_HEAD = ("case", "few: requests/s", "many: requests/s", "p99 ms", "growth", "spread", "must / goal", "")
# From here on wrk may be what is measured.
BUSY = 0.9


def stage_table(lines: list[Line], durability: str) -> list[str]:
    """One line a case: requests and keys per second, latency, the ratio to hello of the same run, the budget."""
    hello = next((line for line in lines if line.case.name == "hello"), None)
    rows: list[tuple[str, ...]] = [STAGE_HEAD]
    for line in lines:
        ratios = line.ratios(hello) if hello else []
        ratio = median(ratios) if ratios else 0.0
        budget = line.case.budget(durability) if line.store.sqlite else None
        rows.append(
            (
                line.case.words,
                f"{line.rate:,.0f}",
                f"{line.rate * line.case.units:,.0f}" if line.case.units else "",
                f"{line.p50_ms:.2f}",
                f"{line.p99_ms:.2f}",
                f"{ratio:.3f}" if ratios else "",
                spread_of(ratios, ratio),
                f"{budget[0]:.2f} / {budget[1]:.2f}" if budget else "",
                verdict_of(ratio, budget, line.busy),
            )
        )
    return laid_out(rows)


def growth_table(pairs: list[tuple[Line, Line]]) -> list[str]:
    """What a request costs with many users, against what it costs with few: 1 is no growth."""
    rows: list[tuple[str, ...]] = [GROWTH_HEAD]
    for few, many in pairs:
        ratios = few.ratios(many)
        growth = median(ratios) if ratios else 0.0
        verdict = "goal" if growth <= GROWTH_GOAL else "met" if growth <= GROWTH_MUST else "OVER"
        rows.append(
            (
                few.case.words,
                f"{few.rate:,.0f}",
                f"{many.rate:,.0f}",
                f"{few.p99_ms:.2f} / {many.p99_ms:.2f}",
                f"{growth:.3f}",
                spread_of(ratios, growth),
                f"{GROWTH_MUST:.2f} / {GROWTH_GOAL:.2f}",
                verdict,
            )
        )
    return laid_out(rows)


def spread_of(ratios: list[float], middle: float) -> str:
    """How far the ratios lie apart, as a share of the middle one."""
    return f"{(max(ratios) - min(ratios)) / middle:.0%}" if middle else ""


def verdict_of(ratio: float, budget: tuple[float, float] | None, busy: float) -> str:
    """`goal`, `met` or `UNDER`, and whether wrk had too little of its core."""
    words = []
    if budget and ratio:
        words.append("goal" if ratio >= budget[1] else "met" if ratio >= budget[0] else "UNDER")
    if busy > BUSY:
        words.append("(wrk's core was full)")
    return " ".join(words)


def laid_out(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows as a Markdown table whose columns stand under each other: the first to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def line(row: tuple[str, ...]) -> str:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1], strict=True)]
        return f"| {' | '.join([*cells, row[-1].ljust(widths[-1])])} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:-1]), "-" * max(1, widths[-1])]
    return [line(rows[0]), f"| {' | '.join(rule)} |", *map(line, rows[1:])]
