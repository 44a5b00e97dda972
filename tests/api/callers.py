"""Who calls in tests of the machine door: people of the house with tokens, clients by name."""

from __future__ import annotations

from sqlalchemy import select

from portal.accounts.models import Account
from portal.clients.models import ServiceClient
from portal.core.database import db, transaction
from portal.tokens.access_tokens import ACCOUNT_SCOPE, make_access_token
from portal.tokens.families import begin_family


def account_named(name: str) -> Account:
    """Somebody who is there."""
    return db.session.scalars(select(Account).where(Account.username_canonical == name)).one()


def token_of(name: str) -> str:
    """An access token of somebody who is there, and has just proved who they are."""
    account = account_named(name)
    with transaction():
        family, _ = begin_family(account, address="127.0.0.1", device="tests", method="password", proven=True)
    return make_access_token(account.id, kind=account.kind, scope=ACCOUNT_SCOPE, family_id=family.id)


def bearer(token: str) -> dict[str, str]:
    """A token in its header."""
    return {"Authorization": f"Bearer {token}"}


def client_id(name: str) -> str:
    """The id of the service client of this name."""
    return str(db.session.scalars(select(ServiceClient.id).where(ServiceClient.name == name)).one())
