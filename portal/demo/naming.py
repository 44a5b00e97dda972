"""Usernames that are free: the wanted one, or the wanted one with a number behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import exists, select

from portal.accounts.models import Account, ReservedName
from portal.accounts.names import reserved_digest
from portal.core.database import db

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHUNK = 500


class Namer:
    """Gives out names of one run, each once. A name another run or a real person has is left alone."""

    def __init__(self) -> None:
        self._after: dict[str, int] = {}
        self._any_reserved = bool(db.session.scalar(select(exists().where(ReservedName.account_id.is_not(None)))))

    def take(self, wanted: list[tuple[str, str]]) -> list[str]:
        """A free username for each (stem, e-mail domain): `username@domain` is free as well."""
        numbers = [self._number(stem) for stem, _ in wanted]
        open_still = list(range(len(wanted)))
        while open_still:
            asked = {at: _name(wanted[at][0], numbers[at]) for at in open_still}
            held = self._held((name, f"{name}@{wanted[at][1]}") for at, name in asked.items())
            open_still = [at for at, name in asked.items() if name in held]
            for at in open_still:
                # Doubling finds the end of a long row of numbers in few rounds.
                stem = wanted[at][0]
                self._after[stem] = max(self._after[stem], 2 * numbers[at])
                numbers[at] = self._number(stem)
        return [_name(stem, number) for (stem, _), number in zip(wanted, numbers, strict=True)]

    def _number(self, stem: str) -> int:
        number = self._after.get(stem, 1)
        self._after[stem] = number + 1
        return number

    def _held(self, pairs: Iterable[tuple[str, str]]) -> set[str]:
        """Those usernames of (username, e-mail) of which one or the other is taken or reserved."""
        owner: dict[str, str] = {}
        for name, email in pairs:
            owner |= {name: name, email: name}
        held: set[str] = set()
        for chunk in _chunks(list(owner)):
            for column in (Account.username_canonical, Account.email_canonical):
                found = db.session.scalars(select(column).where(column.in_(chunk)))
                held |= {owner[value] for value in found if value}
        if self._any_reserved:
            kept = {reserved_digest("email" if "@" in text else "username", text): text for text in owner}
            for chunk in _chunks(list(kept)):
                query = select(ReservedName.digest).where(ReservedName.digest.in_(chunk))
                held |= {owner[kept[digest]] for digest in db.session.scalars(query)}
        return held


def _name(stem: str, number: int) -> str:
    return stem if number == 1 else f"{stem}{number}"


def _chunks(values: list[str]) -> Iterator[list[str]]:
    return (values[at : at + CHUNK] for at in range(0, len(values), CHUNK))
