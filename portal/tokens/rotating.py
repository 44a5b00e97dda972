"""A new key that signs access tokens, without anybody being signed out; and how the keys stand."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from portal.audit import events
from portal.audit.record import Target, record
from portal.core import settings
from portal.core.access import Capability, needs
from portal.core.errors import Unavailable
from portal.tokens.signing_keys import checking_keys, damaged_files, drop_retired_keys, folder_of_keys, make_key

if TYPE_CHECKING:
    from portal.core.actor import Actor
    from portal.tokens.signing_keys import SigningKey

# More is not asked of a file that holds a private key.
OTHERS = stat.S_IRWXG | stat.S_IRWXO


@needs(Capability.ENCRYPTION_ROTATE)
def rotate_signing_key(actor: Actor) -> tuple[SigningKey, int]:
    """Make a new key, which signs from now on in every process; former ones check until all they signed is over.

    Answers the new one, and how many were deleted because nothing they signed is good any more. Raises Unavailable.
    """
    made = make_key()
    dropped = drop_retired_keys()
    record(actor, events.SIGNING_KEY_ROTATED, Target("signing_key"), {"kid": made.kid})
    return made, dropped


def state_of_keys() -> tuple[str, str]:
    """(ok, warning or down; words) of the folder of the keys, for whoever runs the site. Makes nothing."""
    folder = folder_of_keys()
    try:
        keys, damaged = checking_keys(), damaged_files()
        open_to_others = [key.path.name for key in keys if key.path.stat().st_mode & OTHERS]
    except (Unavailable, OSError):
        return "down", f"{folder} cannot be read: no access token is made or checked; give the server its files"
    if damaged:
        return "warning", f"not readable as keys: {', '.join(damaged)} in {folder}; put them right or take them away"
    if open_to_others:
        return "warning", f"others may read {', '.join(open_to_others)} in {folder}; chmod 600 them, and rotate"
    algorithm = settings.current().token_algorithm
    if not keys:
        return "ok", f"none of {algorithm} yet in {folder}; the first token makes one"
    return "ok", f"{len(keys)} of {algorithm}; the newest was made {keys[0].made_at.isoformat(timespec='seconds')}"
