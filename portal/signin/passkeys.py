"""Passkeys (WebAuthn Level 3): challenges for an authenticator, and what it answers, checked.

A challenge is a step bound to the browser that asked for it. It is good for one purpose, one answer and five minutes.
"""

from __future__ import annotations

import json
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sqlalchemy import select, update

from portal.accounts.models import Account
from portal.core import clock, settings
from portal.core.database import db
from portal.core.errors import Invalid, StepOver
from portal.core.text import gettext
from portal.signin.models import Passkey
from portal.signin.steps import Step, begin_step, end_of, look_at_step, take_step

if TYPE_CHECKING:
    from webauthn.helpers.structs import AuthenticationCredential, PublicKeyCredentialDescriptor

    from portal.core.text import Shown

# Characters of JSON; what authenticators answer has a tenth of it. Bytes of an id (WebAuthn, 4) and of a public key.
MOST_ANSWER, MOST_ID, MOST_KEY = 20_000, 1023, 1100
TIMEOUT_MS = 300_000
# EdDSA, ES256, RS256 (RFC 9053): every authenticator has one of them.
ALGORITHMS = (-8, -7, -257)


class Purpose(StrEnum):
    """What a challenge is for; an answer to it is good for nothing else."""

    ADD = "add"
    ENTER = "enter"
    PROVE = "prove"


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the browser hands to the authenticator, as JSON, and the secret of the step for its cookie."""

    options: str
    secret: str


@dataclass(frozen=True, slots=True)
class NewKey:
    """What an authenticator made for us."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: list[str]
    backed_up: bool


def site() -> tuple[str, str]:
    """The RP ID and the origin of this site as browsers write them: host, and scheme with host and unusual port."""
    parts = urlsplit(settings.current().site_url)
    host = parts.hostname or "localhost"
    usual = 443 if parts.scheme == "https" else 80
    return host, f"{parts.scheme}://{host}" + ("" if parts.port in {None, usual} else f":{parts.port}")


def passkeys_of(account: Account) -> list[Passkey]:
    """The passkeys of an account, oldest first."""
    query = select(Passkey).where(Passkey.account_id == account.id).order_by(Passkey.created_at, Passkey.id)
    return list(db.session.scalars(query))


def challenge_new(account: Account) -> Challenge:
    """A challenge to make a passkey for this account: one that the authenticator finds by itself and that it only uses
    for whom it has recognised."""
    from webauthn import generate_registration_options, options_to_json
    from webauthn.helpers.cose import COSEAlgorithmIdentifier
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    made = generate_registration_options(
        rp_id=site()[0],
        rp_name=settings.current().site_name,
        user_id=account.id.bytes,
        user_name=account.username,
        user_display_name=account.shown_name,
        timeout=TIMEOUT_MS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=_descriptors(account),
        supported_pub_key_algs=[COSEAlgorithmIdentifier(number) for number in ALGORITHMS],
    )
    return Challenge(options_to_json(made), _begin(Purpose.ADD, account, made.challenge))


def challenge_known(account: Account | None) -> Challenge:
    """A challenge to sign with a passkey of this account, or with any that the authenticator holds for this site."""
    # Made by hand (WebAuthn Level 3, 5.5): every sign-in page asks for one, and most visitors need no more of WebAuthn.
    challenge = secrets.token_bytes(32)
    known = passkeys_of(account) if account else []
    options = {
        "challenge": _encoded(challenge),
        "timeout": TIMEOUT_MS,
        "rpId": site()[0],
        "allowCredentials": [
            {"type": "public-key", "id": _encoded(one.credential_id), "transports": one.transports} for one in known
        ],
        "userVerification": "required",
    }
    purpose = Purpose.PROVE if account else Purpose.ENTER
    return Challenge(json.dumps(options), _begin(purpose, account, challenge))


def check_new(secret: str | None, answer: str, *, account: Account) -> NewKey:
    """What the authenticator made for the challenge of this account; the challenge is spent. Raises Invalid."""
    from webauthn import verify_registration_response
    from webauthn.helpers import decode_credential_public_key, parse_registration_credential_json
    from webauthn.helpers.cose import COSEAlgorithmIdentifier
    from webauthn.helpers.decoded_public_key_to_cryptography import decoded_public_key_to_cryptography

    check_given(answer)
    challenge = _challenge_of(secret, Purpose.ADD, account)
    rp_id, origin = site()
    try:
        given = parse_registration_credential_json(_bounded(answer))
        made = verify_registration_response(
            credential=given,
            expected_challenge=challenge,
            expected_rp_id=rp_id,
            expected_origin=origin,
            require_user_verification=True,
            supported_pub_key_algs=[COSEAlgorithmIdentifier(number) for number in ALGORITHMS],
        )
        _check_frame(given.response.client_data_json)
        if len(made.credential_id) > MOST_ID or len(made.credential_public_key) > MOST_KEY:
            raise ValueError("larger than any")
        # A key that can check nothing would be found out at the next sign-in only.
        decoded_public_key_to_cryptography(decode_credential_public_key(made.credential_public_key))
    except Exception as error:  # whatever its parsers stumble over, the answer is wrong
        raise _wrong(secret, gettext("The passkey could not be added: what came back is not right.")) from error
    _spend(secret)
    transports = [transport.value for transport in dict.fromkeys(given.response.transports or [])]
    return NewKey(
        made.credential_id, made.credential_public_key, made.sign_count, transports, made.credential_backed_up
    )


