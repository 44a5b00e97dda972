"""Moving an account to another time zone. A user wins no second day by it: the day one is in goes on."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from babel.dates import format_datetime

from portal.accounts.days import day_held_after_move, resets_at, zone
from portal.accounts.models import User
from portal.audit import events
from portal.audit.record import Target, record
from portal.core import clock
from portal.core.errors import Invalid
from portal.core.text import gettext

if TYPE_CHECKING:
    from datetime import datetime

    from portal.accounts.models import Account
    from portal.core.actor import Actor

PAUSE = timedelta(days=7)


def may_move_from(user: User) -> datetime | None:
    """From when on the user may change the zone again; None when now."""
    again = user.zone_changed_at + PAUSE if user.zone_changed_at else None
    return again if again is not None and again > clock.now() else None


def check_pause(account: Account) -> None:
    """Users change their own zone once in seven days. Raises Invalid at `time_zone`, saying when again."""
    again = may_move_from(account) if isinstance(account, User) else None
    if again is not None:
        when = format_datetime(again.astimezone(zone(account.time_zone)), "d MMM y, HH:mm", locale="en")
        said = gettext("You can change it once in seven days; again from %(when)s on.", when=when)
        raise Invalid({"time_zone": said})


def move_account(actor: Actor, account: Account, time_zone: str) -> None:
    """Put the account into a known zone. A user's usage day of now goes on, with what was used, till a midnight of
    the new zone (`day_held_after_move`); no limit and no counter is touched.
    """
    before, now, day_until = account.time_zone, clock.now(), None
    if isinstance(account, User):
        held = day_held_after_move(account.calendar, time_zone, now)
        account.held_day, account.held_until = held or (None, None)
        account.zone_changed_at = now
    account.time_zone = time_zone
    if isinstance(account, User):
        day_until = resets_at(account.calendar, now).isoformat(timespec="seconds")
    target = Target(account.kind, account.id, account.username)
    record(actor, events.ZONE_CHANGED, target, {"from": before, "to": time_zone, "day_until": day_until})
