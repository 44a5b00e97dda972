"""Recovery codes: ten that stand in for a lost second factor, each once. Shown when they are made, kept as digests."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from portal.accounts.directory import own_account
from portal.accounts.lifecycle import target_of
from portal.accounts.notices import notify
from portal.audit import events
from portal.audit.record import record
from portal.core import clock
from portal.core.access import Capability, needs, recently
from portal.core.database import db
from portal.core.errors import Conflict
from portal.core.ids import new_id
from portal.core.text import gettext, ngettext
from portal.signin.factors import forget_recovery_codes
from portal.signin.models import RecoveryCode
from portal.signin.sessions import actor_of, keep_only_session

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from portal.accounts.models import Account
    from portal.core.actor import Actor

COUNT = 10
# Without what looks alike: no I, L, O and U. Four groups of five letters of 32 are 100 bits.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
GROUPS, GROUP = 4, 5
SHAPE = re.compile(rf"[{ALPHABET}]{{{GROUPS * GROUP}}}")
_LOOKS_LIKE = str.maketrans({"I": "1", "L": "1", "O": "0", "-": None, " ": None})


@dataclass(frozen=True, slots=True)
class NewCodes:
    """Fresh codes, to be shown once, and the secret of the session that goes on (None: it keeps its own)."""

    codes: list[str]
    secret: str | None


def canonical_code(typed: str) -> str | None:
    """A recovery code as it is compared, whatever its case and its hyphens; None for what has not the shape of one."""
    if len(typed) > 100 or not typed.isascii():
        return None
    plain = "".join(typed.upper().split()).translate(_LOOKS_LIKE)
    return plain if SHAPE.fullmatch(plain) else None


def _new_code() -> str:
    letters = [secrets.choice(ALPHABET) for _ in range(GROUPS * GROUP)]
    return "-".join("".join(letters[at : at + GROUP]) for at in range(0, len(letters), GROUP))


def _digest(account_id: UUID, plain: str) -> bytes:
    # 100 random bits under the account's own salt: nothing that is guessable, so no slow hash is needed.
    return hashlib.sha256(f"recovery code\0{account_id}\0{plain}".encode()).digest()


def make_recovery_codes(actor: Actor, account: Account) -> list[str]:
    """New codes in the place of all earlier ones, for verbs that set up the first factor; to be shown this once."""
    codes = [_new_code() for _ in range(COUNT)]
    forget_recovery_codes(account.id)
    for code in codes:
        digest = _digest(account.id, canonical_code(code) or "")
        db.session.add(RecoveryCode(id=new_id(), account_id=account.id, digest=digest, created_at=clock.now()))
    record(actor, events.RECOVERY_CODES_MADE, target_of(account))
    return codes


@needs(Capability.OWN_SECURITY)
@recently(factor=True)
@recently()
def renew_recovery_codes(actor: Actor) -> NewCodes:
    """New codes; those of before are void, and other sessions end. Raises Conflict without a second factor."""
    account = own_account(actor)
    if not account.has_factor:
        raise Conflict(gettext("Set up an authenticator app or a passkey first: the codes stand in for it."))
    codes = make_recovery_codes(actor, account)
    secret = keep_only_session(actor, account)
    notify(account, gettext("New recovery codes were made for your account. The earlier ones do not work any more."))
    return NewCodes(codes, secret)


@needs(Capability.OWN_SECURITY)
def codes_made_at(actor: Actor) -> datetime | None:
    """When the actor's present codes were made."""
    return db.session.scalar(select(func.max(RecoveryCode.created_at)).where(RecoveryCode.account_id == actor.id))


def use_recovery_code(account: Account, typed: str, *, address: str | None, request_id: str | None) -> bool:
    """Use a code up: one guarded statement, so of many at once one is right. The owner is told how many are left."""
    plain = canonical_code(typed)
    if plain is None:
        return False
    used = db.session.execute(
        update(RecoveryCode)
        .where(
            RecoveryCode.account_id == account.id,
            RecoveryCode.digest == _digest(account.id, plain),
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=clock.now())
        .returning(RecoveryCode.id)
        .execution_options(synchronize_session=False)
    ).scalar()
    if used is None:
        return False
    unused = select(func.count()).where(RecoveryCode.account_id == account.id, RecoveryCode.used_at.is_(None))
    left = db.session.scalar(unused) or 0
    own = actor_of(account, address=address, request_id=request_id)
    record(own, events.RECOVERY_CODE_USED, target_of(account), {"left": left})
    told = ngettext(
        "A recovery code was used for your account. %(num)s is left.",
        "A recovery code was used for your account. %(num)s are left.",
        left,
    )
    notify(account, told)
    return True
