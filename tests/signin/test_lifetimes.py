"""How long a session lives, to the moment, by the server's clock alone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from portal.core import clock
from portal.core.database import db, transaction
from portal.signin.models import SignInSession
from portal.signin.sessions import actor_of, begin_session, note_use, renew_session, session_of
from portal.web.frame import Doorward
from tests.people import make_account

MOMENT = timedelta(microseconds=1)
IDLE = {"alice": timedelta(days=14), "tess": timedelta(hours=1), "ada": timedelta(hours=1)}
LONGEST = {"alice": timedelta(days=30), "tess": timedelta(hours=12), "ada": timedelta(hours=12)}


@pytest.mark.parametrize("name", IDLE)
def test_it_dies_at_the_idle_time_and_not_a_moment_before(
    app: Doorward, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    began = clock.now()
    monkeypatch.setattr(clock, "now", lambda: began)
    account = make_account(name)
    with transaction():
        secret = begin_session(account, address=None, device="")
    monkeypatch.setattr(clock, "now", lambda: began + IDLE[name] - MOMENT)
    assert session_of(secret) is not None
    monkeypatch.setattr(clock, "now", lambda: began + IDLE[name])
    assert session_of(secret) is None


@pytest.mark.parametrize("name", LONGEST)
def test_no_use_carries_it_over_the_absolute_time(app: Doorward, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    began = clock.now()
    monkeypatch.setattr(clock, "now", lambda: began)
    account = make_account(name)
    with transaction():
        secret = begin_session(account, address=None, device="")
    used = timedelta(0)
    while used + IDLE[name] / 2 < LONGEST[name]:
        used += IDLE[name] / 2
        monkeypatch.setattr(clock, "now", lambda now=began + used: now)
        found = session_of(secret)
        assert found is not None
        with transaction():
            note_use(*found)
        db.session.expire_all()
    monkeypatch.setattr(clock, "now", lambda: began + LONGEST[name] - MOMENT)
    with transaction():  # used up to the end
        db.session.execute(update(SignInSession).values(last_seen_at=clock.now()))
    assert session_of(secret) is not None
    monkeypatch.setattr(clock, "now", lambda: began + LONGEST[name])
    assert session_of(secret) is None


def test_proving_oneself_makes_no_session_longer(app: Doorward, monkeypatch: pytest.MonkeyPatch) -> None:
    began = clock.now()
    monkeypatch.setattr(clock, "now", lambda: began)
    account = make_account("ada")
    with transaction():
        secret = begin_session(account, address=None, device="")
    row = db.session.scalars(select(SignInSession)).one()
    who = actor_of(account, address=None, request_id=None, session=row)
    monkeypatch.setattr(clock, "now", lambda: began + LONGEST["ada"] - MOMENT)
    with transaction():
        db.session.execute(update(SignInSession).values(last_seen_at=clock.now()))
        renewed = renew_session(who, entered=True, proven=True)
    assert renewed is not None
    assert session_of(secret) is None
    assert session_of(renewed) is not None
    monkeypatch.setattr(clock, "now", lambda: began + LONGEST["ada"])
    assert session_of(renewed) is None
