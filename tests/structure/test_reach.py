"""A permission over one kind of account reaches no other kind, whichever verb asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from portal.accounts.lifecycle import reactivate, suspend
from portal.accounts.models import State
from portal.core.access import PERMISSIONS
from portal.core.database import transaction
from portal.core.errors import Forbidden
from portal.signin.registration import invite_again
from portal.signin.reset import start_reset
from tests.people import actor_named, make_account

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from portal.core.actor import Actor
    from portal.web.frame import Doorward

# Each kind's manager, and somebody of each kind.
MANAGERS = {"user": "users.write", "staff": "staff.manage", "admin": "admins.manage"}
PEOPLE = {"user": "bob", "staff": "tess", "admin": "max"}
VERBS: dict[str, tuple[Callable[[Actor, UUID], object], State]] = {
    "suspend": (suspend, State.ACTIVE),
    "reactivate": (reactivate, State.SUSPENDED),
    "invite_again": (invite_again, State.INVITED),
    "start_reset": (start_reset, State.ACTIVE),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("manager", MANAGERS)
def test_who_manages_one_kind_has_no_hold_on_another(app: Doorward, verb: str, manager: str) -> None:
    act, state = VERBS[verb]
    make_account("mona", permissions=[MANAGERS[manager]])
    mona = actor_named("mona").because("the test")
    for kind in PEOPLE.keys() - {manager}:
        other = make_account(PEOPLE[kind], state=state.value)
        with pytest.raises(Forbidden), transaction():
            act(mona, other.id)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("kind", PEOPLE)
def test_a_full_admin_reaches_every_kind(app: Doorward, verb: str, kind: str) -> None:
    act, state = VERBS[verb]
    make_account("ada", permissions=sorted(PERMISSIONS))
    other = make_account(PEOPLE[kind], state=state.value)
    with transaction():
        act(actor_named("ada").because("the test"), other.id)
