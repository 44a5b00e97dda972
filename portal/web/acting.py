"""Acting on somebody's account: staff in the case that they hold about them, admins for a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import request

from portal.core.actor import Actor
from portal.core.errors import CaseNeeded
from portal.support.cases import in_case
from portal.web.identity import actor

if TYPE_CHECKING:
    from uuid import UUID


def acting_for(user_id: UUID, reason: str | None = None) -> Actor:
    """Who acts, in their case about this user. `reason` is what was typed for this very act.

    Raises CaseNeeded, Invalid at "reason".
    """
    who = actor() if reason is None else actor().because(reason)
    return in_case(who, user_id)


def acting_by_header(user_id: UUID, reason: str | None = None) -> Actor:
    """The same for the API, where the header `X-Case` names the case, which must be the actor's and about this user.

    Raises CaseNeeded, Invalid at "reason".
    """
    who = actor() if reason is None else actor().because(reason)
    number = request.headers.get("X-Case", "").strip().upper()
    # PostgreSQL refuses to look for a text with NUL in it.
    return in_case(who, user_id, number=number if number.isprintable() else "")


def acting_perhaps_for(user_id: UUID, reason: str | None = None) -> Actor:
    """The same for what needs no case, such as a look: in the case where they hold one, so that the user is told why.

    Raises Invalid at "reason".
    """
    try:
        return acting_for(user_id, reason)
    except CaseNeeded:
        return actor() if reason is None else actor().because(reason)
