"""A key found in the open: whoever hands it in ends it, and learns nothing by it."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING
from uuid import NAMESPACE_OID, UUID, uuid5

from sqlalchemy import select, update

from portal.accounts.models import Account
from portal.audit import events
from portal.audit.record import Target, record
from portal.core import clock, crypto
from portal.core.access import open_to_all
from portal.core.addresses import neighbourhood
from portal.core.database import db
from portal.core.errors import LimitReached
from portal.keys.letters import mail_leak
from portal.keys.models import ApiKey
from portal.keys.secrets import KEY_PREFIX, well_formed
from portal.keys.service import living, target_of
from portal.mail.outbox import write_mail
from portal.mail.rendering import site_link
from portal.usage.rates import reserve_call

if TYPE_CHECKING:
    from portal.core.actor import Actor

NONE = UUID(int=0)
MOST_A_MINUTE = 30


@open_to_all("whoever finds a key may hand it in")
def report_leaked(actor: Actor, secret: str) -> None:
    """Revoke the living key that this is, whole, and tell its owner; do nothing about anything else.

    The same statements run in either case, and what is written of no key is taken back: the time tells nothing.
    Raises LimitReached when an address (of IPv6: its /64) hands in more than MOST_A_MINUTE.
    """
    wait = reserve_call(uuid5(NAMESPACE_OID, neighbourhood(actor.address)), MOST_A_MINUTE, clock.now())
    if wait is not None:
        raise LimitReached(retry_after=ceil(wait))
    digest = crypto.digest(secret if well_formed(secret) else KEY_PREFIX)
    found = db.session.scalar(
        update(ApiKey)
        .where(ApiKey.digest == digest, living())
        .values(revoked_at=clock.now(), revoked_why="leaked", version=ApiKey.version + 1)
        .returning(ApiKey.id)
        .execution_options(synchronize_session=False)
    )
    query = select(ApiKey).where(ApiKey.id == (found or NONE)).execution_options(populate_existing=True)
    key = db.session.scalars(query).first()
    with db.session.begin_nested() as told:
        if key is not None:
            record(actor, events.KEY_LEAKED, target_of(key), {"name": key.name, "prefix": key.prefix})
            mail_leak(key)
        else:
            _tell_nobody(actor)
        db.session.flush()
        if key is None:
            told.rollback()


def _tell_nobody(actor: Actor) -> None:
    """As much work as telling an owner."""
    record(actor, events.KEY_LEAKED, Target("key", NONE, KEY_PREFIX), {"name": "", "prefix": KEY_PREFIX})
    db.session.get(Account, NONE)
    values = {"name": "nobody", "key": "none", "prefix": KEY_PREFIX, "link": site_link("/account/keys")}
    write_mail("nobody", "key_leaked", values)
