"""Authenticator apps: time-based one-time codes (TOTP, RFC 6238), each step of 30 seconds taken once.

While one is set up its seed lies in a step bound to the browser and not on the account, so that nobody confirms a seed
that somebody else has seen in another browser.
"""

from __future__ import annotations

import hmac
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, update

from portal.accounts.directory import own_account
from portal.accounts.lifecycle import target_of
from portal.accounts.notices import notify
from portal.audit import events
from portal.audit.record import record
from portal.core import clock, crypto, settings
from portal.core.access import Capability, needs, recently
from portal.core.database import db
from portal.core.errors import Conflict, Invalid, StepOver
from portal.core.text import gettext
from portal.signin.factors import check_removable, note_factors
from portal.signin.models import Authenticator
from portal.signin.recovery import make_recovery_codes
from portal.signin.sessions import keep_only_session
from portal.signin.steps import Step, begin_step, count_answer, failure_at, look_at_step, take_step

if TYPE_CHECKING:
    from uuid import UUID

    from portal.accounts.models import Account
    from portal.core.actor import Actor

STEP_S = 30
DIGITS = 6
# RFC 6238, 5.2: the clock of a phone may be one step behind or ahead.
SKEW = 1
SEED_LETTERS = 32


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an app needs to be set up: the seed as text (base 32, 160 bits) and the address that the QR code holds."""

    seed: str
    address: str


@dataclass(frozen=True, slots=True)
class Confirmed:
    """An app that was set up: recovery codes to show once (none where there were some), the session's new secret."""

    codes: list[str]
    secret: str | None


def plain_code(typed: str) -> str | None:
    """The six digits of a code as typed, in groups or in full width; None for what has not the shape of one."""
    if len(typed) > 40:
        return None
    plain = "".join(unicodedata.normalize("NFKC", typed).replace("-", "").split())
    return plain if len(plain) == DIGITS and plain.isascii() and plain.isdigit() else None


def _step_of(seed: str, code: str, after: int) -> int | None:
    """The step, later than `after`, whose code this is, by the server's clock; None when it is none's."""
    import pyotp  # only who uses it waits for it

    made = pyotp.TOTP(seed, digits=DIGITS, interval=STEP_S)
    now = int(clock.now().timestamp()) // STEP_S
    for step in range(now - SKEW, now + SKEW + 1):
        if hmac.compare_digest(made.generate_otp(step), code) and step > after:
            return step
    return None


def use_code(account: Account, typed: str) -> bool:
    """Whether this is a code of the account's app; its step is used up with it: of many at once one is right."""
    code = plain_code(typed)
    app = db.session.get(Authenticator, account.id) if code else None
    if code is None or app is None or app.confirmed_at is None:
        return False
    step = _step_of(crypto.unseal(app.sealed_seed, place=_place(account.id))["seed"], code, app.last_step)
    if step is None:
        return False
    taken = db.session.execute(
        update(Authenticator)
        .where(
            Authenticator.account_id == account.id,
            Authenticator.sealed_seed == app.sealed_seed,
            Authenticator.last_step < step,
        )
        .values(last_step=step)
        .returning(Authenticator.last_step)
        .execution_options(synchronize_session=False)
    ).scalar()
    return taken is not None


@needs(Capability.OWN_SECURITY)
@recently(factor=True)
@recently()
def begin_authenticator(actor: Actor) -> str:
    """Make a seed for a new app; answers the secret of the step that keeps it till a code confirms it."""
    import pyotp  # only who uses it waits for it

    return begin_step(Step.AUTHENTICATOR, own_account(actor), {"seed": pyotp.random_base32(SEED_LETTERS)})


@needs(Capability.OWN_SECURITY)
@recently(factor=True)
@recently()
def begun_authenticator(actor: Actor, step_secret: str | None) -> Enrolment:
    """What this browser has begun to set up. Raises StepOver when there is nothing, or it is over."""
    seed = _begun_seed(actor, step_secret)
    import pyotp  # only who uses it waits for it

    site = settings.current().site_name
    address = pyotp.TOTP(seed, digits=DIGITS, interval=STEP_S).provisioning_uri(name=actor.name, issuer_name=site)
    return Enrolment(seed, address)


def _begun_seed(actor: Actor, step_secret: str | None) -> str:
    _, account, facts = look_at_step(step_secret, Step.AUTHENTICATOR)
    if account is None or account.id != actor.id:
        raise StepOver  # begun by whoever was signed in here before
    return str(facts["seed"])


@needs(Capability.OWN_SECURITY)
@recently(factor=True)
@recently()
def confirm_authenticator(actor: Actor, step_secret: str | None, typed: str) -> Confirmed:
    """Take the app that shows this code, in the place of an earlier one; other sessions end.

    Raises Invalid for a wrong code, StepOver when the set-up is over.
    """
    seed = _begun_seed(actor, step_secret)
    count_answer(step_secret)
    code = plain_code(typed)
    step = _step_of(seed, code, 0) if code else None
    if step is None:
        words = gettext("That is not the code of now. Is the clock of your phone right?")
        raise Invalid({"code": words}, trace=(failure_at(step_secret),))
    account, _ = take_step(step_secret, Step.AUTHENTICATOR)
    if account is None:
        raise StepOver
    first = not account.has_factor
    db.session.merge(
        Authenticator(
            account_id=account.id,
            sealed_seed=crypto.seal({"seed": seed}, place=_place(account.id)),
            last_step=step,
            created_at=clock.now(),
            confirmed_at=clock.now(),
        )
    )
    note_factors(account)
    codes = make_recovery_codes(actor, account) if first else []
    record(actor, events.AUTHENTICATOR_ADDED, target_of(account))
    secret = keep_only_session(actor, account)
    notify(account, gettext("An authenticator app was set up for your account."))
    return Confirmed(codes, secret)


@needs(Capability.OWN_SECURITY)
@recently(factor=True)
@recently()
def remove_authenticator(actor: Actor) -> str | None:
    """Remove the actor's app; other sessions end. Answers the session's new secret. Raises Conflict."""
    account = own_account(actor)
    app = db.session.get(Authenticator, account.id)
    if app is None:
        raise Conflict(gettext("There is no authenticator app to remove."))
    check_removable(account)
    db.session.execute(
        delete(Authenticator).where(Authenticator.account_id == account.id).execution_options(synchronize_session=False)
    )
    db.session.expunge(app)
    note_factors(account)
    record(actor, events.AUTHENTICATOR_REMOVED, target_of(account))
    secret = keep_only_session(actor, account)
    notify(account, gettext("The authenticator app was removed from your account."))
    return secret


def _place(account_id: UUID) -> str:
    return f"authenticators.sealed_seed:{account_id}"
