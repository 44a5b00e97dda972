"""Why was I refused? What is kept of a refusal (refusals.py writes it), in facts and plain words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import delete, select

from portal.core import clock
from portal.core.access import Capability, needs
from portal.core.database import db, transaction
from portal.core.errors import NotFound
from portal.core.ids import parse_id
from portal.core.masks import mask_address
from portal.core.pages import PAGE_SIZE, Page, page_of
from portal.core.text import lazy_gettext as words
from portal.usage.decisions import read_decision
from portal.usage.history import usage_owner
from portal.usage.models import Refusal
from portal.usage.spending import NO_KEY

if TYPE_CHECKING:
    from portal.core.actor import Actor
    from portal.core.text import Shown

KEPT = timedelta(days=30)
BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Rule:
    """What a code means: a title, the rule in a sentence, and what helps where it does not clear by itself."""

    title: Shown
    sentence: Shown
    remedy: Shown


RULES: dict[str, Rule] = {
    "KEY_REVOKED": Rule(
        words("The key is revoked"),
        words("A key that was revoked is refused for good, wherever it is used."),
        words("Not by itself: a revoked key stays revoked. Make a new key and put it where the old one was."),
    ),
    "KEY_EXPIRED": Rule(
        words("The key has expired"),
        words("A key is refused from the moment on that was set as its end."),
        words("Not by itself: renew the key with a later end, or make a new one."),
    ),
    "ACCOUNT_DELETED": Rule(
        words("The account is closed"),
        words("Keys of an account that is closed, or about to close, are refused."),
        words("Not by itself: the closing has to be undone first, as long as that is possible."),
    ),
    "ACCOUNT_SUSPENDED": Rule(
        words("The account is not active"),
        words("Only an active account may spend; this one was suspended or not yet activated."),
        words("Not by itself: ask support why the account is suspended. The keys work again once it is active."),
    ),
    "IP_NOT_ALLOWED": Rule(
        words("The address is not allowed"),
        words("The key works from certain networks only, and the call came from outside of them."),
        words("Not by itself: call from an allowed network, or change the networks of the key."),
    ),
    "SCOPE_MISSING": Rule(
        words("A scope is missing"),
        words("The service asked for a scope that the key does not have."),
        words("Not by itself: give the key the scope, or use a key that has it."),
    ),
    "RATE_LIMITED": Rule(
        words("Too many calls in a minute"),
        words("There were more calls within a minute than the rate allows."),
        words("By itself, a minute after the calls slow down."),
    ),
    "KEY_LIMIT_REACHED": Rule(
        words("The key's own limit is reached"),
        words("The key has a daily limit of its own, and the call would have gone past it."),
        words("Not by itself: one call asks for more than the key may use in a whole day. Raise the key's limit."),
    ),
    "DAILY_LIMIT_REACHED": Rule(
        words("The daily limit is reached"),
        words("The call would have gone past the conversations that may be started in a day."),
        words("Not by itself: one call asks for more than the limit of a whole day. Ask for a higher limit."),
    ),
    "CREDITS_EXHAUSTED": Rule(
        words("Not enough credits"),
        words("The call costs more credits than were left."),
        words("Not by itself: ask for credits. Those of the plan, if it grants any, come anew with the next month."),
    ),
}
OTHER = Rule(words("Refused"), words("The call was refused."), words("Not by itself: ask support."))


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of one refusal; None or empty where they played no part."""

    asked_conversations: int | None
    asked_credits: int | None
    limit: int | None
    used: int | None
    remaining: int | None
    credits: int | None
    rate_per_minute: int | None
    key_limit: int | None
    key_used: int | None
    resets_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    clears_at: datetime | None
    address: str
    networks: tuple[str, ...]
    scopes_missing: tuple[str, ...]
    model: str
    plan: str


@dataclass(frozen=True, slots=True)
class RefusalSeen:
    """All refusals of one key for one reason within a minute. `key_id` is None where no key was used."""

    id: UUID
    user_id: UUID
    key_id: UUID | None
    code: str
    client_name: str
    count: int
    first_at: datetime
    last_at: datetime
    first: Numbers
    last: Numbers

    @property
    def rule(self) -> Rule:
        """What the code means."""
        return RULES.get(self.code, OTHER)

    @property
    def clears_at(self) -> datetime | None:
        """From when on the same call would pass; None where that takes somebody's doing."""
        asked, most = self.last.asked_conversations or 0, self.last.limit
        if self.code == "KEY_LIMIT_REACHED":
            most = self.last.key_limit
        # What asks for more than a whole day holds is refused tomorrow too.
        limited = self.code in {"DAILY_LIMIT_REACHED", "KEY_LIMIT_REACHED"} and most is not None
        return None if limited and asked > (most or 0) else self.last.clears_at

    @property
    def cleared(self) -> bool:
        """Whether that instant is past."""
        return self.clears_at is not None and self.clears_at <= clock.now()


