"""Every job: its name, what it does, how often, and whether once per host or once per cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal.accounts.links import tidy_links
from portal.accounts.names import forget_reservations
from portal.audit.archive import ARCHIVE_JOB, archive_old
from portal.audit.roots import seal_and_keep
from portal.audit.sealing import SEAL_JOB, entries_wait
from portal.clients.status_checks import tidy_status_checks
from portal.core.access import job_actor
from portal.core.database import transaction
from portal.core.text import lazy_gettext as words
from portal.insight.audit_check import CHECK_AUDIT, CHECK_WORKER
from portal.insight.figures import count_figures
from portal.insight.health import check_parts, is_ready
from portal.insight.reconcile import reconcile_credits
from portal.insight.usage import count_usage
from portal.keys.expiry import tell_expiring_keys
from portal.mail.outbox import forget_mails, mail_is_due, send_waiting
from portal.messages.export_files import EXPORT, EXPORT_WORKER, OWN_DATA, drop_exports
from portal.messages.flush import flush, waiting_bytes
from portal.messages.purging import PURGE_JOB, purge_message_logs
from portal.messages.sealing_job import lies_open, seal_message_logs
from portal.privacy.closing import CLOSE_JOB, close_accounts
from portal.privacy.own_data_files import OWN_DATA_WORKER
from portal.privacy.purging import PURGE_USERS_JOB, purge_deleted_users, purge_is_due
from portal.repeats.service import forget_kept
from portal.signin.devices import tidy_devices
from portal.signin.ending import forget_sessions
from portal.signin.steps import forget_steps
from portal.signin.throttle import forget_counts
from portal.support.cases import CLOSE_CASES_JOB, close_idle_cases
from portal.tokens.families import forget_families
from portal.usage.forgetting import forget_leases, forget_refunds
from portal.usage.leases import end_leases
from portal.usage.months import turn_months
from portal.usage.plan_changes import begin_due_plans
from portal.usage.refusal_reading import forget_refusals
from portal.usage.reset import close_finished_days
from portal.usage.warnings import forget_warnings, tell_warnings, warnings_wait
from portal.work.long_work import WORKERS, do_long_works, works_wait

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


def _seal_message_logs() -> str:
    return str(seal_message_logs())


def _seal_audit() -> str:
    return f"sealed {seal_and_keep()}"


def _archive_audit() -> str:
    return f"moved {archive_old()}"


def _close_idle_cases() -> str:
    with transaction():
        closed, back = close_idle_cases(job_actor(CLOSE_CASES_JOB))
    return f"closed {closed}, back into the queue {back}"


def _end_leases() -> str:
    with transaction():
        ended, lost = end_leases()
    return f"ended {ended}, lost {lost}"


def _forget_kept_answers() -> str:
    return f"forgot {_in_batches(forget_kept)}"


def _check_health() -> str:
    parts = check_parts()
    return ", ".join(f"{part.name} {part.state}" for part in parts) if is_ready(parts) else "down"


def _count_figures() -> str:
    with transaction():
        counted = count_figures(patiently=True)
    return "counted" if counted else "not yet: counting takes long here"


def _count_usage() -> str:
    with transaction():
        counted = count_usage(patiently=True)
    return "counted" if counted else "not yet: counting takes long here"


def _warn_users() -> str:
    told, mailed = tell_warnings()
    return f"told {told}, mailed {mailed}"


def _forget_refusals() -> str:
    return f"forgot {forget_refusals()}"


def _forget_sessions() -> str:
    sessions, browsers = _in_batches(forget_sessions), _in_batches(tidy_devices)
    return f"sessions {sessions}, browsers {browsers}, tokens {_in_batches(forget_families)}"


def _forget_tries() -> str:
    forgotten = 0
    while True:
        with transaction():
            batch = forget_steps() + forget_counts()
        forgotten += batch
        if not batch:
            return f"forgot {forgotten}"


def _forget_warnings() -> str:
    return f"forgot {forget_warnings()}"


def _forget_leases() -> str:
    return f"leases {_in_batches(forget_leases)}, refunds {_in_batches(forget_refunds)}"


def _begin_plans() -> str:
    return f"began {begin_due_plans()}"


def _turn_months() -> str:
    return f"turned {turn_months()}"


def _reconcile_credits() -> str:
    with transaction():
        found = reconcile_credits()
    return f"compared {found.checked}, differ {found.count}, by {found.credits} credits"


def _tell_expiring_keys() -> str:
    return f"told {tell_expiring_keys()}"


def _send_mail() -> str:
    sent, failed = send_waiting()
    return f"sent {sent}, failed {failed}"


def _forget_mails() -> str:
    return f"forgot {_in_batches(forget_mails)}"


def _tidy_links() -> str:
    return f"links {_in_batches(tidy_links)}, names {_in_batches(forget_reservations)}"


def _in_batches(forget: Callable[[], int]) -> int:
    """Do it until there is nothing left, each batch in a frame of its own: nobody waits long for the writer."""
    total = 0
    while True:
        with transaction():
            batch = forget()
        total += batch
        if not batch:
            return total


def _do_long_works() -> str:
    return f"did {do_long_works()}"


def _drop_exports() -> str:
    return f"dropped {drop_exports()}"


def _tidy_status_checks() -> str:
    return f"dropped {_in_batches(tidy_status_checks)}"


def _purge_message_logs() -> str:
    return str(purge_message_logs())


def _purge_deleted_users() -> str:
    return f"purged {purge_deleted_users()}"


def _close_accounts() -> str:
    return f"closed {close_accounts()}"


# Who does which kind of long work.
WORKERS[EXPORT] = EXPORT_WORKER
WORKERS[OWN_DATA] = OWN_DATA_WORKER
WORKERS[CHECK_AUDIT] = CHECK_WORKER

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
        Job(
            "seal_message_logs",
            words("Seals what was kept before ENCRYPT_MESSAGES was switched on."),
            _seal_message_logs,
            10,
            has_work=lies_open,
        ),
        Job(SEAL_JOB, words("Chains new entries of the audit log."), _seal_audit, 2, has_work=entries_wait),
        Job(ARCHIVE_JOB, words("Moves old entries of the audit log into files."), _archive_audit, 3600),
        Job("check_health", words("Looks at every part of this host."), _check_health, 30, per_host=True),
        Job("count_figures", words("Counts what the dashboard shows."), _count_figures, 15),
        Job("count_usage", words("Adds up what all users used, for the console."), _count_usage, 60),
        Job(
            "warn_users",
            words("Warns users by mail at 80 and 100 percent of the day."),
            _warn_users,
            30,
            has_work=warnings_wait,
        ),
        Job("end_leases", words("Closes leases whose time and grace are over."), _end_leases, 30),
        Job(
            "forget_kept_answers",
            words("Forgets answers kept for repeated calls, after a day."),
            _forget_kept_answers,
            3600,
        ),
        Job("forget_refusals", words("Deletes refusals older than 30 days."), _forget_refusals, 3600),
        Job("forget_tries", words("Forgets unfinished sign-ins and tries that count no more."), _forget_tries, 3600),
        Job("forget_warnings", words("Deletes warnings of days over 30 days ago."), _forget_warnings, 3600),
        Job("forget_leases", words("Deletes leases and refunds older than 90 days."), _forget_leases, 3600),
        Job("begin_plans", words("Makes plans that have begun the present ones."), _begin_plans, 3600),
        Job("turn_months", words("Turns the plan credits of users who are in a new month."), _turn_months, 3600),
        Job("reconcile_credits", words("Compares every balance with its ledger."), _reconcile_credits, 86_400),
        Job("tell_expiring_keys", words("Tells owners of keys that end within a week."), _tell_expiring_keys, 3600),
        Job("do_long_works", words("Does what people asked for and is long."), _do_long_works, 2, has_work=works_wait),
        Job(
            "drop_exports",
            words("Deletes files of exports whose links have run out."),
            _drop_exports,
            600,
            per_host=True,
        ),
        Job(
            PURGE_JOB,
            words("Takes away words and logs that are kept no longer."),
            _purge_message_logs,
            3600,
        ),
        Job(CLOSE_JOB, words("Deletes accounts whose owners left and did not come back."), _close_accounts, 600),
        Job(
            PURGE_USERS_JOB,
            words("Purges deleted users whose time is over."),
            _purge_deleted_users,
            60,
            has_work=purge_is_due,
        ),
        Job(CLOSE_CASES_JOB, words("Ends cases in which nothing was done for an hour."), _close_idle_cases, 60),
        Job("tidy_status_checks", words("Deletes status checks older than 7 days."), _tidy_status_checks, 3600),
        Job("forget_mails", words("Deletes mails that left, or were given up, over 30 days ago."), _forget_mails, 3600),
        Job(
            "forget_sessions",
            words("Deletes sessions unused for 90 days, tokens that are over, and browsers long unseen."),
            _forget_sessions,
            86400,
        ),
        Job("tidy_links", words("Deletes mailed links and reserved names that are over."), _tidy_links, 3600),
        Job("send_mail", words("Sends what waits in the outbox."), _send_mail, 5, has_work=mail_is_due),
    )
}
