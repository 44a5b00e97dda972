"""JSON that SQLite keeps packed: a row that is longer than half a page takes a whole one, and few exchanges are not."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import JSON, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine.interfaces import Dialect
    from sqlalchemy.types import TypeEngine

# Below it nothing is gained: a page holds many of these anyway.
LEAST_BYTES = 256


def pack_text(text: str) -> bytes | str:
    """JSON text as SQLite keeps it: packed where that makes it shorter."""
    if len(text) < LEAST_BYTES:
        return text
    plain = text.encode()
    packed = zlib.compress(plain, 1)
    return packed if len(packed) < len(plain) else text


def unpack_text(kept: bytes | str) -> str:
    """What pack_text was given, also where it was kept as it is."""
    return kept if isinstance(kept, str) else zlib.decompress(kept).decode()


class PackedJSON(TypeDecorator[Any]):
    """A JSON column whose values are packed on SQLite. Its declared type is JSON's, so old values need no change."""

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """JSONB where there is such a thing."""
        return dialect.type_descriptor(JSONB() if dialect.name == "postgresql" else JSON())

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any] | None:
        """Values on their way into the database."""
        if dialect.name == "postgresql":
            return super().bind_processor(dialect)
        return lambda value: None if value is None else pack_text(orjson.dumps(value).decode())

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        """Values on their way out."""
        if dialect.name == "postgresql":
            return super().result_processor(dialect, coltype)
        return lambda kept: None if kept is None else orjson.loads(unpack_text(kept))