@needs(Capability.OWN_USAGE, Capability.USER_FIND)
def refusals_of(actor: Actor, user_id: UUID, cursor: str | None = None, *, size: int = PAGE_SIZE) -> Page[RefusalSeen]:
    """One page of a user's refusals of the last 30 days, newest first. Raises NotFound."""
    usage_owner(actor, user_id)
    query = select(Refusal).where(Refusal.user_id == user_id, Refusal.last_at >= clock.now() - KEPT)
    page = page_of(query, [Refusal.last_at.desc(), Refusal.id.desc()], cursor, purpose=f"refusals-{user_id}", size=size)
    return Page([_seen(actor, row) for row in page.items], page.next_cursor, page.previous_cursor)


@needs(Capability.OWN_USAGE, Capability.USER_FIND)
def refusal(actor: Actor, decision_id: UUID) -> RefusalSeen:
    """The refusal of this decision id: one's own, or anyone's for the desk and the console. Raises NotFound."""
    row = db.session.get(Refusal, decision_id)
    if row is None or row.last_at < clock.now() - KEPT:
        raise NotFound
    usage_owner(actor, row.user_id)
    return _seen(actor, row)


def was_allowed(typed: str) -> bool:
    """Whether this is the decision id of a call that was let through. It is signed: nothing is looked up."""
    return read_decision(typed.strip()) is not None


@needs(Capability.OWN_USAGE, Capability.USER_FIND)
def find_refusal(actor: Actor, typed: str) -> RefusalSeen | None:
    """The refusal whose decision id somebody typed, as far as the actor may see it."""
    decision_id = parse_id(typed.strip())
    try:
        return refusal(actor, decision_id) if decision_id else None
    except NotFound:
        return None


def forget_refusals() -> int:
    """Delete what is older than 30 days, a batch at a time. Answers how many."""
    forgotten = 0
    while True:
        old = select(Refusal.id).where(Refusal.last_at < clock.now() - KEPT).order_by(Refusal.last_at).limit(BATCH)
        ids = list(db.session.scalars(old))
        if not ids:
            return forgotten
        with transaction():
            gone = delete(Refusal).where(Refusal.id.in_(ids)).returning(Refusal.id)
            forgotten += len(db.session.scalars(gone.execution_options(synchronize_session=False)).all())


def _seen(actor: Actor, row: Refusal) -> RefusalSeen:
    """What this actor may see: addresses and networks whole for the owner and whoever sees contacts."""
    whole = actor.id == row.user_id or actor.may(Capability.USER_CONTACT)
    return RefusalSeen(
        id=row.id,
        user_id=row.user_id,
        key_id=None if row.key_id == NO_KEY else row.key_id,
        code=row.code,
        client_name=row.client_name,
        count=row.count,
        first_at=row.first_at,
        last_at=row.last_at,
        first=_numbers(row.first_facts, whole=whole),
        last=_numbers(row.last_facts, whole=whole),
    )


def _numbers(facts: dict[str, Any], *, whole: bool) -> Numbers:
    asked = facts.get("asked") or {}
    address, networks = facts.get("address") or "", tuple(facts.get("networks") or ())

    def instant(name: str) -> datetime | None:
        said = facts.get(name)
        return datetime.fromisoformat(said) if said else None

    return Numbers(
        asked_conversations=asked.get("conversations"),
        asked_credits=asked.get("credits"),
        limit=facts.get("limit"),
        used=facts.get("used"),
        remaining=facts.get("remaining"),
        credits=facts.get("credits"),
        rate_per_minute=facts.get("rate_per_minute"),
        key_limit=facts.get("key_limit"),
        key_used=facts.get("key_used"),
        resets_at=instant("resets_at"),
        expires_at=instant("expires_at"),
        revoked_at=instant("revoked_at"),
        clears_at=instant("clears_at"),
        address=address if whole else mask_address(address),
        networks=networks if whole else tuple(mask_address(network) for network in networks),
        scopes_missing=tuple(facts.get("scopes_missing") or ()),
        model=facts.get("model") or "",
        plan=facts.get("plan") or "",
    )
