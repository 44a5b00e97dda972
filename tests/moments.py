"""Standing at a chosen instant: the clock runs on from there."""

from __future__ import annotations

from datetime import datetime

from portal.core import clock


def stand_at(moment: str) -> datetime:
    """Put this process's clock to an instant, written with its offset; the `app` fixture puts it back."""
    instant = datetime.fromisoformat(moment)
    clock.shift(instant - (clock.now() - clock.offset()))
    return instant
