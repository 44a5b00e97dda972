"""Work that is done and taken back, so that an answer takes as long where there is nothing to do."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from portal.core.database import db

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def in_vain() -> Iterator[None]:
    """What the block writes is written, and taken back at once. What was written before it stays."""
    savepoint = db.session.begin_nested()
    try:
        yield
        db.session.flush()
    finally:
        savepoint.rollback()
