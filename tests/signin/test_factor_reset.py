"""Factors are taken away only from above, with a reason, an entry and a word to the owner; the command line may too."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest
from sqlalchemy import select

from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.access import RECENTLY_PROVEN, operator_actor
from portal.core.database import db, transaction
from portal.core.errors import Conflict, Forbidden, Invalid, NotFound, ReauthNeeded
from portal.core.ids import new_id
from portal.signin.factor_reset import reset_factors
from portal.signin.factors import factors_of
from portal.signin.models import SignInSession
from portal.signin.sessions import begin_session, session_of
from tests.keys.letters import letters
from tests.people import actor_named, make_account
from tests.signin.phones import account_of, make_enrolled

if TYPE_CHECKING:
    from portal.core.actor import Actor
    from portal.web.frame import Doorward


def reset(actor: Actor, name: str, reason: str = "lost the phone") -> None:
    with transaction():
        reset_factors(actor.because(reason), account_of(name).id)


def test_all_factors_go_and_all_sessions_end(app: Doorward) -> None:
    make_account("ada")
    make_enrolled("alice")
    with transaction():
        secret = begin_session(account_of("alice"), address=None, device="")
    assert session_of(secret) is not None
    reset(actor_named("ada"), "alice")
    after = factors_of(account_of("alice").id)
    assert (after.any, after.recovery_codes) == (False, 0)
    assert not account_of("alice").has_factor
    assert session_of(secret) is None
    assert db.session.scalars(select(SignInSession)).all()
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "factor.reset")).one()
    assert (entry.actor_name, entry.target_name, entry.reason) == ("ada", "alice", "lost the phone")
    assert any("taken away" in letter["text"] and letter["to"] == "alice@example.org" for letter in letters("notice"))


@pytest.mark.parametrize(
    ("who", "whose"),
    [("alice", "bob"), ("tara", "alice"), ("max", "alice"), ("nina", "ada"), ("nina", "olga"), ("ada", "ada")],
)
def test_only_from_above(who: str, whose: str, app: Doorward) -> None:
    columns = {"nina": {"permissions": ["admins.manage"]}, "olga": {"permissions": ["audit.read"]}}
    for name in {who, whose}:
        make_enrolled(name, **columns.get(name, {}))
    with pytest.raises(Forbidden):
        reset(actor_named(who), whose)
    assert account_of(whose).has_factor


def test_full_admins_stand_beside_each_other(app: Doorward) -> None:
    make_account("ada")
    make_enrolled("eve", permissions=sorted(account_of("ada").permissions))  # type: ignore[attr-defined]  # an admin
    with pytest.raises(Forbidden):
        reset(actor_named("ada"), "eve")
    reset(operator_actor(), "eve")
    assert not account_of("eve").has_factor


def test_a_reason_and_a_fresh_proof_are_wanted(app: Doorward) -> None:
    make_account("ada")
    make_enrolled("tess")
    with pytest.raises(Invalid):
        reset(actor_named("ada"), "tess", reason=" ")
    stale = msgspec.structs.replace(actor_named("ada"), proven_at=clock.now() - RECENTLY_PROVEN - timedelta(seconds=1))
    with pytest.raises(ReauthNeeded):
        reset(stale, "tess")
    assert account_of("tess").has_factor
    reset(actor_named("ada"), "tess")


def test_who_has_none_or_is_not_there_is_told(app: Doorward) -> None:
    make_account("ada")
    make_account("alice")
    with pytest.raises(Conflict):
        reset(actor_named("ada"), "alice")
    with pytest.raises(NotFound):
        reset_factors(actor_named("ada").because("why"), new_id())
