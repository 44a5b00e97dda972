"""The JSON that chart.js draws."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from portal.core.text import gettext


def seconds_of(day: date) -> int:
    """Midnight UTC of a date, in seconds: what the chart's axis counts in."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def days_chart(days: list[tuple[date, int]]) -> dict[str, Any]:
    """One series of conversations per day."""
    return {
        "x": [seconds_of(day) for day, _ in days],
        "series": [{"label": gettext("Conversations"), "values": [used for _, used in days]}],
    }