def check_passkey(secret: str | None, answer: str, *, account: Account | None) -> Passkey:
    """The passkey that signed the challenge of this browser: one of this account, or any that signs in.

    The challenge is spent and the counter of the passkey goes up; of many with one answer, one succeeds. Raises
    Invalid for all that is wrong (WebAuthn Level 3, 7.2), in words that tell no known passkey from an unknown one.
    """
    check_given(answer)
    challenge = _challenge_of(secret, Purpose.PROVE if account else Purpose.ENTER, account)
    try:
        passkey, count, backed_up = _checked(challenge, _bounded(answer), account)
    except Exception as error:  # whatever its parsers stumble over, the answer is wrong
        raise _wrong(secret, not_accepted()) from error
    _spend(secret)
    used = db.session.execute(
        update(Passkey)
        .where(Passkey.id == passkey.id, Passkey.sign_count < count if count else Passkey.sign_count == 0)
        .values(sign_count=count, backed_up=backed_up, last_used_at=clock.now())
        .returning(Passkey.id)
        .execution_options(synchronize_session=False)
    ).scalar()
    if used is None:
        raise _wrong(secret, not_accepted())
    db.session.expire(passkey)
    return passkey


def check_given(answer: str) -> None:
    """Raises Invalid where no script ran: nobody showed anything wrong, so that counts as no try."""
    if not answer:
        raise Invalid({}, gettext("Your browser gave no passkey. Passkeys need scripts: allow them for this site."))


def not_accepted() -> str:
    """What is said of a passkey that opens nothing, whatever the reason."""
    return gettext("This passkey was not accepted.")


def _checked(challenge: bytes, answer: str, account: Account | None) -> tuple[Passkey, int, bool]:
    from webauthn import verify_authentication_response
    from webauthn.helpers import parse_authentication_credential_json

    given = parse_authentication_credential_json(answer)
    passkey = _named(given, account)
    rp_id, origin = site()
    done = verify_authentication_response(
        credential=given,
        expected_challenge=challenge,
        expected_rp_id=rp_id,
        expected_origin=origin,
        credential_public_key=passkey.public_key,
        credential_current_sign_count=passkey.sign_count,
        require_user_verification=True,
    )
    _check_frame(given.response.client_data_json)
    return passkey, done.new_sign_count, done.credential_backed_up


def _named(given: AuthenticationCredential, account: Account | None) -> Passkey:
    """The passkey with the id in an answer, where the account in the answer is its own (WebAuthn Level 3, 7.2, 6)."""
    passkey = db.session.scalars(select(Passkey).where(Passkey.credential_id == given.raw_id)).first()
    if passkey is None or (account is not None and passkey.account_id != account.id):
        raise ValueError("not a passkey of this account")
    handle = given.response.user_handle
    if handle != passkey.account_id.bytes and not (account is not None and handle is None):
        raise ValueError("the authenticator keeps it for another account")
    return passkey


def _check_frame(client_data: bytes) -> None:
    """Raises ValueError for an answer from a frame in another site's page."""
    said = json.loads(client_data)
    if said.get("crossOrigin") or "topOrigin" in said:
        raise ValueError("given in a frame of another site")


def _bounded(answer: str) -> str:
    if len(answer) > MOST_ANSWER:
        raise ValueError("larger than any")
    return answer


def _descriptors(account: Account) -> list[PublicKeyCredentialDescriptor]:
    from webauthn.helpers.structs import AuthenticatorTransport, PublicKeyCredentialDescriptor

    return [
        PublicKeyCredentialDescriptor(
            id=passkey.credential_id, transports=[AuthenticatorTransport(name) for name in passkey.transports]
        )
        for passkey in passkeys_of(account)
    ]


def _begin(purpose: Purpose, account: Account | None, challenge: bytes) -> str:
    return begin_step(Step.PASSKEY, account, {"purpose": purpose.value, "challenge": challenge.hex()})


def _encoded(data: bytes) -> str:
    """Base64url without padding, as browsers take bytes."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _challenge_of(secret: str | None, purpose: Purpose, account: Account | None) -> bytes:
    try:
        _, owner, facts = look_at_step(secret, Step.PASSKEY)
    except StepOver:
        raise _over() from None
    if facts["purpose"] != purpose or (owner.id if owner else None) != (account.id if account else None):
        raise _wrong(secret, _over().words)
    return bytes.fromhex(facts["challenge"])


def _spend(secret: str | None) -> None:
    try:
        take_step(secret, Step.PASSKEY)
    except StepOver:
        raise _over() from None


def _over() -> Invalid:
    return Invalid({}, gettext("That took too long, or was done already. Try again."))


def _wrong(secret: str | None, words: Shown) -> Invalid:
    """A wrong answer ends its challenge too."""
    return Invalid({}, words, trace=(end_of(secret, Step.PASSKEY),))
