"""Families of refresh tokens: begun when somebody shows who they are, turned at each use, ended by a replay.

Of many who use one token at the same moment one gets a new one (one guarded statement). Whoever lost the answer may ask
again with the same token for GRACE and gets the same child; any other second use ends the family: two hold the token,
and which of them stole it cannot be told (RFC 9700, 4.14).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.orm import with_polymorphic

from portal.accounts.models import Account
from portal.core import clock, crypto
from portal.core.database import db
from portal.core.ids import new_id, new_secret
from portal.tokens.models import RefreshToken, TokenFamily

if TYPE_CHECKING:
    from typing import Any
    from uuid import UUID

    from sqlalchemy import Select

PREFIX = "dwr_"
IDLE = timedelta(days=7)
LONGEST = timedelta(days=30)
GRACE = timedelta(seconds=5)
SEEN_EVERY = timedelta(minutes=1)
BATCH = 500
# Asked in every call with an access token: made once, and the account comes whole, of whatever kind.
_WHOLE = with_polymorphic(Account, "*")
WITH_ACCOUNT = (
    select(TokenFamily, _WHOLE)
    .join(_WHOLE, _WHOLE.id == TokenFamily.account_id)
    .where(TokenFamily.id == bindparam("family_id"))
)
_LABEL = b"doorward refresh child 1"


@dataclass(frozen=True, slots=True)
class Turned:
    """What a refresh token was changed for. `again` says that it is the child of before, for a lost answer."""

    token: str
    family: TokenFamily
    account: Account
    again: bool = False


class NotTurned(Exception):
    """A refresh token that is not good. `replayed` is the family that a second use tells to end."""

    def __init__(self, replayed: TokenFamily | None = None, account: Account | None = None) -> None:
        self.replayed, self.account = replayed, account
        super().__init__("not turned")


def begin_family(
    account: Account, *, address: str | None, device: str, method: str, proven: bool
) -> tuple[TokenFamily, str]:
    """A new family and its first refresh token, told this once."""
    now, token = clock.now(), _new_token()
    family = TokenFamily(
        id=new_id(),
        account_id=account.id,
        epoch=account.epoch,
        created_at=now,
        last_used_at=now,
        address=address,
        device=device[:200],
        method=method,
        entered_at=now,
        proven_at=now if proven else None,
    )
    db.session.add(family)
    db.session.flush()
    db.session.add(RefreshToken(digest=crypto.digest(token), family_id=family.id, created_at=now))
    return family, token


def turn(token: str) -> Turned:
    """Change a refresh token for the next one. Raises NotTurned."""
    digest = crypto.digest(token)
    row = db.session.execute(_finding(RefreshToken.digest == digest)).first()
    if row is None or not token.startswith(PREFIX):
        raise NotTurned
    used, family, account = row
    if not is_living(family, account):
        raise NotTurned
    child, now = _new_token(), clock.now()
    taken = db.session.execute(
        update(RefreshToken)
        .where(RefreshToken.digest == digest, RefreshToken.used_at.is_(None))
        .values(used_at=now, child_digest=crypto.digest(child), sealed_child=_seal(token, child))
        .returning(RefreshToken.digest)
        .execution_options(synchronize_session=False)
    ).scalar()
    if taken is None:
        db.session.refresh(used)
        return _turned_before(used, token, family, account)
    db.session.add(RefreshToken(digest=crypto.digest(child), family_id=family.id, created_at=now))
    _write(update(TokenFamily).where(TokenFamily.id == family.id).values(last_used_at=now))
    return Turned(child, family, account)


def _turned_before(used: RefreshToken, token: str, family: TokenFamily, account: Account) -> Turned:
    """The same child once more, for the direct parent and a moment; anything else is a replay."""
    unused = select(RefreshToken.digest).where(RefreshToken.digest == used.child_digest, RefreshToken.used_at.is_(None))
    lately = used.used_at is not None and clock.now() - used.used_at <= GRACE
    if not lately or used.sealed_child is None or db.session.scalar(unused) is None:
        raise NotTurned(family, account)
    return Turned(_open(token, used.sealed_child), family, account, again=True)


def family_of(token: str) -> tuple[TokenFamily, Account] | None:
    """The family of a refresh token and its account, however it stands; for revocation and introspection."""
    row = db.session.execute(_finding(RefreshToken.digest == crypto.digest(token))).first()
    return (row[1], row[2]) if row is not None and token.startswith(PREFIX) else None


def is_fresh(token: str) -> bool:
    """Whether this refresh token was not used yet."""
    unused = select(RefreshToken.digest).where(
        RefreshToken.digest == crypto.digest(token), RefreshToken.used_at.is_(None)
    )
    return db.session.scalar(unused) is not None


def living_family(family_id: UUID) -> tuple[TokenFamily, Account] | None:
    """The family of an access token and its account, in one statement; None when it is dead in any way."""
    row = db.session.execute(WITH_ACCOUNT, {"family_id": family_id}).first()
    return (row[0], row[1]) if row is not None and is_living(row[0], row[1]) else None


def is_living(family: TokenFamily, account: Account) -> bool:
    """Whether tokens of the family are good as far as the family goes; the account's state is another question."""
    now = clock.now()
    return (
        family.ended_at is None
        and family.epoch == account.epoch
        and family.last_used_at + IDLE > now
        and family.created_at + LONGEST > now
    )


