"""Steps on the way in: what a browser has begun, bound to it by a secret in its cookie, and spent once.

A right password that still owes a second factor, a challenge to a passkey, a trip to an outside provider: each is a
row here and no session. Nothing of it opens a page.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select, update

from portal.accounts.models import Account
from portal.core import clock, crypto
from portal.core.database import db, transaction
from portal.core.errors import StepOver
from portal.core.ids import new_secret
from portal.signin.models import SignInStep

if TYPE_CHECKING:
    from collections.abc import Callable


class Step(StrEnum):
    """What was begun; it is good for nothing else."""

    FACTOR = "factor"
    TOKEN_FACTOR = "token factor"  # noqa: S105  # what is begun, no secret
    AUTHENTICATOR = "authenticator"
    PASSKEY = "passkey"
    PROVIDER = "provider"


LIFETIMES = {
    Step.FACTOR: timedelta(minutes=10),
    Step.TOKEN_FACTOR: timedelta(minutes=10),
    Step.AUTHENTICATOR: timedelta(minutes=15),
    Step.PASSKEY: timedelta(minutes=5),
    Step.PROVIDER: timedelta(minutes=10),
}
MOST_FAILURES = 5
BATCH = 500


def begin_step(step: Step, account: Account | None, facts: dict[str, Any]) -> str:
    """Begin a step; answers the secret for the browser's cookie. `facts` must be JSON and are sealed."""
    secret = new_secret()
    digest = crypto.digest(secret)
    db.session.add(
        SignInStep(
            digest=digest,
            step=step.value,
            account_id=account.id if account else None,
            epoch=account.epoch if account else 0,
            facts=crypto.seal(facts, place=_place(digest)),
            created_at=clock.now(),
            expires_at=clock.now() + LIFETIMES[step],
        )
    )
    return secret


def look_at_step(secret: str | None, step: Step) -> tuple[SignInStep, Account | None, dict[str, Any]]:
    """The step of this browser with its account and facts, unspent.

    Raises StepOver when it is over, spent, of another sort, or its account has changed since.
    """
    found = db.session.get(SignInStep, crypto.digest(secret)) if secret else None
    if found is None or found.step != step or found.expires_at <= clock.now():
        raise _over()
    account = db.session.get(Account, found.account_id) if found.account_id else None
    if found.account_id is not None and (account is None or account.epoch != found.epoch):
        raise _over()
    return found, account, crypto.unseal(found.facts, place=_place(found.digest))


def take_step(secret: str | None, step: Step) -> tuple[Account | None, dict[str, Any]]:
    """Use the step up: one guarded statement, so of many at once one goes on. Raises StepOver."""
    found, account, facts = look_at_step(secret, step)
    taken = db.session.execute(
        delete(SignInStep)
        .where(SignInStep.digest == found.digest)
        .returning(SignInStep.step)
        .execution_options(synchronize_session=False)
    ).scalar()
    db.session.expunge(found)
    if taken is None:
        raise _over()
    return account, facts


def count_answer(secret: str | None) -> None:
    """Count an answer to the step before it is looked at, in a transaction of its own: of many at the same moment no
    more are looked at than may be. Raises StepOver when they are used up."""
    with transaction():
        counted = db.session.execute(
            update(SignInStep)
            .where(SignInStep.digest == crypto.digest(secret or ""), SignInStep.failures < MOST_FAILURES)
            .values(failures=SignInStep.failures + 1)
            .returning(SignInStep.failures)
            .execution_options(synchronize_session=False)
        ).scalar()
        if counted is None:
            raise _over()


def failure_at(secret: str | None) -> Callable[[], None]:
    """The trace of a wrong answer, which was counted: the fifth ends the step."""

    def end() -> None:
        used_up = SignInStep.digest == crypto.digest(secret or ""), SignInStep.failures >= MOST_FAILURES
        db.session.execute(delete(SignInStep).where(*used_up).execution_options(synchronize_session=False))

    return end


def end_of(secret: str | None, step: Step) -> Callable[[], None]:
    """The trace of an answer that ends the step, right or wrong: it is gone after the rollback."""

    def end() -> None:
        row = (SignInStep.digest == crypto.digest(secret or ""), SignInStep.step == step.value)
        db.session.execute(delete(SignInStep).where(*row).execution_options(synchronize_session=False))

    return end


def forget_steps() -> int:
    """Delete a batch of steps that are over. Answers how many were."""
    over = select(SignInStep.digest).where(SignInStep.expires_at <= clock.now()).limit(BATCH)
    gone = db.session.execute(
        delete(SignInStep)
        .where(SignInStep.digest.in_(over))
        .returning(SignInStep.step)
        .execution_options(synchronize_session=False)
    )
    return len(gone.all())


def _place(digest: bytes) -> str:
    return f"sign_in_steps.facts:{digest.hex()}"


def _over() -> StepOver:
    return StepOver()
