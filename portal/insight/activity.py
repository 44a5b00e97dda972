"""What was done with one's own account: by oneself, by others, and who looked at the record and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import or_, select

from portal.accounts.models import Account, StaffMember
from portal.audit import events
from portal.audit.models import AuditEntry
from portal.audit.reading import INSIDE, LOOKS, reason_told
from portal.core.access import Capability, needs
from portal.core.actor import ActorKind
from portal.core.database import db
from portal.core.masks import mask_address
from portal.core.pages import PAGE_SIZE, Page, page_of
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.keys.models import ApiKey
from portal.support.viewed import sees_addresses
from portal.support.viewing import check_viewing

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any
    from uuid import UUID

    from babel.support import LazyProxy
    from sqlalchemy import ColumnElement

    from portal.core.actor import Actor

TRIES = {events.SIGN_IN_HALFWAY.name, events.SIGN_IN_FAILED.name, events.REAUTH_FAILED.name}
# Facts that help the owner to tell two entries apart; of others it is enough that there is an entry.
TOLD = ("name", "prefix", "method", "provider", "from", "to", "amount", "extra", "format", "count", "changed")
FIELDS = {"email": words("e-mail address"), "address": words("network addresses")}
MOST_UNDONE = 500


@dataclass(frozen=True, slots=True)
class Deed:
    """One entry as the owner of the account sees it. `who` is None for oneself; of others no address is told, but why
    they looked or changed something. `undone` is whether it was taken back since."""

    at: datetime
    event: str
    sentence: LazyProxy | str
    who: str | None
    details: list[str]
    reason: str | None
    address: str | None
    refused: bool
    undone: bool


@needs(Capability.OWN_ACTIVITY)
def own_activity(actor: Actor, cursor: str | None = None, *, size: int = PAGE_SIZE) -> Page[Deed]:
    """A page of what the actor did, and of what others did to the actor's account but looking; newest first.

    Of others each change comes with its reason. Notes, and how a case is passed on, are among the house."""
    return _page(actor.id, _done(actor.id), cursor, purpose="activity", size=size)


def _done(owner_id: UUID | None) -> ColumnElement[bool]:
    """Entries of what the owner did, and of what was done to the account."""
    keys = select(ApiKey.id).where(ApiKey.user_id == owner_id)
    done_to = or_(AuditEntry.target_id == owner_id, AuditEntry.target_id.in_(keys))
    return or_(AuditEntry.actor_id == owner_id, done_to & AuditEntry.event.not_in(LOOKS | INSIDE))


@needs(Capability.OWN_ACTIVITY)
def looks_at_me(actor: Actor, cursor: str | None = None, *, size: int = PAGE_SIZE) -> Page[Deed]:
    """A page of who else looked at the actor's record or conversations, and why; newest first."""
    return _page(actor.id, _looked(actor.id), cursor, purpose="looks", size=size)


def _looked(owner_id: UUID | None) -> ColumnElement[bool]:
    """Entries of others who looked at the owner's record."""
    others = or_(AuditEntry.actor_id.is_(None), AuditEntry.actor_id != owner_id)
    seen = (AuditEntry.target_id == owner_id) & AuditEntry.event.in_(LOOKS) & (AuditEntry.result == "done")
    return seen & others


@needs(Capability.USER_VIEW_AS)
def activity_shown(actor: Actor, user_id: UUID, cursor: str | None = None, *, looks: bool = False) -> Page[Deed]:
    """The page of a user's activity, or of who looked, for whoever has the pages of the user open; addresses masked.

    Raises NotFound, Malformed.
    """
    check_viewing(actor, user_id)
    wanted = _looked(user_id) if looks else _done(user_id)
    page = _page(user_id, wanted, cursor, purpose="looks-shown" if looks else "activity-shown")
    if sees_addresses(actor, user_id):
        return page
    masked = [replace(deed, address=mask_address(deed.address) if deed.address else None) for deed in page.items]
    return Page(masked, page.next_cursor, page.previous_cursor)


def _page(
    owner_id: UUID | None, wanted: ColumnElement[bool], cursor: str | None, *, purpose: str, size: int = PAGE_SIZE
) -> Page[Deed]:
    order: list[Any] = [AuditEntry.at.desc(), AuditEntry.id.desc()]
    page = page_of(select(AuditEntry).where(wanted), order, cursor, purpose=f"{purpose}-{owner_id}", size=size)
    named = _names({entry.actor_id for entry in page.items if entry.actor_id not in {None, owner_id}})
    undone = _undone(owner_id, page.items)
    deeds = [_deed(owner_id, entry, named, undone=str(entry.id) in undone) for entry in page.items]
    return Page(deeds, page.next_cursor, page.previous_cursor)


def _undone(owner_id: UUID | None, entries: list[AuditEntry]) -> set[str]:
    """The ids of those entries that were undone since."""
    if not any(entry.target_id == owner_id for entry in entries):
        return set()
    undoings = (
        select(AuditEntry.facts)
        .where(AuditEntry.target_id == owner_id, AuditEntry.event == events.ACT_UNDONE.name)
        .where(AuditEntry.at >= entries[-1].at)
        .order_by(AuditEntry.at.desc(), AuditEntry.id.desc())
        .limit(MOST_UNDONE)
    )
    return {str(facts.get("entry")) for facts in db.session.scalars(undoings)}


def _names(ids: set[UUID | None]) -> dict[UUID, str]:
    """How the people of these ids are told of: their first name, and of support the level."""
    if not ids:
        return {}
    return {account.id: _name_of(account) for account in db.session.scalars(select(Account).where(Account.id.in_(ids)))}


def _name_of(account: Account) -> str:
    first = account.shown_name.split(" ")[0]
    if isinstance(account, StaffMember):
        return gettext("%(name)s, support level %(level)s", name=first, level=account.level)
    return gettext("%(name)s, admin", name=first) if account.kind == ActorKind.ADMIN else first


def _who(entry: AuditEntry, named: dict[UUID, str]) -> str:
    if entry.actor_id in named:
        return named[entry.actor_id]
    return {
        ActorKind.STAFF.value: gettext("Support"),
        ActorKind.ADMIN.value: gettext("An admin"),
        ActorKind.CLIENT.value: gettext("The service %(name)s", name=entry.actor_name),
        ActorKind.JOB.value: gettext("Automatic"),
        ActorKind.OPERATOR.value: gettext("The operator of this site"),
    }.get(entry.actor_kind, gettext("Somebody who was not signed in"))


def _deed(owner_id: UUID | None, entry: AuditEntry, named: dict[UUID, str], *, undone: bool) -> Deed:
    own = entry.actor_id == owner_id
    event = events.EVENTS.get(entry.event)
    return Deed(
        at=entry.at,
        event=entry.event,
        sentence=event.sentence if event else entry.event,
        who=None if own else _who(entry, named),
        details=_details(entry.facts),
        reason=None if own else reason_told(entry),
        address=entry.address if own or entry.event in TRIES else None,
        refused=entry.result != "done",
        undone=undone,
    )


def _details(facts: dict[str, Any]) -> list[str]:
    told = [facts[name] for name in TOLD if facts.get(name) not in (None, "", [])]
    told += [FIELDS[facts["field"]]] if facts.get("field") in FIELDS else []
    return [", ".join(map(str, value)) if isinstance(value, list) else str(value) for value in told]
