"""Every job: its name, what it does, how often, and whether once per host or once per cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal.core.database import transaction
from portal.core.text import lazy_gettext as words
from portal.insight.figures import count_figures
from portal.insight.health import check_parts, is_ready
from portal.mail.outbox import mail_is_due, send_waiting
from portal.messages.flush import flush, waiting_bytes
from portal.usage.reset import close_finished_days

if TYPE_CHECKING:
    from collections.abc import Callable

    from babel.support import LazyProxy


@dataclass(frozen=True, slots=True)
class Job:
    """One line of the table. `every_s` 0 means FLUSH_INTERVAL_S.

    A job that says it has no work is passed over by the clock, except twice a minute, so that an idle server
    writes little and a dead clock is still noticed.
    """

    name: str
    sentence: LazyProxy
    work: Callable[[], str]
    every_s: int
    per_host: bool = False
    has_work: Callable[[], bool] | None = None


def _reset_daily_limits() -> str:
    return f"closed {close_finished_days()}"


def _flush_message_logs() -> str:
    return str(flush())


def something_waits() -> bool:
    """Whether a flush would find records."""
    return waiting_bytes() > 0


def _check_health() -> str:
    parts = check_parts()
    return ", ".join(f"{part.name} {part.state}" for part in parts) if is_ready(parts) else "down"


def _count_figures() -> str:
    with transaction():
        counted = count_figures(patiently=True)
    return "counted" if counted else "not yet: counting takes long here"


def _send_mail() -> str:
    sent, failed = send_waiting()
    return f"sent {sent}, failed {failed}"


JOBS: dict[str, Job] = {
    job.name: job
    for job in (
        Job("reset_daily_limits", words("Closes usage days that are over."), _reset_daily_limits, 300),
        Job(
            "flush_message_logs",
            words("Moves the spool into the database."),
            _flush_message_logs,
            0,
            per_host=True,
            has_work=something_waits,
        ),
        Job("check_health", words("Looks at every part of this host."), _check_health, 30, per_host=True),
        Job("count_figures", words("Counts what the dashboard shows."), _count_figures, 15),
        Job("send_mail", words("Sends what waits in the outbox."), _send_mail, 5, has_work=mail_is_due),
    )
}
