"""Whether this server signs with the SECRET_KEY of the others: a keyed digest of it lies in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from portal.core.crypto import keyed_digests
from portal.core.data_keys import KeyCheck
from portal.core.database import db, dialect_name

if TYPE_CHECKING:
    from collections.abc import Callable

CHECK = "secret key"
OTHER = (
    "SECRET_KEY is not the one this database was served with last: whoever was signed in there is signed out here."
    " After a rotation put the former key into SECRET_KEY_FALLBACKS; servers of one database all need the same"
)


def check_secret_key(*, leave: bool = True) -> str | None:
    """Compare SECRET_KEY with the one this database was served with last, and leave its mark; answers a warning, or
    None when all is well. A key whose former one stands in SECRET_KEY_FALLBACKS was rotated, which is well.
    """
    marks = keyed_digests("secret key", "doorward")
    kept = db.session.scalar(select(KeyCheck.sealed).where(KeyCheck.name == CHECK))
    if leave and kept != marks[0]:
        insert: Callable[..., Any] = postgres_insert if dialect_name() == "postgresql" else sqlite_insert
        fresh = insert(KeyCheck).values(name=CHECK, sealed=marks[0])
        db.session.execute(fresh.on_conflict_do_update(index_elements=["name"], set_={"sealed": marks[0]}))
    return None if kept is None or kept in marks else OTHER
