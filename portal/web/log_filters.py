"""What lists of message logs read from the address: words, model, conversation, and days in the viewer's zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from portal.accounts.days import zone
from portal.messages.reading import LogFilter
from portal.web.identity import viewer
from portal.web.lists import typed

if TYPE_CHECKING:
    from uuid import UUID

YEARS = range(1970, 9999)


@dataclass(frozen=True, slots=True)
class TypedFilter:
    """A filter of logs, and the days it was typed as: the first and the last, each "" when there is none."""

    wanted: LogFilter
    first: str
    last: str

    @property
    def folded_out(self) -> bool:
        """Whether anything besides the search narrows the list."""
        return bool(self.wanted.model or self.wanted.conversation or self.first or self.last)

    @property
    def address(self) -> dict[str, str]:
        """The filter as a list's address has it, for a page that goes on with what the list showed."""
        wanted = self.wanted
        said = {"q": wanted.search, "model": wanted.model, "conversation": wanted.conversation}
        return {name: value for name, value in {**said, "from": self.first, "to": self.last}.items() if value}


@dataclass(frozen=True, slots=True)
class TypedDays:
    """Days as typed, "" for none, and the instants they begin and end at where the viewer is."""

    first: str
    last: str
    since: datetime | None
    until: datetime | None


def typed_days() -> TypedDays:
    """The days `from` and `to` of the address. A day that is none is no filter; the last is meant as a whole."""
    first, last = _day("from"), _day("to")
    return TypedDays(
        first.isoformat() if first else "",
        last.isoformat() if last else "",
        _start(first) if first else None,
        _start(last + timedelta(days=1)) if last else None,
    )


def typed_filter(user_id: UUID | None = None) -> TypedFilter:
    """The filter in the address. A day that is none is no filter; the last day is meant as a whole."""
    days = typed_days()
    wanted = LogFilter(
        search=typed("q"),
        user_id=user_id,
        model=typed("model", most=80),
        conversation=typed("conversation", most=128),
        since=days.since,
        until=days.until,
    )
    return TypedFilter(wanted, days.first, days.last)


def _day(name: str) -> date | None:
    try:
        day = date.fromisoformat(typed(name, most=10))
    except ValueError:
        return None
    return day if day.year in YEARS else None


def _start(day: date) -> datetime:
    person = viewer()
    return datetime.combine(day, time(), zone(person.time_zone if person else "UTC")).astimezone(UTC)
