"""What a push has to know before it takes anything: who is meant, what is kept of them, which ids are stored already.

Raw statements on one connection, for every push asks them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import orjson

from portal.core import hot, settings
from portal.core.database import id_of_raw, raw_id
from portal.core.statements import for_postgres
from portal.messages.keeping import Keeping, keeping_by

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

CHUNK = 400
WHO = (
    "SELECT a.id, a.username_canonical, a.email_canonical, u.keep_messages, p.retention_days",
    "FROM accounts a JOIN users u ON u.account_id = a.id LEFT JOIN plans p ON p.id = a.plan_id",
    "WHERE a.state <> 'deleted' AND",
)
QUESTIONS = {
    "IDS": (*WHO, "a.id"),
    "NAMES": (*WHO, "a.username_canonical"),
    "EMAILS": (*WHO, "a.email_canonical"),
    "STORED": ("SELECT source_id, digest FROM message_logs WHERE client_id = :client_id AND source_id",),
}
SQLITE = {name: " ".join((*text, "IN (SELECT value FROM json_each(:sought))")) for name, text in QUESTIONS.items()}
# For one alone, as in most pushes: without a list to be taken apart.
SQLITE_ONE = {name: " ".join((*text, "= :sought")) for name, text in QUESTIONS.items()}
POSTGRES = {name: for_postgres(" ".join((*text, "= ANY(:sought)"))) for name, text in QUESTIONS.items()}


class Talker(msgspec.Struct, frozen=True, gc=False):
    """A live user, and what is kept of what they say."""

    id: UUID
    keeping: Keeping


class Known(msgspec.Struct, frozen=True):
    """Users by id, canonical name and e-mail; the digests of records that are stored, by the client's id."""

    users: dict[UUID | str, Talker]
    stored: dict[str, bytes]


def look_up(
    client_id: UUID, *, ids: Collection[UUID], names: Collection[str], emails: Collection[str], sources: Collection[str]
) -> Known:
    """What the database knows of all these, as committed now. Few statements, however many are sought."""
    sqlite = settings.current().sqlite
    sought: list[tuple[str, list[Any]]] = [
        ("IDS", [raw_id(one) for one in ids]),
        ("NAMES", list(names)),
        ("EMAILS", list(emails)),
        ("STORED", list(sources)),
    ]

    client = raw_id(client_id)

    def ask(raw: Any) -> Known:
        known = Known({}, {})
        for name, values in sought:
            for first in range(0, len(values), CHUNK):
                chunk = values[first : first + CHUNK]
                if not sqlite:
                    rows = raw.execute(POSTGRES[name], {"sought": chunk, "client_id": client})
                elif len(chunk) == 1:
                    rows = raw.execute(SQLITE_ONE[name], {"sought": chunk[0], "client_id": client})
                else:
                    rows = raw.execute(SQLITE[name], {"sought": orjson.dumps(chunk).decode(), "client_id": client})
                if name == "STORED":
                    known.stored.update((source_id, bytes(digest)) for source_id, digest in rows.fetchall())
                else:
                    _add_users(known.users, rows.fetchall())
        return known

    return hot.read_together(ask)


def _add_users(users: dict[UUID | str, Talker], rows: Iterable[Any]) -> None:
    for account_id, username, email, choice, plan_days in rows:
        user_id = id_of_raw(account_id)
        talker = users.get(user_id) or Talker(user_id, keeping_by(choice, plan_days))
        users[user_id] = users[username] = talker
        if email:
            users[email] = talker
