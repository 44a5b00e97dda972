"""Whose account it is behind the token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal.core.errors import NotFound
from portal.web.identity import actor

if TYPE_CHECKING:
    from uuid import UUID


def own_id() -> UUID:
    """The id of the account that calls. Raises NotFound."""
    found = actor().id
    if found is None:
        raise NotFound
    return found
