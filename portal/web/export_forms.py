"""What is asked before conversations are exported: as what, which of them, and of another person, why."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from flask_wtf import FlaskForm
from wtforms import DateField, RadioField, SelectChoice, StringField
from wtforms.validators import InputRequired, Length, Optional

from portal.accounts.days import zone
from portal.core.text import lazy_gettext as words
from portal.messages.reading import LogFilter
from portal.web.identity import viewer
from portal.web.lists import typed


class ExportForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """What to export, with the filters of the lists of conversations and logs."""

    format = RadioField(
        words("As"),
        choices=[
            SelectChoice("jsonl", words("JSON lines: for programs, exactly as it was said")),
            SelectChoice("csv", words("CSV: for spreadsheets")),
        ],
        default="jsonl",
    )
    q = StringField(words("Only with these words"), [Length(max=200)])
    model = StringField(words("Only of this model"), [Length(max=80)])
    conversation = StringField(words("Only of this conversation"), [Length(max=128)])
    since = DateField(words("From"), [Optional()])
    until = DateField(words("To the end of"), [Optional()])


class ReasonedExportForm(ExportForm):
    """The same of what another person said."""

    reason = StringField(words("Reason"), [InputRequired(words("Say why.")), Length(max=500)])


def filters_in_address() -> dict[str, Any]:
    """What such a form is filled with: the filters of the list that led here."""
    filled: dict[str, Any] = {name: typed(name) for name in ("q", "model", "conversation")}
    return {**filled, "since": _day("from"), "until": _day("to")}


def wanted_logs(form: ExportForm) -> LogFilter:
    """What was chosen. Days are those of the person who asks."""
    until = form.until.data
    return LogFilter(
        search=_clean(form.q.data),
        model=_clean(form.model.data),
        conversation=_clean(form.conversation.data),
        since=_begin(form.since.data),
        until=_begin(until + timedelta(days=1)) if until and until < date.max else None,
    )


def _day(name: str) -> date | None:
    try:
        return date.fromisoformat(typed(name, most=10))
    except ValueError:
        return None


def _clean(text: str | None) -> str:
    return (text or "").replace("\0", "").strip()


def _begin(day: date | None) -> datetime | None:
    """When this day begins where the person is; for days at the ends of the calendar, in UTC."""
    if day is None:
        return None
    person = viewer()
    near = 1900 < day.year < 2900
    return datetime.combine(day, time(0), tzinfo=zone(person.time_zone if person and near else "UTC"))
