"""The spool of this process: a folder of files, or a stream at a Redis or Valkey server, as SPOOL says."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from portal.messages.spool_file import FileSpool
from portal.messages.spool_redis import RedisSpool

if TYPE_CHECKING:
    from pathlib import Path

    from portal.core.settings import Settings
    from portal.messages.spool_protocol import Spool

_spools: dict[tuple[Path, str], Spool] = {}
_making = threading.Lock()


def spool_of(settings: Settings) -> Spool:
    """The spool of this process for these settings."""
    place = settings.data_dir, settings.spool
    spool = _spools.get(place)  # every push asks
    if spool is None:
        with _making:
            spool = _spools.get(place) or _spools.setdefault(place, _new_spool(settings))
    return spool


def _new_spool(settings: Settings) -> Spool:
    return RedisSpool(settings) if settings.spool == "redis" else FileSpool(settings)
