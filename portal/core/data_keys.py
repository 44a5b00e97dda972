"""Data keys: one for each user, made when something of that user is sealed first, wrapped by a key of ENCRYPTION_KEYS.

Destroyed, it is empty, and what it sealed can be read by nobody: not here, not in a backup.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import ForeignKey, String, Text, func, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Mapped, mapped_column

from portal.core import clock, hot, settings
from portal.core.crypto import BadSeal, seal, unseal
from portal.core.database import Model, db, dialect_name, raw_connection, raw_id, raw_instant
from portal.core.envelopes import known_ids, new_key, unwrap_key, wrap_key
from portal.core.settings import BadSetting
from portal.core.statements import both

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sqlalchemy import ColumnElement

CHUNK = 400
CHECK = "encryption"
WORDS = {"says": "doorward"}
SQLITE, POSTGRES = both(
    {
        "FIND": "SELECT wrapped, wrapped_by FROM data_keys WHERE user_id = :user_id",
        "MAKE": """INSERT INTO data_keys (user_id, wrapped, wrapped_by, created_at)
            VALUES (:user_id, :wrapped, :wrapped_by, :created_at) ON CONFLICT (user_id) DO NOTHING""",
    }
)
_held: ContextVar[dict[UUID, bytes | None] | None] = ContextVar("data_keys", default=None)


class DataKey(Model):
    """The key that seals what is a user's. Destroyed, it is empty, and what it sealed can be read by nobody."""

    __tablename__ = "data_keys"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    wrapped: Mapped[bytes]
    wrapped_by: Mapped[str] = mapped_column(String(16), index=True)
    created_at: Mapped[datetime]
    destroyed_at: Mapped[datetime | None]


class KeyCheck(Model):
    """A known value, sealed, by which a wrong key of ENCRYPTION_KEYS is noticed before it seals anything."""

    __tablename__ = "key_checks"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    sealed: Mapped[str] = mapped_column(Text)


def place_of(user_id: UUID) -> str:
    """Where a wrapped key stands, for its seal."""
    return f"data_keys.wrapped:{user_id}"


def find_data_key(user_id: UUID) -> bytes:
    """The user's key, to open with. Raises BadSeal when there is none, or it is destroyed or wrapped by a lost key."""
    held = _held.get()
    key = held[user_id] if held is not None and user_id in held else _read(user_id)
    if held is not None:
        held[user_id] = key
    if not key:
        raise BadSeal(place_of(user_id))
    return key


def make_data_key(user_id: UUID) -> bytes:
    """The user's key, to seal with. If there is none yet it is made, and outside the session's transaction committed.

    Raises BadSeal when it is destroyed or wrapped by a lost key, the driver's IntegrityError for a user who does not
    exist.
    """
    held = _held.get()
    key = held.get(user_id) if held is not None else None
    if key is None:
        key = _read(user_id)
    if key is None:
        wrapped, by = wrap_key(new_key(), place=place_of(user_id))
        values = {
            "user_id": raw_id(user_id),
            "wrapped": wrapped,
            "wrapped_by": by,
            "created_at": raw_instant(clock.now()),
        }
        if hot.beside_transaction():
            raw_connection().execute(_texts()["MAKE"], values)
        else:
            hot.write(lambda raw: raw.execute(_texts()["MAKE"], values))
        key = _read(user_id)  # ours, or that of whoever was first
    if not key:
        raise BadSeal(place_of(user_id))
    if held is not None:
        held[user_id] = key
    return key


@contextmanager
def held_keys(user_ids: Iterable[UUID] = ()) -> Iterator[None]:
    """Read each key once inside this block; those of these users together. Keep it as short as one transaction."""
    wanted = list(dict.fromkeys(user_ids))
    keys: dict[UUID, bytes | None] = {}
    for first in range(0, len(wanted), CHUNK):
        query = select(DataKey.user_id, DataKey.wrapped, DataKey.wrapped_by)
        for row in db.session.execute(query.where(DataKey.user_id.in_(wanted[first : first + CHUNK]))):
            with suppress(BadSeal):  # told to whoever asks for this one
                keys[row.user_id] = _unwrapped(row.user_id, row.wrapped, row.wrapped_by)
    token = _held.set(keys)
    try:
        yield
    finally:
        _held.reset(token)


def destroy_data_key(user_id: UUID) -> None:
    """Make everything that the key sealed unreadable for good, in the transaction of the caller.

    A user who had none gets an empty one, so that none is made any more.
    """
    now = clock.now()
    insert: Callable[..., Any] = postgres_insert if dialect_name() == "postgresql" else sqlite_insert
    empty = insert(DataKey).values(user_id=user_id, wrapped=b"", wrapped_by="", created_at=now, destroyed_at=now)
    values = {"wrapped": b"", "wrapped_by": "", "destroyed_at": now}
    db.session.execute(empty.on_conflict_do_update(index_elements=["user_id"], set_=values))
    held = _held.get()
    if held is not None:
        held[user_id] = b""


