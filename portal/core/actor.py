"""Who acts. Session, token, client, job and operator all become one Actor before anything else happens."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from portal.core.errors import Invalid
from portal.core.text import gettext

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from portal.core.access import Capability

MOST_REASON = 500


class ActorKind(StrEnum):
    """Every sort of actor there is."""

    NOBODY = "nobody"
    USER = "user"
    STAFF = "staff"
    ADMIN = "admin"
    CLIENT = "client"
    JOB = "job"
    OPERATOR = "operator"


PEOPLE = {ActorKind.USER, ActorKind.STAFF, ActorKind.ADMIN}


class Actor(msgspec.Struct, frozen=True, gc=False):
    """One acting person or program, with all that rules and records need to know of it.

    `rank` orders who may act on whom; `credential` names how it came in (session, client token …). Of a person,
    `session_id` is where they are signed in, `entered_at` when they last proved who they are there, `proven_at` when
    they last did with a second factor (or without one where none is set up). Of staff, `case` is the number of the case
    in which they act, and `case_of` the user whom it is about. Of a service client, `rate` is how many calls a minute
    it has; None is no bound.
    """

    kind: ActorKind
    name: str
    id: UUID | None = None
    capabilities: frozenset[Capability] = frozenset()
    rank: int = 0
    credential: str = "none"
    address: str | None = None
    request_id: str | None = None
    on_behalf_of: UUID | None = None
    case: str | None = None
    case_of: UUID | None = None
    reason: str | None = None
    session_id: UUID | None = None
    entered_at: datetime | None = None
    proven_at: datetime | None = None
    rate: int | None = None

    def may(self, capability: Capability) -> bool:
        """Whether this actor holds the capability."""
        return capability in self.capabilities

    def because(self, reason: str) -> Actor:
        """The same actor, giving a reason. Raises Invalid for one that the record cannot keep."""
        said = reason.strip()
        if len(said) > MOST_REASON or "\0" in said:
            raise Invalid({"reason": gettext("At most %(most)s characters.", most=MOST_REASON)})
        return msgspec.structs.replace(self, reason=said)


def nobody(address: str | None = None, request_id: str | None = None) -> Actor:
    """A visitor who is not signed in."""
    return Actor(ActorKind.NOBODY, "nobody", address=address, request_id=request_id)
