"""What a key may be used for, and the rules for that: name, scopes, expiry, networks, own daily limit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from portal.accounts.days import Calendar, resets_at, zone
from portal.core import clock, settings
from portal.core.errors import Invalid
from portal.core.networks import BadNetwork, network_of
from portal.core.settings import KEY_SCOPE
from portal.core.text import BadName, Shown, clean_line, gettext

if TYPE_CHECKING:
    from collections.abc import Iterable

    from portal.keys.models import ApiKey

MOST_NAME = 60
MOST_SCOPES = 20
MOST_NETWORKS = 50
MOST_LIMIT = 1_000_000
MOST_YEARS = 10
LONGEST = timedelta(days=3653)


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """The terms of a key. No scopes: good for any; no networks: from anywhere; None: no expiry, no limit of its own."""

    name: str
    scopes: tuple[str, ...] = ()
    expires_at: datetime | None = None
    networks: tuple[str, ...] = ()
    daily_limit: int | None = None


def terms_of(key: ApiKey) -> KeyTerms:
    """The terms of a key as it stands."""
    return KeyTerms(key.name, tuple(key.scopes), key.expires_at, tuple(key.networks), key.daily_limit)


def end_of_day(day: date, time_zone: str) -> datetime:
    """When this day is over in this zone; for one that no key may end on, some instant that the rules refuse."""
    today = clock.now().date()
    day = min(max(day, today - timedelta(days=3)), today + LONGEST + timedelta(days=3))
    return resets_at(Calendar(time_zone), datetime.combine(day, time(12), tzinfo=zone(time_zone)))


def checked_terms(terms: KeyTerms, before: KeyTerms | None = None) -> KeyTerms:
    """The terms in the form in which they are kept. What stood `before` may stay.

    Raises Invalid, with what is wrong at each field."""
    wrong: dict[str, Shown] = {}
    checked = KeyTerms(
        name=_name(terms.name, wrong),
        scopes=_scopes(terms.scopes, before.scopes if before else (), wrong),
        expires_at=_expiry(terms.expires_at, before.expires_at if before else None, wrong),
        networks=_networks(terms.networks, wrong),
        daily_limit=_limit(terms.daily_limit, wrong),
    )
    if wrong:
        raise Invalid(wrong)
    return checked


def _name(typed: str, wrong: dict[str, Shown]) -> str:
    try:
        name = clean_line(typed, most=MOST_NAME)
    except BadName as error:
        wrong["name"] = str(error)
        return ""
    if not name:
        wrong["name"] = gettext("Give the key a name, so that you know it again.")
    return name


def _scopes(typed: Iterable[str], held: tuple[str, ...], wrong: dict[str, Shown]) -> tuple[str, ...]:
    scopes = tuple(dict.fromkeys(typed))
    if len(scopes) > MOST_SCOPES:
        wrong["scopes"] = gettext("At most %(most)s scopes.", most=MOST_SCOPES)
        return ()
    allowed = settings.current().key_scopes
    for scope in scopes:
        if not KEY_SCOPE.fullmatch(scope):
            wrong["scopes"] = gettext(
                "“%(scope)s” is no scope: up to 40 small letters, digits and : . _ -, the first a letter or digit.",
                scope=scope[:60],
            )
        elif allowed and scope not in allowed and scope not in held:
            wrong["scopes"] = gettext(
                "There is no scope “%(scope)s”. There are: %(allowed)s.", scope=scope, allowed=", ".join(allowed)
            )
    return scopes


def _expiry(wanted: datetime | None, held: datetime | None, wrong: dict[str, Shown]) -> datetime | None:
    if wanted is not None and wanted != held:
        if wanted <= clock.now():
            wrong["expires_at"] = gettext("This is past already.")
        elif wanted > clock.now() + LONGEST:
            wrong["expires_at"] = gettext("At most %(most)s years ahead.", most=MOST_YEARS)
    return wanted


def _networks(typed: Iterable[str], wrong: dict[str, Shown]) -> tuple[str, ...]:
    texts = tuple(dict.fromkeys(typed))
    if len(texts) > MOST_NETWORKS:
        wrong["networks"] = gettext("At most %(most)s networks.", most=MOST_NETWORKS)
        return ()
    try:
        return tuple(dict.fromkeys(network_of(text) for text in texts))
    except BadNetwork as error:
        wrong["networks"] = str(error)
        return ()


def _limit(wanted: int | None, wrong: dict[str, Shown]) -> int | None:
    # A bool is an int to Python, and 1.5 or "5" is what a caller without types may hand over.
    if wanted is not None and (type(wanted) is not int or not 0 <= wanted <= MOST_LIMIT):
        wrong["daily_limit"] = gettext("A whole number from 0 to 1,000,000.")
    return wanted