def is_destroyed(user_id: UUID) -> bool:
    """Whether what this user said can be read by nobody any more, on purpose."""
    return db.session.scalar(select(DataKey.destroyed_at).where(DataKey.user_id == user_id)) is not None


def check_encryption_keys(*, leave: bool = True) -> None:
    """Compare the keys of this installation with a value that was left by them; leave it when there is none yet.

    Raises BadSetting, naming ENCRYPTION_KEYS, when they are not those that sealed what is kept here.
    """
    kept = kept_check()
    if kept is None and leave:
        insert: Callable[..., Any] = postgres_insert if dialect_name() == "postgresql" else sqlite_insert
        fresh = insert(KeyCheck).values(name=CHECK, sealed=sealed_check())
        db.session.execute(fresh.on_conflict_do_nothing(index_elements=["name"]))
        kept = kept_check()
    try:
        if kept is not None:
            unseal(kept, place=place_of_check())
    except BadSeal:
        raise BadSetting(f"ENCRYPTION_KEYS: {_other_keys()}") from None
    missing = missing_keys()
    if missing:
        raise BadSetting(
            f"ENCRYPTION_KEYS: {missing} data keys of users are wrapped by a key that is not among them; put the former"
            " key back behind the new one, and take it away after: doorward rotate encryption-key"
        )


def _other_keys() -> str:
    where = "put the key that did back"
    if not settings.current().production:
        where += " (development keeps it in secrets.json of DATA_DIR)"
    return f"did not seal what this database holds; {where}, newest first, comma separated"


def kept_check() -> str | None:
    """The known value as it was left; None before the first start."""
    return db.session.scalar(select(KeyCheck.sealed).where(KeyCheck.name == CHECK))


def seal_check() -> None:
    """Leave the known value sealed by the newest key: from now on the others are not needed any more."""
    db.session.execute(update(KeyCheck).where(KeyCheck.name == CHECK).values(sealed=sealed_check()))


def place_of_check() -> str:
    """Where the known value stands, for its seal."""
    return f"key_checks.sealed:{CHECK}"


def sealed_check() -> str:
    """The known value, sealed by the newest key."""
    return seal(WORDS, place=place_of_check())


def missing_keys() -> int:
    """How many data keys cannot be unwrapped, for they were wrapped by a key that is no more."""
    known, strange, last = known_ids(), [], ""
    # From name to name along the index: there are few of them, however many keys they wrapped.
    while (
        name := db.session.scalar(select(func.min(DataKey.wrapped_by)).where(DataKey.wrapped_by > last))
    ) is not None:
        last = name
        if name not in known:
            strange.append(name)
    return _count_keys(DataKey.wrapped_by.in_(strange)) if strange else 0


def former_keys() -> int:
    """How many data keys are wrapped by another key than the newest."""
    return _count_keys(DataKey.wrapped_by.notin_([known_ids()[0], ""]))


def _count_keys(wanted: ColumnElement[bool]) -> int:
    return db.session.scalar(select(func.count()).select_from(DataKey).where(wanted)) or 0


def rewrap_keys(after: UUID | None, most: int) -> tuple[UUID | None, int, int]:
    """Wrap by the newest of ENCRYPTION_KEYS what another one wraps, up to so many data keys of the users `after` this
    one, in the caller's transaction.

    Answers (the last user looked at, None at the end; how many were wrapped anew; how many cannot be opened and were
    left as they are).
    """
    query = select(DataKey.user_id, DataKey.wrapped, DataKey.wrapped_by).order_by(DataKey.user_id).limit(most)
    query = query.where(DataKey.wrapped_by.notin_([known_ids()[0], ""]))
    rows = db.session.execute(query.where(DataKey.user_id > after) if after else query).all()
    done = lost = 0
    for row in rows:
        try:
            key = unwrap_key(row.wrapped, row.wrapped_by, place=place_of(row.user_id))
        except BadSeal:
            lost += 1
            continue
        wrapped, by = wrap_key(key, place=place_of(row.user_id))
        guard = (DataKey.user_id == row.user_id, DataKey.wrapped == row.wrapped)
        db.session.execute(update(DataKey).where(*guard).values(wrapped=wrapped, wrapped_by=by))
        done += 1
    return (rows[-1].user_id if rows else None), done, lost


def _texts() -> dict[str, str]:
    return SQLITE if settings.current().sqlite else POSTGRES


def _read(user_id: UUID) -> bytes | None:
    """The key as it is now; empty when destroyed, None when there is none."""
    statement, values = _texts()["FIND"], {"user_id": raw_id(user_id)}
    if hot.beside_transaction():
        row = raw_connection().execute(statement, values).fetchone()
    else:
        row = hot.read(statement, values)
    return _unwrapped(user_id, bytes(row[0]), row[1]) if row is not None else None


def _unwrapped(user_id: UUID, wrapped: bytes, by: str) -> bytes:
    return unwrap_key(wrapped, by, place=place_of(user_id)) if wrapped else b""
