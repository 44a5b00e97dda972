"""Is this key good, and may it spend? Checks in the order of the contract, then spends in the same step."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from portal.core import clock, crypto
from portal.core.access import Capability, needs, open_to_all
from portal.core.database import raw_id, raw_instant
from portal.core.errors import Unavailable
from portal.core.ids import new_id
from portal.core.networks import inside
from portal.keys.known import KnownKey, digest_of, kept_key, read_key
from portal.repeats.service import Replay
from portal.usage.ledger import runner
from portal.usage.spending import Cost, Spending, Stale, look
from portal.usage.verdicts import Asked, Keeping, Verdict, decide, state_refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from uuid import UUID

    from portal.core.actor import Actor
    from portal.repeats.service import Repeat

MOST_TRIES = 4
USE_EVERY = timedelta(seconds=50)
MOST_NOTED = 50_000
_noted: dict[UUID, datetime] = {}
_seen: Counter[str] = Counter()


class Question(msgspec.Struct, frozen=True, gc=False):
    """What a client asks. `credits` None means the plan's price for the model."""

    key: str
    conversations: int = 1
    credits: int | None = None
    scopes: tuple[str, ...] = ()
    ip: str | None = None
    model: str = ""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What came of it. `key` is None where the key is unknown."""

    verdict: Verdict
    key: KnownKey | None = None

    @property
    def code(self) -> str:
        """VALID, or why not."""
        return self.verdict.code


@needs(Capability.KEY_VERIFY)
def verify(
    actor: Actor,
    questions: Sequence[Question],
    *,
    repeat: Repeat | None = None,
    face: Callable[[list[Answer]], bytes],
) -> list[Answer] | Replay:
    """Check each key and spend its cost, or say by a code why not; what one question spends the next one sees.

    All of it is committed at once. `face` makes the answer that a repeat of the call is given again.
    """
    for attempt in range(MOST_TRIES):
        known = [_find(question, fresh=attempt > 0) for question in questions]
        try:
            return _decide(actor, questions, known, repeat, face)
        except Stale:
            continue
    raise Unavailable(retry_after=1)


@open_to_all("a key may ask about itself; whoever holds none learns nothing")
def own_state(actor: Actor, secret: str) -> Answer:
    """How the key that asks stands, from the address it asks from; spends nothing and leaves no refusal."""
    key = read_key(digest_of(secret))
    if key is None:
        return Answer(_unknown())
    now = clock.now()
    question = Question(secret, conversations=0, credits=0, ip=actor.address)
    refused = refusal_of(key, question, now)
    if refused is not None:
        return Answer(Verdict(refused, str(new_id())), key)
    return Answer(Verdict("VALID", str(new_id()), look(Spending(key.budget, Cost(0, 0), key.spending))), key)


def _find(question: Question, *, fresh: bool) -> KnownKey | None:
    """The key, from this process's copies only where that lets the question pass."""
    now = clock.now()
    spends = question.conversations > 0 or question.credits
    if spends and not fresh:
        known = kept_key(crypto.digest(question.key), now)
        if known is not None and refusal_of(known, question, now) is None:
            return known
    return read_key(digest_of(question.key))


def _decide(
    actor: Actor,
    questions: Sequence[Question],
    known: Sequence[KnownKey | None],
    repeat: Repeat | None,
    face: Callable[[list[Answer]], bytes],
) -> list[Answer] | Replay:
    now = clock.now()
    asked = [
        ask_about(actor, key, question, now) for key, question in zip(known, questions, strict=True) if key is not None
    ]

    # Made once: the answer that is kept must be the one that is given.
    nobody = {place: Answer(_unknown()) for place, key in enumerate(known) if key is None}

    def joined(verdicts: list[Verdict]) -> list[Answer]:
        left = iter(verdicts)
        return [nobody[place] if key is None else Answer(next(left), key) for place, key in enumerate(known)]

    if not asked and repeat is None:
        return joined([])
    keeping = None if repeat is None else Keeping(repeat, lambda verdicts: face(joined(verdicts)))
    made = decide(actor, asked, keeping)
    return made if isinstance(made, Replay) else joined(made)


def _unknown() -> Verdict:
    """For a key that nobody has: it is counted and opens nothing, for there is nobody to open it."""
    _seen["unknown"] += 1
    return Verdict("KEY_UNKNOWN", str(new_id()))


def count_unknown() -> int:
    """How often this process was asked about a key that nobody has."""
    return _seen["unknown"]


def ask_about(actor: Actor, key: KnownKey, question: Question, now: datetime) -> Asked:
    """The question with what is known of the key."""
    price = key.budget.prices.get(question.model, 0)
    cost = Cost(question.conversations, price if question.credits is None else question.credits)
    address = question.ip or actor.address
    refused = refusal_of(key, question, now)
    return Asked(
        Spending(key.budget, cost, key.spending, question.model, key.values),
        refused=refused,
        facts=_facts(key, question) if refused else None,
        address=address,
        note=None if refused else _note_of(actor, key, address, now),
    )


def refusal_of(key: KnownKey, question: Question, now: datetime) -> str | None:
    """The first check that fails, in the order of the contract."""
    if key.revoked_at is not None:
        return "KEY_REVOKED"
    if key.expires_at is not None and key.expires_at <= now:
        return "KEY_EXPIRED"
    if (dead := state_refusal(key.budget.state)) is not None:
        return dead
    if key.networks is not None and not inside(question.ip, key.networks):
        return "IP_NOT_ALLOWED"
    if question.scopes and key.scopes and set(question.scopes) - set(key.scopes):
        return "SCOPE_MISSING"
    return None


def _facts(key: KnownKey, question: Question) -> dict[str, Any]:
    facts: dict[str, Any] = {"clears_at": None}
    if key.revoked_at is not None:
        facts["revoked_at"] = key.revoked_at.isoformat()
    if key.expires_at is not None:
        facts["expires_at"] = key.expires_at.isoformat()
    if key.networks is not None:
        facts["networks"] = [str(network) for network in key.networks][:20]
    if missing := sorted(set(question.scopes) - set(key.scopes)):
        facts["scopes_missing"] = missing[:20]
    return facts


def _note_of(actor: Actor, key: KnownKey, address: str | None, now: datetime) -> Callable[[Any, datetime], None] | None:
    """What a success writes besides: the last use, at most about once a minute, and who still has an old key."""
    last = _noted.get(key.id)
    due = last is None or not timedelta(0) <= now - last < USE_EVERY
    if not due and not key.replaced:
        return None

    def note(raw: Any, at: datetime) -> None:
        run = runner(
            raw,
            key_id=raw_id(key.id),
            at=raw_instant(at),
            address=(address or "")[:45],
            actor_name=actor.name[:80],
        )
        if due:
            run("NOTE_KEY_USE")
            if len(_noted) >= MOST_NOTED:
                _noted.clear()
            _noted[key.id] = at
        if key.replaced:
            run("NOTE_OLD_KEY")

    return note
