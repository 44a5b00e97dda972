"""Telling owners that a key of theirs ends soon: a security notice, so nobody can switch it off."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select, tuple_, update

from portal.accounts.models import Account, State
from portal.core import clock
from portal.core.database import db, transaction
from portal.keys.letters import mail_expiry
from portal.keys.models import SOON, ApiKey

# A key made to last a day or less is meant to end; its owner knows.
TOO_SHORT = timedelta(days=1)
BATCH = 200


def tell_expiring_keys() -> int:
    """Mail the owner of every key that ends within a week, once per key and end. Answers how many were told.

    Replaced keys are left out: whoever rotated knows. So are owners who cannot use their keys now; when they come
    back in time, they are told then.
    """
    told = 0
    after: tuple[object, object] | None = None
    while True:
        query = (
            select(ApiKey)
            .join(Account, Account.id == ApiKey.user_id)
            .where(
                ApiKey.expires_at > clock.now(),
                ApiKey.expires_at <= clock.now() + SOON,
                ApiKey.expiry_told_at.is_(None),
                ApiKey.revoked_at.is_(None),
                ApiKey.replaced_by.is_(None),
                Account.state == State.ACTIVE.value,
            )
            .order_by(ApiKey.expires_at, ApiKey.id)
            .limit(BATCH)
        )
        if after is not None:
            query = query.where(tuple_(ApiKey.expires_at, ApiKey.id) > tuple_(*after))
        keys = db.session.scalars(query).all()
        if not keys:
            return told
        after = (keys[-1].expires_at, keys[-1].id)
        with transaction():  # a batch at a time: nobody waits long for the writer
            told += sum(_tell(key) for key in keys if _is_worth_telling(key))


def _is_worth_telling(key: ApiKey) -> bool:
    return key.expires_at is not None and key.expires_at - key.created_at > TOO_SHORT


def _tell(key: ApiKey) -> bool:
    """Mail, unless another process did, or the end was moved meanwhile. The mark is not a change that verify feels."""
    mine = db.session.scalar(
        update(ApiKey)
        .where(
            ApiKey.id == key.id,
            ApiKey.expires_at == key.expires_at,
            ApiKey.expiry_told_at.is_(None),
            ApiKey.revoked_at.is_(None),
            ApiKey.replaced_by.is_(None),
        )
        .values(expiry_told_at=clock.now())
        .returning(ApiKey.id)
        .execution_options(synchronize_session=False)
    )
    if mine is not None:
        mail_expiry(key)
    return mine is not None
