"""Giving tokens back (RFC 7009), and a person's list of the programs that hold some."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal.accounts.lifecycle import target_of
from portal.accounts.models import Account
from portal.audit import events
from portal.audit.record import Target, record
from portal.core.access import Capability, needs, open_to_all, recently
from portal.core.database import db
from portal.core.errors import NotFound
from portal.core.ids import parse_id
from portal.tokens.access_tokens import read_access_token
from portal.tokens.families import end_family, family_of, living_families, living_family

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor
    from portal.tokens.models import TokenFamily


@open_to_all("whoever holds a token may end it; one that is none is as good as ended")
def revoke_token(actor: Actor, token: str) -> None:
    """End the sign-in that this refresh or access token came of, with all its tokens. Of a service client nothing is
    kept that could be ended: its access token is over within minutes.
    """
    found = family_of(token)
    if found is None:
        claims = read_access_token(token)
        family_id = parse_id(claims.sid or "") if claims is not None else None
        found = living_family(family_id) if family_id is not None else None
    if found is not None and end_family(found[0].id, "revoked"):
        record(actor, events.TOKENS_REVOKED, target_of(found[1]))


@needs(Capability.OWN_SESSIONS)
def own_families(actor: Actor) -> list[TokenFamily]:
    """The sign-ins of programs that hold good tokens of the actor's account, latest use first."""
    account = db.session.get(Account, actor.id)
    if account is None:
        raise NotFound
    return living_families(account)


@needs(Capability.OWN_SESSIONS)
@recently()
def end_own_family(actor: Actor, family_id: UUID) -> None:
    """End one of them: its tokens are refused from the next request on. Raises NotFound."""
    if not end_family(family_id, "revoked", account_id=actor.id):
        raise NotFound
    record(actor, events.TOKENS_REVOKED, Target("token_family", family_id))
