"""Writing an audit entry, in the transaction of the act: no entry, no act."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.database import db
from portal.core.ids import new_id

if TYPE_CHECKING:
    from uuid import UUID

    from portal.audit.events import Event
    from portal.core.actor import Actor


@dataclass(frozen=True, slots=True)
class Target:
    """What an act was done to. `name` must be fit for every reader of the log: a username, never an e-mail."""

    type: str
    id: UUID | None = None
    name: str | None = None


def record(
    actor: Actor,
    event: Event,
    target: Target | None = None,
    facts: dict[str, Any] | None = None,
    *,
    result: str = "done",
) -> None:
    """Add the entry to the session. ValueError when the facts are not exactly those the event declares."""
    facts = facts or {}
    if set(facts) != event.facts:
        raise ValueError(f"{event.name} carries {sorted(event.facts)}, not {sorted(facts)}")
    db.session.add(
        AuditEntry(
            id=new_id(),
            at=clock.now(),
            event=event.name,
            actor_kind=actor.kind.value,
            actor_id=actor.id,
            actor_name=actor.name[:80],
            credential=actor.credential,
            on_behalf_of=actor.on_behalf_of,
            target_type=target.type if target else None,
            target_id=target.id if target else None,
            target_name=target.name[:80] if target and target.name else None,
            facts=facts,
            reason=actor.reason,
            case=actor.case,
            request_id=actor.request_id,
            address=actor.address,
            result=result,
        )
    )
