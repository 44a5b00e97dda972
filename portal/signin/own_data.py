"""What signing in holds of somebody: where, with which browsers and factors. No secret of any of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal.core.own_data import part_of
from portal.signin.models import Authenticator, KnownDevice, Passkey, RecoveryCode, SignInSession

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.own_data import Part


def export_of(account_id: UUID) -> list[Part]:
    """Sessions, known browsers, and the second factors by name and date."""
    return [
        part_of("sessions", SignInSession, SignInSession.account_id == account_id, hide=("digest", "epoch")),
        part_of("known_browsers", KnownDevice, KnownDevice.account_id == account_id, hide=("digest",)),
        part_of(
            "authenticator_app",
            Authenticator,
            Authenticator.account_id == account_id,
            hide=("sealed_seed", "last_step"),
        ),
        part_of(
            "passkeys",
            Passkey,
            Passkey.account_id == account_id,
            hide=("credential_id", "public_key", "sign_count"),
        ),
        part_of("recovery_codes", RecoveryCode, RecoveryCode.account_id == account_id, hide=("digest",)),
    ]