def note_family_use(family: TokenFamily) -> bool:
    """Write down that the family is in use, at most once a minute. Answers whether it was written."""
    if clock.now() - family.last_used_at < SEEN_EVERY:
        return False
    _write(update(TokenFamily).where(TokenFamily.id == family.id).values(last_used_at=clock.now()))
    return True


def living_families_of(account: Account) -> Select[TokenFamily]:
    """The query for the families of an account whose tokens are good."""
    now = clock.now()
    return select(TokenFamily).where(
        TokenFamily.account_id == account.id,
        TokenFamily.ended_at.is_(None),
        TokenFamily.epoch == account.epoch,
        TokenFamily.last_used_at > now - IDLE,
        TokenFamily.created_at > now - LONGEST,
    )


def living_families(account: Account) -> list[TokenFamily]:
    """The families of an account whose tokens are good, latest use first."""
    return list(db.session.scalars(living_families_of(account).order_by(TokenFamily.last_used_at.desc()).limit(100)))


def end_family(family_id: UUID, reason: str, *, account_id: UUID | None = None) -> bool:
    """End one family, of this account where that is given. Answers whether it had not ended."""
    ending = update(TokenFamily).where(TokenFamily.id == family_id, TokenFamily.ended_at.is_(None))
    if account_id is not None:
        ending = ending.where(TokenFamily.account_id == account_id)
    ended = ending.values(ended_at=clock.now(), end_reason=reason).returning(TokenFamily.id)
    return db.session.execute(ended.execution_options(synchronize_session=False)).scalar() is not None


def end_families(account_id: UUID, *, but: UUID | None = None) -> None:
    """End all families of an account, perhaps but one."""
    ending = update(TokenFamily).where(TokenFamily.account_id == account_id, TokenFamily.ended_at.is_(None))
    if but is not None:
        ending = ending.where(TokenFamily.id != but)
    _write(ending.values(ended_at=clock.now(), end_reason="signed out"))


def was_known(account_id: UUID, device: str, *, but: UUID) -> bool:
    """Whether the account got tokens before for a program that calls itself so, within LONGEST."""
    same = select(TokenFamily.id).where(
        TokenFamily.account_id == account_id,
        TokenFamily.device == device[:200],
        TokenFamily.created_at > clock.now() - LONGEST,
        TokenFamily.id != but,
    )
    return db.session.scalar(same.limit(1)) is not None


def forget_families() -> int:
    """Delete a batch of families that are over by their age, with their tokens. Answers how many were."""
    over = TokenFamily.created_at <= clock.now() - LONGEST - timedelta(days=1)
    old = db.session.scalars(select(TokenFamily.id).where(over).limit(BATCH)).all()
    if old:
        _write(delete(RefreshToken).where(RefreshToken.family_id.in_(old)))
        _write(delete(TokenFamily).where(TokenFamily.id.in_(old)))
    return len(old)


def _finding(condition: Any) -> Any:
    return (
        select(RefreshToken, TokenFamily, Account)
        .join(TokenFamily, TokenFamily.id == RefreshToken.family_id)
        .join(Account, Account.id == TokenFamily.account_id)
        .where(condition)
        .execution_options(populate_existing=True)
    )


def _new_token() -> str:
    return PREFIX + new_secret()


def _box(token: str) -> Fernet:
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=_LABEL).derive(token.encode())
    return Fernet(base64.urlsafe_b64encode(key))


def _seal(token: str, child: str) -> str:
    return _box(token).encrypt(child.encode()).decode()


def _open(token: str, sealed: str) -> str:
    return _box(token).decrypt(sealed.encode()).decode()


def _write(statement: Any) -> None:
    db.session.execute(statement.execution_options(synchronize_session=False))
