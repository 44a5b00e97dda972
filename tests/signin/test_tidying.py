"""What is forgotten of sessions and browsers, and when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.core import clock
from portal.core.database import db
from portal.jobs.runner import run_job
from portal.signin.devices import KEPT_FOR
from portal.signin.models import KnownDevice, SignInSession
from portal.web.frame import Doorward
from tests.signin.test_sessions import is_in
from tests.visitor import Visitor


def counts() -> tuple[int, int]:
    """How many sessions and browsers are known."""
    db.session.expire_all()
    return len(db.session.scalars(select(SignInSession)).all()), len(db.session.scalars(select(KnownDevice)).all())


def test_a_session_is_forgotten_ninety_days_after_its_last_use(app: Doorward, person: Callable[..., Visitor]) -> None:
    person("alice").sign_out()
    clock.shift(timedelta(days=10))
    later = Visitor(app.test_client())
    later.sign_in("alice")
    clock.shift(timedelta(days=89))
    run_job("forget_sessions", by_hand=True)
    assert counts()[0] == 2
    clock.shift(timedelta(days=90, minutes=1))
    run_job("forget_sessions", by_hand=True)
    assert counts()[0] == 1
    clock.shift(timedelta(days=100, minutes=1))
    run_job("forget_sessions", by_hand=True)
    assert counts()[0] == 0


@pytest.mark.parametrize("setting", [{"session_idle_user_s": 200 * 86400, "session_max_user_s": 300 * 86400}])
def test_none_that_is_living_is_forgotten(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    clock.shift(timedelta(days=199))
    run_job("forget_sessions", by_hand=True)
    assert is_in(alice)


def test_the_latest_browser_of_an_account_stays(app: Doorward, person: Callable[..., Visitor]) -> None:
    person("alice")
    person("bob")
    clock.shift(timedelta(days=1))
    Visitor(app.test_client()).sign_in("alice")
    clock.shift(KEPT_FOR - timedelta(minutes=1))
    run_job("forget_sessions", by_hand=True)
    assert counts()[1] == 3
    clock.shift(KEPT_FOR + timedelta(days=2))
    run_job("forget_sessions", by_hand=True)
    assert counts()[1] == 2
