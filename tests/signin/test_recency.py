"""Which acts ask again who is there, and of whom they do not."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from typing import Any

import msgspec
import pytest

from portal.core import clock
from portal.core.access import EVERYTHING, RANK_FULL_ADMIN, check_recent, job_actor, operator_actor
from portal.core.actor import Actor, ActorKind
from portal.core.errors import ReauthNeeded
from portal.core.ids import new_id

# S035: what opens an account, and what lets programs in. Within five minutes, by anything.
LATELY = [
    "keys.service.create_key",
    "keys.service.change_key",
    "keys.service.revoke_key",
    "keys.rotation.rotate_key",
    "signin.changing.change_password",
    "signin.email_change.ask_for_email",
    "signin.username_change.change_username",
    "signin.own_passkeys.rename_passkey",
    "outside.trips.begin_link",
    "outside.identities.unlink",
    "signin.sessions.end_own_session",
    "signin.ending.end_other_sessions",
    "signin.networks.add_network",
    "signin.networks.remove_network",
    "signin.networks.clear_networks",
    "privacy.closing.close_account",
]
# S036, and factors themselves: within ten minutes, by the second factor where one is set up.
BY_FACTOR = [
    "privacy.deletion.delete_user",
    "privacy.deletion.restore_user",
    "signin.registration.invite_staff",
    "signin.registration.invite_admin",
    "accounts.lifecycle.change_level",
    "accounts.lifecycle.change_permissions",
    "usage.credits.grant_credits",
    "usage.credits.adjust_credits",
    "clients.service.create_client",
    "signin.factor_reset.reset_factors",
    "signin.authenticator.begin_authenticator",
    "signin.authenticator.remove_authenticator",
    "signin.own_passkeys.add_passkey",
    "signin.own_passkeys.remove_passkey",
    "signin.recovery.renew_recovery_codes",
]


def verb(name: str) -> Any:
    """The verb of this name."""
    module, _, last = f"portal.{name}".rpartition(".")
    return getattr(import_module(module), last)


def somebody(**columns: Any) -> Actor:
    """Somebody signed in who may do everything."""
    made = Actor(ActorKind.ADMIN, "ada", id=new_id(), capabilities=EVERYTHING, rank=RANK_FULL_ADMIN)
    return msgspec.structs.replace(made, session_id=new_id(), reason="asked for", **columns)


@pytest.mark.parametrize("name", LATELY + BY_FACTOR)
def test_every_dangerous_verb_asks_who_is_there(name: str) -> None:
    now, factor = clock.now(), name in BY_FACTOR
    stale = now - timedelta(minutes=10 if factor else 5, seconds=1)
    for who in (somebody(), somebody(entered_at=stale, proven_at=stale)):
        with pytest.raises(ReauthNeeded) as asked:  # before anything is read, so that nothing more need be given
            verb(name)(who)
        assert asked.value.factor is factor
    half = somebody(entered_at=now, proven_at=stale) if factor else somebody(entered_at=stale, proven_at=now)
    with pytest.raises(ReauthNeeded):
        verb(name)(half)


def test_programs_and_the_operator_have_nobody_to_ask() -> None:
    client = Actor(ActorKind.CLIENT, "gate", id=new_id(), capabilities=EVERYTHING)
    for who in (client, job_actor("purge"), operator_actor()):
        check_recent(who)
        check_recent(who, factor=True)
