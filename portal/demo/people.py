"""People drawn by chance: who they are, where they live, since when, on which plan, and in what state."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from portal.accounts.models import State
from portal.demo.cultures import CULTURES

DOMAINS = ("example.org", "example.com", "example.net")
YEARS_2 = timedelta(days=730)
MIXED = 0.08
# Letters that do not come apart into a plain letter and an accent.
PLAIN = str.maketrans(
    {"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "ß": "ss", "\N{LATIN SMALL LETTER DOTLESS I}": "i", "đ": "d"}
    | {"ü": "ue", "Ü": "Ue", "ä": "ae", "Ä": "Ae", "ö": "oe", "Ö": "Oe", "å": "aa", "Å": "Aa", "æ": "ae"}
)
STATES = (
    (State.ACTIVE.value, 0.93),
    (State.SUSPENDED.value, 0.03),
    (State.INVITED.value, 0.04),
)
PLANS = (("free", 0.78), ("plus", 0.16), ("studio", 0.04), ("team", 0.02))
# Share of people whose account shows a name other than the bare username.
NAMED = 0.88


@dataclass(frozen=True, slots=True)
class Person:
    """One person as drawn. `stem` is the username wanted; a number is put behind it where it is taken."""

    stem: str
    domain: str
    display_name: str
    time_zone: str
    plan: str
    state: str
    created_at: datetime
    language: str = "en"


def draw_of(number: int, index: int) -> Random:
    """The chance of the person at `index` of the run `--seed number`: nobody's draws move anybody else's."""
    return Random(number * 4_000_037 + index)  # noqa: S311  # made-up people, no secrets


def ascii_of(name: str) -> str:
    """A name in small letters a to z, as its bearer would type it in a username."""
    apart = unicodedata.normalize("NFKD", name.translate(PLAIN))
    return "".join(char for char in apart.lower() if "a" <= char <= "z")


def draw_person(chance: Random, now: datetime, *, active: bool = False) -> Person:
    """Somebody new, signed up within the two years before `now`, more of them lately; `active` for sure if asked."""
    home = chance.choice(CULTURES)
    other = chance.choice(CULTURES)
    given = chance.choice(home.given)
    family = chance.choice((other if chance.random() < MIXED else home).family)
    state = _pick(chance, STATES)
    age = YEARS_2 * chance.random() ** 1.4
    return Person(
        stem=_stem(chance, ascii_of(given), ascii_of(family)),
        domain=chance.choice(DOMAINS),
        display_name=f"{given} {family}" if chance.random() < NAMED else "",
        time_zone=chance.choice(home.zones),
        plan=_pick(chance, PLANS),
        state=State.ACTIVE.value if active else state,
        created_at=now - age,
    )


def _stem(chance: Random, given: str, family: str) -> str:
    forms = (
        f"{given}.{family}",
        f"{given}.{family}",
        f"{given}.{family}",
        f"{given}_{family}",
        f"{given}-{family}",
        f"{given}{family}",
        f"{given[0]}.{family}",
        f"{given}.{family[0]}",
    )
    return chance.choice(forms)


def _pick(chance: Random, shares: tuple[tuple[str, float], ...]) -> str:
    return chance.choices([name for name, _ in shares], [share for _, share in shares])[0]
