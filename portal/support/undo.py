"""Taking back, for a day, what was done to an account: a suspension, a change of plan, a change of credits.

An act is undone from its entry in the audit log, by whoever could do it now and on the same grounds; once; and only
while things are still as the act left them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from portal.accounts.lifecycle import MANAGING, reactivate
from portal.accounts.models import Account, State, User
from portal.audit import events
from portal.audit.models import AuditEntry
from portal.audit.record import Target, record
from portal.core import clock
from portal.core.access import Capability, check_case, needs
from portal.core.actor import ActorKind
from portal.core.database import db
from portal.core.errors import Conflict, Forbidden, NotFound
from portal.core.text import Shown, gettext
from portal.usage.credits import adjust_credits
from portal.usage.models import Plan
from portal.usage.plan_changes import change_plan, coming_change, take_back_plan
from portal.usage.plans import plan_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from portal.core.actor import Actor

FOR = timedelta(hours=24)
SUSPENDED, PLAN = events.ACCOUNT_SUSPENDED.name, events.PLAN_CHANGED.name
CREDITS = {events.CREDITS_GRANTED.name, events.CREDITS_ADJUSTED.name}
KINDS = {SUSPENDED, PLAN, *CREDITS}
# What changes an account's state or plan after an act, so that nothing is as the act left it. A plan that begins is
# what the change had said.
_OVERTAKE = {
    SUSPENDED: {SUSPENDED, events.ACCOUNT_REACTIVATED.name, events.ACCOUNT_DELETED.name, events.ACCOUNT_RESTORED.name},
    PLAN: {PLAN, events.PLAN_TAKEN_BACK.name},
}
_LATER = {events.ACT_UNDONE.name}.union(*_OVERTAKE.values())
MAY = (
    Capability.USER_SUSPEND,
    Capability.PLAN_CHANGE,
    Capability.CREDIT_ADJUST,
    Capability.CREDIT_WRITE,
    Capability.USER_WRITE,
    Capability.STAFF_MANAGE,
    Capability.ADMIN_MANAGE,
)


@dataclass(frozen=True, slots=True)
class Undoing:
    """What undoing an entry would mean: of whose account, what was done, what will be, and until when it can be."""

    entry: AuditEntry
    account: Account
    will: str
    until: datetime


@needs(Capability.CASE_WORK, Capability.AUDIT_READ, *MAY)
def can_undo(actor: Actor, entries: Iterable[AuditEntry]) -> set[UUID]:
    """Which of these entries the actor could undo now, by their ids; for a list. The verb looks again."""
    some = [entry for entry in entries if _in_time(entry) and _may(actor, entry)]
    targets = {entry.target_id for entry in some if entry.target_id is not None}
    if not targets:
        return set()
    accounts = {one.id: one for one in db.session.scalars(select(Account).where(Account.id.in_(targets)))}
    later = _later(targets, min(entry.at for entry in some))
    return {
        entry.id
        for entry in some
        if entry.target_id in accounts and _hindrance(entry, accounts[entry.target_id], later) is None
    }


@needs(*MAY)
def look_at_undoing(actor: Actor, entry_id: UUID) -> Undoing:
    """What undoing this entry would mean. Raises NotFound, Forbidden, and Conflict where it cannot be undone."""
    entry, account = _found(actor, entry_id)
    _check(entry, account)
    return Undoing(entry, account, _will(entry, account), entry.at + FOR)


@needs(*MAY, case=True)
def undo(actor: Actor, entry_id: UUID) -> AuditEntry:
    """Take back what the entry tells of, with the actor's reason. Answers the entry.

    Raises NotFound, Forbidden, CaseNeeded, and Conflict where it was undone, is over a day old, or was overtaken.
    """
    entry, account = _found(actor, entry_id)
    check_case(actor, account.id)
    # Of two at once the second looks after the first: the row is written as it is.
    turn = update(Account).where(Account.id == account.id).values(epoch=Account.epoch)
    db.session.execute(turn.execution_options(synchronize_session=False))
    db.session.refresh(account)
    _check(entry, account)
    facts = {"entry": str(entry.id), "event": entry.event}
    target = Target(entry.target_type or account.kind, account.id, account.username)
    if entry.event == SUSPENDED:
        reactivate(actor, account.id)
    elif entry.event == PLAN:
        _undo_plan(actor, entry, account)
    else:
        adjust_credits(actor, account.id, -int(entry.facts["amount"]))
    record(actor, events.ACT_UNDONE, target, facts)
    return entry


def _undo_plan(actor: Actor, entry: AuditEntry, account: Account) -> None:
    former = _plan_named(entry.facts["from"])
    if former is None or not isinstance(account, User):
        raise Conflict(gettext("The plan of before is no more."))
    if coming_change(account) is not None:
        take_back_plan(actor, account.id)
    else:
        change_plan(actor, account.id, former.id)


def _found(actor: Actor, entry_id: UUID) -> tuple[AuditEntry, Account]:
    """An entry that the actor could undo, and whose account it is about. To others it is not there."""
    entry = db.session.get(AuditEntry, entry_id)
    if entry is None or entry.event not in KINDS or entry.result != "done":
        raise NotFound
    account = db.session.get(Account, entry.target_id) if entry.target_id else None
    if account is None or account.state == State.DELETED:
        raise NotFound
    if actor.kind is ActorKind.STAFF and not isinstance(account, User):
        raise NotFound
    if not _may(actor, entry):
        raise Forbidden
    return entry, account


def _may(actor: Actor, entry: AuditEntry) -> bool:
    """Whether the actor holds what the act itself asks for."""
    if entry.event == SUSPENDED:
        managing = MANAGING.get(entry.target_type or "", Capability.USER_WRITE)
        return actor.may(managing) or (managing is Capability.USER_WRITE and actor.may(Capability.USER_SUSPEND))
    if entry.event == PLAN:
        return actor.may(Capability.PLAN_CHANGE) or actor.may(Capability.USER_WRITE)
    return actor.may(Capability.CREDIT_WRITE) or actor.may(Capability.CREDIT_ADJUST)


def _in_time(entry: AuditEntry) -> bool:
    return entry.event in KINDS and entry.result == "done" and clock.now() < entry.at + FOR


def _later(targets: Iterable[UUID], since: datetime) -> list[AuditEntry]:
    """What came after, about these accounts, that bears on undoing."""
    query = select(AuditEntry).where(
        AuditEntry.target_id.in_(list(targets)), AuditEntry.at >= since, AuditEntry.event.in_(_LATER)
    )
    return list(db.session.scalars(query))


def _check(entry: AuditEntry, account: Account) -> None:
    if not _in_time(entry):
        raise Conflict(gettext("This can be undone for 24 hours only."))
    hindrance = _hindrance(entry, account, _later([account.id], entry.at))
    if hindrance is not None:
        raise Conflict(hindrance)


def _hindrance(entry: AuditEntry, account: Account, later: Sequence[AuditEntry]) -> Shown | None:
    """Why an entry cannot be undone, as far as it is not its age."""
    about = [one for one in later if one.target_id == account.id]
    if any(one.event == events.ACT_UNDONE.name and one.facts.get("entry") == str(entry.id) for one in about):
        return gettext("This was undone already.")
    overtakes = _OVERTAKE.get(entry.event, set())
    if any(one.event in overtakes and (one.at, one.id) > (entry.at, entry.id) for one in about):
        return gettext("Something else was done since, so that it cannot be undone.")
    if entry.event == SUSPENDED and account.state != State.SUSPENDED:
        return gettext("The account is not suspended any more.")
    if entry.event == PLAN and (not isinstance(account, User) or not _plan_stands(entry, account)):
        return gettext("The user has another plan by now, or the plan of before is no more.")
    return None


def _plan_stands(entry: AuditEntry, user: User) -> bool:
    coming = coming_change(user)
    if clock.now() < datetime.fromisoformat(entry.facts["starts_at"]):
        stands = coming is not None and coming.plan.name == entry.facts["to"]
    else:
        stands = coming is None and plan_of(user).name == entry.facts["to"]
    return stands and _plan_named(entry.facts["from"]) is not None


def _plan_named(name: str) -> Plan | None:
    return db.session.scalars(select(Plan).where(Plan.name == name)).first()


def _will(entry: AuditEntry, account: Account) -> str:
    """What will be, in a sentence."""
    if entry.event == SUSPENDED:
        return gettext("%(name)s can sign in again and the API keys work again.", name=account.username)
    if entry.event in CREDITS:
        amount = int(entry.facts["amount"])
        if amount > 0:
            return gettext("%(amount)s credits are taken again, plan credits first.", amount=f"{amount:,}")
        return gettext("%(amount)s credits come back, as own credits.", amount=f"{-amount:,}")
    facts = entry.facts
    if clock.now() < datetime.fromisoformat(facts["starts_at"]).astimezone(UTC):
        return gettext("The plan stays %(plan)s; %(other)s does not begin.", plan=facts["from"], other=facts["to"])
    return gettext(
        "The plan is %(plan)s again, from the next call on. Credits that were given this month stay.",
        plan=facts["from"],
    )
