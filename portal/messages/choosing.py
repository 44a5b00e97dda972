"""The user's choice of what is kept of conversations: what each would come to, said before it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, false, func, literal, not_, select, true

from portal.accounts.lifecycle import target_of
from portal.accounts.models import User
from portal.audit import events
from portal.audit.record import record
from portal.core import clock
from portal.core.access import Capability, needs
from portal.core.database import Instant, db
from portal.core.errors import Invalid, NotFound
from portal.core.text import folded, gettext, ngettext
from portal.messages.clocks import kept_since
from portal.messages.keeping import CHOICES, keeping_by, lasting
from portal.messages.models import MessageLog
from portal.usage.models import Plan

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement

    from portal.core.actor import Actor
    from portal.messages.keeping import Keeping

# As they are offered: what keeps most first.
OFFERED = ("plan", "365", "30", "7", "metadata", "nothing")


@dataclass(frozen=True, slots=True)
class Option:
    """One choice: what it comes to, and what it would take away by the next purge.

    `words_lost` are conversations that lose words, `talks_lost` those that go as a whole, both besides what goes by
    the present choice. One that is `beyond` the
    plan comes to no more than the plan and cannot be chosen.
    """

    choice: str
    keeping: Keeping
    beyond: bool
    words_lost: int
    talks_lost: int

    @property
    def takes(self) -> int:
        """How many conversations lose something now."""
        return self.talks_lost or self.words_lost


@dataclass(frozen=True, slots=True)
class Choices:
    """What a user may choose from, what holds now, and for how many days the plan keeps anything."""

    chosen: str
    plan_days: int
    options: list[Option]

    def of(self, choice: str) -> Option:
        """The option of this choice."""
        return next(option for option in self.options if option.choice == choice)


@needs(Capability.OWN_CONVERSATIONS)
def own_choices(actor: Actor) -> Choices:
    """What the actor may choose, and what each would take away now. Raises NotFound."""
    user = _user(actor)
    plan_days = db.session.scalar(select(Plan.retention_days).where(Plan.id == user.plan_id)) if user.plan_id else None
    lasts = lasting(plan_days)
    kept = {choice: keeping_by(choice, plan_days) for choice in OFFERED}
    lost = _losses(user, kept)
    options = [
        Option(choice, kept[choice], choice.isdigit() and int(choice) > lasts, *lost[choice]) for choice in OFFERED
    ]
    return Choices(user.keep_messages, lasts, options)


@needs(Capability.OWN_CONVERSATIONS)
def choose_keeping(actor: Actor, choice: str, *, typed_name: str = "") -> Option:
    """Choose what is kept from now on, and of what is there already; the purge takes the rest away within the hour.

    Where something is taken away, the username is to be typed: it cannot be undone. Raises NotFound, Invalid.
    """
    user = _user(actor)
    if choice not in CHOICES:
        raise Invalid({"keeping": gettext("Choose one of these.")})
    choices = own_choices(actor)
    option = choices.of(choice)
    if choice == user.keep_messages:
        return option
    if option.beyond:
        raise Invalid({"keeping": gettext("Your plan does not keep conversations for so long.")})
    if option.takes and folded(typed_name.strip()) != user.username_canonical:
        raise Invalid({"typed_name": _what_goes(option)})
    before = user.keep_messages
    user.keep_messages, user.keep_changed_at = choice, clock.now()
    record(actor, events.KEEPING_CHOSEN, target_of(user), {"from": before, "to": choice})
    return option


def _what_goes(option: Option) -> str:
    if option.talks_lost:
        words = ngettext(
            "This deletes %(num)s conversation for good. Type your username if you mean it.",
            "This deletes %(num)s conversations for good. Type your username if you mean it.",
            option.talks_lost,
        )
    else:
        words = ngettext(
            "This deletes words of %(num)s conversation for good. Type your username if you mean it.",
            "This deletes words of %(num)s conversations for good. Type your username if you mean it.",
            option.words_lost,
        )
    return words


def _user(actor: Actor) -> User:
    user = db.session.get(User, actor.id) if actor.id else None
    if user is None:
        raise NotFound
    return user


def _losses(user: User, kept: dict[str, Keeping]) -> dict[str, tuple[int, int]]:
    """(conversations that lose words, conversations that go) by the next purge, of each choice. One statement.

    Without what is over by the present choice already: that goes either way.
    """
    now, present = clock.now(), kept[user.keep_messages]
    worded = and_(MessageLog.digest != b"", not_(_is_over(MessageLog.received_at, present.content_days, now)))
    talks = (
        select(
            func.min(case((worded, MessageLog.received_at))).label("words"),
            func.max(MessageLog.received_at).label("last"),
        )
        .where(MessageLog.user_id == user.id, not_(_is_over(MessageLog.received_at, present.metadata_days, now)))
        .group_by(MessageLog.conversation_id)
        .subquery()
    )
    columns: list[Any] = []
    for choice in OFFERED:
        for received, days in (
            (talks.c.words, kept[choice].content_days),
            (talks.c.last, kept[choice].metadata_days),
        ):
            columns.append(func.count(case((_is_over(received, days, now), received))))
    row = db.session.execute(select(*columns)).one()
    return {choice: (row[2 * place], row[2 * place + 1]) for place, choice in enumerate(OFFERED)}


def _is_over(received: Any, days: int | None, now: datetime) -> ColumnElement[bool]:
    if days is None:
        return true()
    since = kept_since(now, days)
    return false() if since is None else received <= literal(since, Instant())
