"""What was accepted and is not stored yet, in numbers for whoever watches the service."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from portal.core import settings
from portal.core.database import db
from portal.core.errors import Unavailable
from portal.messages.quarantine import count_quarantined
from portal.messages.spool import spool_of


@dataclass(frozen=True, slots=True)
class Waiting:
    """Bytes held, and of them not stored; seconds since the oldest of these came; records in quarantine."""

    held: int
    waiting: int
    age_s: float
    quarantined: int


def waiting_now() -> Waiting | None:
    """As it is now: of this host with SPOOL=file, of all hosts with SPOOL=redis. None where that cannot be told."""
    spool = spool_of(settings.current())
    try:
        depth, waiting = spool.depth(), spool.waiting()
        return Waiting(depth.size, waiting, (depth.age_s or 0.0) if waiting else 0.0, count_quarantined())
    except Unavailable:
        return None
    except SQLAlchemyError:
        db.session.rollback()
        return None
