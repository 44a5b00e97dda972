"""What many logs share: their model's name, their conversation, the counts of their day."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
import psycopg
from sqlalchemy import select

from portal.core.database import db, id_of_raw, raw_day, raw_id, raw_instant, writing_connection
from portal.core.ids import new_id
from portal.core.statements import both
from portal.messages.lines import total_of
from portal.messages.models import MessageModel
from portal.messages.sealing import seal_title, sealing_on
from portal.messages.shape import plain_text
from portal.messages.upserting import upsert_into

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from portal.messages.lines import WaitingRecord

TITLE = 120
ConversationKey = tuple[UUID, UUID, str]
COLUMNS = "id, user_id, client_id, source_id, title, sealed_title, started_at, last_at, exchanges"
MEET = """ON CONFLICT (user_id, client_id, source_id) DO UPDATE SET
    started_at = {least}(conversations.started_at, excluded.started_at),
    last_at = {greatest}(conversations.last_at, excluded.last_at),
    exchanges = conversations.exchanges + excluded.exchanges"""
MEET_ONE = f"""INSERT INTO conversations ({COLUMNS})
    VALUES (:id, :user_id, :client_id, :source_id, :title, :sealed_title, :started_at, :last_at, :exchanges)
    {MEET.format(least="min", greatest="max")}"""  # noqa: S608  # our own words
FIND_MANY = """SELECT c.id, c.user_id, c.client_id, c.source_id FROM json_each(?) AS k JOIN conversations AS c
    ON c.user_id = json_extract(k.value, '$[0]') AND c.client_id = json_extract(k.value, '$[1]')
    AND c.source_id = json_extract(k.value, '$[2]')"""
MEET_MANY = f"""INSERT INTO conversations ({COLUMNS})
    SELECT * FROM unnest(%(id)s::uuid[], %(user_id)s::uuid[], %(client_id)s::uuid[], %(source_id)s::varchar[],
        %(title)s::varchar[], %(sealed_title)s::bytea[], %(started_at)s::timestamptz[], %(last_at)s::timestamptz[],
        %(exchanges)s::int[])
    {MEET.format(least="least", greatest="greatest")} RETURNING id, user_id, client_id, source_id"""  # noqa: S608  # our own words
SQLITE, POSTGRES = both(
    {
        "COUNT": """INSERT INTO model_days (day, model, logs, tokens) VALUES (:day, :model, :logs, :tokens)
            ON CONFLICT (day, model) DO UPDATE
            SET logs = model_days.logs + excluded.logs, tokens = model_days.tokens + excluded.tokens"""
    }
)


def model_ids(wanted: set[str]) -> dict[str, int]:
    """The ids of these names, which are added where they are missing."""
    if not wanted:
        return {}
    query = select(MessageModel.name, MessageModel.id).where(MessageModel.name.in_(sorted(wanted)))
    known = {row.name: row.id for row in db.session.execute(query)}
    missing = sorted(wanted - set(known))
    if missing:
        fresh = upsert_into(MessageModel).values([{"name": name} for name in missing])
        db.session.execute(fresh.on_conflict_do_nothing(index_elements=["name"]))
        known = {row.name: row.id for row in db.session.execute(query)}
    return known


def key_of(record: WaitingRecord) -> ConversationKey:
    """By what a conversation is known."""
    return record.user_id, record.client_id, record.conversation


def conversation_ids(records: Sequence[WaitingRecord]) -> dict[ConversationKey, UUID]:
    """Each record's conversation, made or moved on. Sorted, so that two never wait for each other."""
    merged: dict[ConversationKey, dict[str, Any]] = {}
    for record in records:
        row = merged.get(key_of(record))
        if row is None:
            merged[key_of(record)] = _conversation(record)
            continue
        row["started_at"], row["last_at"] = min(row["started_at"], record.at), max(row["last_at"], record.at)
        row["exchanges"] += 1
    rows = [merged[key] for key in sorted(merged)]
    connection = writing_connection()
    if isinstance(connection, psycopg.Connection):
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        found = connection.execute(MEET_MANY, columns).fetchall()
        return {(user_id, client_id, source_id): one for one, user_id, client_id, source_id in found}
    for row in rows:
        row |= {name: raw_id(row[name]) for name in ("id", "user_id", "client_id")}
        row |= {name: raw_instant(row[name]) for name in ("started_at", "last_at")}
    connection.executemany(MEET_ONE, rows)
    keys = orjson.dumps([(row["user_id"], row["client_id"], row["source_id"]) for row in rows]).decode()
    known = {tuple(key): one for one, *key in connection.execute(FIND_MANY, [keys])}
    return {key: id_of_raw(known[raw_id(key[0]), raw_id(key[1]), key[2]]) for key in merged}


def _conversation(record: WaitingRecord) -> dict[str, Any]:
    conversation_id, title, sealed = new_id(), title_of(record.messages), None
    if title and sealing_on():
        sealed, title = seal_title(record.user_id, conversation_id, title), ""
    return {
        "id": conversation_id,
        "user_id": record.user_id,
        "client_id": record.client_id,
        "source_id": record.conversation,
        "title": title,
        "sealed_title": sealed,
        "started_at": record.at,
        "last_at": record.at,
        "exchanges": 1,
    }


def title_of(messages: list[dict[str, Any]]) -> str:
    """A conversation is called by the first words of the person, not by the instructions before them."""
    asked = [message for message in messages if message.get("role") == "user"] or messages
    return " ".join(plain_text(asked[:1]).split())[:TITLE]


def count_models(records: Sequence[WaitingRecord]) -> None:
    """Add these to the counts of their days and models."""
    counted: dict[tuple[date, str], list[int]] = {}
    for record in records:
        cell = counted.setdefault((record.at.astimezone(UTC).date(), record.model), [0, 0])
        cell[0] += 1
        cell[1] += total_of(record.tokens) or 0
    rows = [
        {"day": raw_day(day), "model": model, "logs": logs, "tokens": tokens}
        for (day, model), (logs, tokens) in sorted(counted.items())
    ]
    connection = writing_connection()
    if isinstance(connection, psycopg.Connection):
        with connection.cursor() as cursor:
            cursor.executemany(POSTGRES["COUNT"], rows)
    else:
        connection.executemany(SQLITE["COUNT"], rows)
