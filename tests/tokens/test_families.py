"""Refresh tokens are good once; who loses an answer may ask again at once, whoever comes later ends them all."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.database import db, transaction
from portal.insight.activity import own_activity
from portal.tokens import families
from portal.tokens.families import GRACE, IDLE, LONGEST, forget_families
from portal.tokens.models import RefreshToken, TokenFamily
from tests.faults.test_sessions_elsewhere import ENDS, by_reset, found, in_one
from tests.people import actor_named, make_account
from tests.races import CLIENTS, race, racing
from tests.tokens.programs import TOKEN, Program, program_of

if TYPE_CHECKING:
    from uuid import UUID

    from portal.web.frame import Doorward
    from tests.servers import Server

AT_ONCE = GRACE - timedelta(seconds=1)
LATER = GRACE + timedelta(seconds=1)


def wait(time: timedelta) -> None:
    """Time goes by."""
    clock.shift(clock.offset() + time)


def unused(family_id: UUID) -> int:
    """How many refresh tokens of a family were not used yet."""
    db.session.expire_all()
    fresh = RefreshToken.family_id == family_id, RefreshToken.used_at.is_(None)
    return len(db.session.scalars(select(RefreshToken).where(*fresh)).all())


def end_of(family_id: UUID) -> str | None:
    """Why a family ended; None while it has not."""
    db.session.expire_all()
    return db.session.scalars(select(TokenFamily.end_reason).where(TokenFamily.id == family_id)).one()


def test_fifty_threads_get_one_pair(app: Doorward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "GRACE", timedelta(hours=1))  # however long fifty of them take here
    program, family_id = program_of(app, make_account("alice"))
    token = program.refresh_tokens[-1]
    programs = [Program(app, refresh_tokens=[token]) for _ in range(CLIENTS)]
    assert race(CLIENTS, lambda number: programs[number].refresh()) == ["ok"] * CLIENTS
    assert len({one.refresh_tokens[-1] for one in programs}) == 1
    assert (unused(family_id), end_of(family_id)) == (1, None)
    assert all(one.is_in() for one in programs[:3])
    monkeypatch.setattr(families, "GRACE", timedelta(seconds=-1))
    token = programs[0].refresh_tokens[-1]
    programs = [Program(app, refresh_tokens=[token]) for _ in range(CLIENTS)]
    told = race(CLIENTS, lambda number: programs[number].refresh())
    assert told.count("ok") <= 1, "without the grace one, or none once a second one has come"
    assert (unused(family_id), end_of(family_id)) == (1, "replayed")
    assert not any(one.is_in() for one in programs if one.access_token)


def test_fifty_processes_get_one_pair_and_a_replay_after_a_restart_ends_it(app: Doorward, served: Server) -> None:
    """However late each comes: at most one child, the same for all who get one, and it lives only with the family."""
    program, family_id = program_of(app, make_account("alice"))
    first = program.refresh_tokens[-1]
    with racing(served, "-", CLIENTS) as racers:
        answers = racers.post(TOKEN, [f"grant_type=refresh_token&refresh_token={first}"] * CLIENTS)
    children = {json.loads(said)["refresh_token"] for status, said in answers if status == "200"}
    refused = [json.loads(said)["error"] for status, said in answers if status != "200"]
    assert (len(children), set(refused) <= {"invalid_grant"}) == (1, True)
    assert (unused(family_id), end_of(family_id)) == (1, "replayed" if refused else None)
    other, other_id = program_of(app, make_account("bob"))
    assert other.refresh() == "ok"
    db.session.remove()
    served.kill()
    served.settings["CLOCK_OFFSET_S"] = str(int(LATER.total_seconds()))
    served.start()
    sent = {"Content-Type": "application/x-www-form-urlencoded"}
    for token in other.refresh_tokens:  # the used one first: it ends what the living one is of
        body = f"grant_type=refresh_token&refresh_token={token}".encode()
        with served.caller() as caller:
            assert caller.request("POST", TOKEN, body, sent)[0] == 400
    assert end_of(other_id) == "replayed"
    entries = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "token.replayed")).all()
    assert "bob" in [entry.target_name for entry in entries]


def test_the_direct_parent_gets_the_same_child_for_a_moment_and_nothing_else_does(app: Doorward) -> None:
    program, family_id = program_of(app, make_account("alice"))
    assert program.refresh() == "ok"
    wait(AT_ONCE)
    assert program.refresh(-2) == "ok"
    assert program.refresh_tokens[-1] == program.refresh_tokens[-2]
    assert (unused(family_id), end_of(family_id)) == (1, None)
    wait(LATER)
    assert program.refresh(0) == "invalid_grant"
    assert (end_of(family_id), program.is_in(), program.refresh()) == ("replayed", False, "invalid_grant")
    # At once, but a child further: the grandparent.
    program, family_id = program_of(app, make_account("bob"))
    assert [program.refresh(), program.refresh(), program.refresh(1), program.refresh(0)] == ["ok"] * 3 + [
        "invalid_grant"
    ]
    assert (end_of(family_id), program.is_in()) == ("replayed", False)
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "token.replayed")).first()
    assert entry is not None
    assert (entry.actor_kind, entry.target_name, entry.address) == ("nobody", "alice", "127.0.0.1")
    deeds = own_activity(actor_named("alice")).items
    assert [deed.event for deed in deeds if deed.event.startswith("token")] == ["token.replayed"]


def test_a_family_is_over_by_its_age_however_often_it_is_used_and_earlier_when_it_is_not(app: Doorward) -> None:
    program, family_id = program_of(app, make_account("alice"))
    for _ in range(LONGEST // timedelta(days=6)):
        wait(timedelta(days=6) - timedelta(minutes=1))
        assert (program.refresh(), program.is_in()) == ("ok", True)
    wait(timedelta(minutes=6))
    assert (program.is_in(), program.refresh()) == (False, "invalid_grant")
    assert end_of(family_id) is None, "its age needs no note, and is no replay"
    with transaction():
        assert forget_families() == 0
    idle, idle_id = program_of(app, make_account("bob"))
    wait(IDLE - timedelta(seconds=1))
    kept = clock.offset()
    assert idle.refresh() == "ok"
    clock.shift(kept)
    wait(IDLE + timedelta(seconds=1))
    assert (idle.is_in(), idle.refresh()) == (False, "invalid_grant")
    with transaction():
        assert forget_families() == 1
    left = {row.family_id for row in db.session.scalars(select(RefreshToken))}
    assert left == {idle_id}
    assert list(db.session.scalars(select(TokenFamily.id))) == [idle_id]


def test_whatever_ends_sessions_ends_tokens_at_the_next_request(app: Doorward) -> None:
    make_account("ada")
    wrong = []
    for name, end in ENDS.items():
        make_account(name, **({"permissions": ["users.read"]} if name == "warden" else {}))
        program, _ = program_of(app, found(name))
        assert program.is_in(), name
        end(found(name)) if end is by_reset else in_one(end, found(name))
        if program.is_in() or program.refresh() != "invalid_grant":
            wrong.append(name)
    assert wrong == []
