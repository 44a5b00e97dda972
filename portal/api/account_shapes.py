"""An account as the API tells it. Masked fields keep their name and carry a masked text."""

from __future__ import annotations

import msgspec


class AccountShape(msgspec.Struct):
    """The fields of a user, a member of staff or an admin; `version` is the ETag too."""

    id: str
    kind: str
    username: str
    email: str | None
    email_verified: bool
    display_name: str
    state: str
    plan: str | None
    time_zone: str
    language: str
    created_at: str
    last_seen_at: str | None
    version: int
