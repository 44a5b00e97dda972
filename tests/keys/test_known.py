"""Keys that a process remembers: whatever changes anywhere is felt by the very next question on every instance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from portal.accounts.lifecycle import edit_user, reactivate, suspend
from portal.accounts.models import User
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.settings import Settings
from portal.keys import known, verify
from portal.keys.models import ApiKey
from portal.keys.rotation import rotate_key, uses_of
from portal.keys.service import change_key, own_keys, revoke_key
from portal.keys.terms import terms_of
from portal.usage.boosts import boost_limit, end_boost
from portal.usage.models import Plan
from portal.usage.plan_changes import change_plan
from portal.usage.plans import PlanTerms, create_plan, edit_plan
from portal.usage.plans import terms_of as plan_terms_of
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.people import actor_named, make_account
from tests.servers import Caller, running_server

BOSS = operator_actor().because("a test")
OUTSIDE_V4 = ["203.0.112.255", "203.0.114.0", "::ffff:198.51.100.1", "2001:db8::1"]
Ask = Callable[[], dict[str, Any]]


@pytest.fixture
def alice(app: Doorward) -> User:
    """Alice."""
    made = make_account("alice")
    assert isinstance(made, User)
    return made


@pytest.fixture
def instances(alice: User, settings: Settings) -> Iterator[list[Caller]]:
    """Two servers on the database of this test."""
    given = {"DATABASE_URL": settings.database_url, "DURABILITY": "process", "DATA_DIR": str(settings.data_dir)}
    with ExitStack() as stack:
        servers = [stack.enter_context(running_server(dict(given))) for _ in range(2)]
        token = servers[0].make_client("keys:verify")
        yield [stack.enter_context(server.caller(token)) for server in servers]


def changed(**terms: Any) -> None:
    """Alice changes her key."""
    with transaction():
        alice = actor_named("alice")
        (key,) = own_keys(alice)
        change_key(alice, key.id, replace(terms_of(key), **terms))


def limited(user: User, limit: int | None) -> None:
    """The operator sets an own limit."""
    with transaction():
        stored = db.session.get_one(User, user.id, populate_existing=True)
        edit_user(
            BOSS, user.id, version=stored.version, display_name="Alice", email="alice@example.org",
            time_zone=stored.time_zone, daily_limit_override=limit,
        )  # fmt: skip


def done(verb: Callable[[], object]) -> None:
    """In a transaction."""
    with transaction():
        verb()
    db.session.expire_all()


def edited(**terms: Any) -> None:
    """The plan of Alice grants something else."""
    plan = db.session.scalars(select(Plan).where(Plan.name == "other")).one()
    with transaction():
        edit_plan(BOSS, plan.id, replace(plan_terms_of(plan), **terms), version=plan.version)


def revoked() -> None:
    """Alice revokes her key."""
    alice = actor_named("alice")
    done(lambda: revoke_key(alice, own_keys(alice)[0].id))


@pytest.mark.slow
def test_the_next_question_on_another_instance_feels_every_change(
    alice: User, instances: list[Caller], key_of: Callable[..., str]
) -> None:
    key = key_of(alice)
    with transaction():
        other = create_plan(BOSS, PlanTerms("other", 500)).id

    def heard(**rest: Any) -> tuple[str, int | None]:
        """What both instances say alike: twice each, so that both remember the key."""
        answers = []
        for caller in instances * 2:
            status, body = caller.post(
                "/api/v1/keys/verify", {"key": key, "ip": "203.0.113.7", "scopes": ["chat"], **rest}
            )
            assert status == 200, body
            answers.append((body["code"], body.get("daily", {}).get("limit")))
        assert len(set(answers)) == 1, answers
        return answers[0]

    steps: list[tuple[Callable[[], object], tuple[str, int | None]]] = [
        (lambda: None, ("VALID", 100)),
        (lambda: limited(alice, 50), ("VALID", 50)),
        (lambda: limited(alice, None), ("VALID", 100)),
        (lambda: done(lambda: change_plan(BOSS, alice.id, other)), ("VALID", 500)),
        (lambda: edited(daily_limit=400), ("VALID", 400)),
        (lambda: edited(daily_limit=None), ("VALID", None)),
        (lambda: edited(daily_limit=300), ("VALID", 300)),
        (lambda: done(lambda: boost_limit(BOSS, alice.id, 7, clock.now() + timedelta(days=1))), ("VALID", 307)),
        (lambda: done(lambda: end_boost(BOSS, alice.id)), ("VALID", 300)),
        (lambda: changed(networks=("198.51.100.0/24",)), ("IP_NOT_ALLOWED", None)),
        (lambda: changed(networks=()), ("VALID", 300)),
        (lambda: changed(scopes=("images",)), ("SCOPE_MISSING", None)),
        (lambda: changed(scopes=("chat",)), ("VALID", 300)),
        (lambda: changed(daily_limit=0), ("KEY_LIMIT_REACHED", 300)),
        (lambda: changed(daily_limit=None), ("VALID", 300)),
        (lambda: done(lambda: suspend(BOSS, alice.id)), ("ACCOUNT_SUSPENDED", None)),
        (lambda: done(lambda: reactivate(BOSS, alice.id)), ("VALID", 300)),
        (revoked, ("KEY_REVOKED", None)),
    ]
    for number, (act, expected) in enumerate(steps):
        act()
        assert (number, heard()) == (number, expected)


@pytest.fixture
def ask(alice: User, machine: Callable[..., Machine], key_of: Callable[..., str]) -> Ask:
    """Ask about Alice's key in this process."""
    gate, key = machine("keys:verify"), key_of(alice)

    def call() -> dict[str, Any]:
        answer = gate.post("/keys/verify", {"key": key})
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.get_json()
        return body

    return call


def test_a_boost_a_plan_and_a_key_end_by_themselves(alice: User, ask: Ask) -> None:
    with transaction():
        other = create_plan(BOSS, PlanTerms("other", 500))
        boost_limit(BOSS, alice.id, 7, clock.now() + timedelta(minutes=5))
        change_plan(BOSS, alice.id, other.id, starts="next_day")
    changed(expires_at=clock.now() + timedelta(days=3))
    assert [ask()["daily"]["limit"] for _ in range(2)] == [107, 107]
    clock.shift(timedelta(minutes=6))
    assert ask()["daily"]["limit"] in (100, 500)
    clock.shift(timedelta(days=1, minutes=6))
    assert [(body["daily"]["limit"], body["user"]["plan"]) for body in (ask(), ask())] == [(500, "other")] * 2
    clock.shift(timedelta(days=3, minutes=6))
    assert ask()["code"] == "KEY_EXPIRED"


def test_a_plan_that_has_begun_holds_no_more_when_the_clock_is_put_back(alice: User, ask: Ask) -> None:
    with transaction():
        other = create_plan(BOSS, PlanTerms("other", 500))
        change_plan(BOSS, alice.id, other.id, starts="next_day")
    for days, limit in ((0, 100), (1, 500), (0, 100), (1, 500)):
        clock.shift(timedelta(days=days))
        assert [ask()["daily"]["limit"] for _ in range(2)] == [limit] * 2


def test_a_key_that_left_the_database_is_unknown_at_once(alice: User, ask: Ask) -> None:
    assert ask()["code"] == "VALID"
    with transaction():
        db.session.execute(update(ApiKey).values(digest=b"gone", version=ApiKey.version + 1))
    assert ask()["code"] == "KEY_UNKNOWN"


def test_only_so_many_keys_are_remembered(
    alice: User, ask: Ask, machine: Callable[..., Machine], key_of: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "MOST_KEPT", 10)
    known._kept.clear()
    gate, keys = machine("keys:verify", name="other"), [key_of(alice) for _ in range(14)]
    for _ in range(2):
        for key in keys:
            assert gate.post("/keys/verify", {"key": key}).get_json()["code"] == "VALID"
        assert len(known._kept) <= 10
    assert ask()["daily"]["used"] == 29


def test_only_so_many_last_uses_are_remembered(
    alice: User, ask: Ask, machine: Callable[..., Machine], key_of: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "MOST_NOTED", 3)
    verify._noted.clear()
    gate = machine("keys:verify", name="other")
    for key in [key_of(alice) for _ in range(8)]:
        assert gate.post("/keys/verify", {"key": key}).get_json()["code"] == "VALID"
        assert len(verify._noted) <= 3
    used = select(func.count()).where(ApiKey.last_used_at.is_not(None))
    assert db.session.scalar(used) == 8


@pytest.mark.parametrize(
    ("networks", "inside", "outside"),
    [
        (["203.0.113.0/24"], ["203.0.113.0", "203.0.113.255", "::ffff:203.0.113.7", "::ffff:cb00:7107"], OUTSIDE_V4),
        (["203.0.113.7"], ["203.0.113.7", "::ffff:203.0.113.7"], ["203.0.113.8", "::203.0.113.7", "203.0.113.7 "]),
        (["::ffff:203.0.113.0/120"], ["203.0.113.7", "::ffff:203.0.113.7"], ["203.0.114.7", "::1"]),
        (["2001:db8::/32"], ["2001:db8::1", "2001:DB8:0::0001", "2001:db8::1%eth0"], ["2001:db9::1", "203.0.113.7"]),
        (["fe80::/10"], ["fe80::1", "fe80::1%eth0"], ["fec0::1", "fe80::1%", "fe80::1%a%b", "%eth0"]),
        (["0.0.0.0/0"], ["203.0.113.7", "::ffff:203.0.113.7"], ["2001:db8::1", "", "nonsense"]),
        (["::/0"], ["2001:db8::1", "::1"], ["203.0.113.7", "::ffff:203.0.113.7", "nonsense"]),
    ],
    ids=str,
)
def test_a_network_holds_an_address_in_every_form_and_nothing_else(
    alice: User,
    machine: Callable[..., Machine],
    key_of: Callable[..., str],
    networks: list[str],
    inside: list[str],
    outside: list[str],
) -> None:
    gate, key = machine("keys:verify"), key_of(alice)
    changed(networks=tuple(networks))

    def heard(address: str | None) -> str:
        answer = gate.post("/keys/verify", {"key": key, "ip": address, "cost": {"conversations": 0}})
        assert answer.status_code == 200, answer.text
        said: str = answer.get_json()["code"]
        return said

    assert {address: heard(address) for address in inside} == dict.fromkeys(inside, "VALID")
    nowhere = [*outside, None, "203.0.113.7/32", "203.0.113.07", "0xcb007107", "3405803783", "203.0.113.7\u00a0"]
    assert {address: heard(address) for address in nowhere} == dict.fromkeys(nowhere, "IP_NOT_ALLOWED")


def test_calls_on_a_key_that_was_replaced_are_listed_by_client_and_address(
    alice: User, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    old, gate, other = key_of(alice), machine("keys:verify", name="gate"), machine("keys:verify", name="other")
    assert gate.post("/keys/verify", {"key": old}).get_json()["code"] == "VALID"
    with transaction():
        owner = actor_named("alice")
        (row,) = own_keys(owner)
        made = rotate_key(owner, row.id, overlap_s=3600)
    for asker, ip in ((gate, "203.0.113.7"), (gate, "203.0.113.7"), (other, "203.0.113.7"), (gate, None)):
        assert asker.post("/keys/verify", {"key": old, "ip": ip}).get_json()["code"] == "VALID"
    assert gate.post("/keys/verify", {"key": old, "ip": "x", "cost": {"credits": 1}}).get_json()["valid"] is False
    assert gate.post("/keys/verify", {"key": made.secret}).get_json()["code"] == "VALID"
    uses = {(use.client_name, use.address): use.count for use in uses_of(actor_named("alice"), row.id)}
    assert uses == {("gate", "203.0.113.7"): 2, ("other", "203.0.113.7"): 1, ("gate", "127.0.0.1"): 1}
    assert uses_of(actor_named("alice"), made.key.id) == []


def test_the_last_use_is_told_within_a_minute_with_address_and_client(
    alice: User, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, key = machine("keys:verify"), key_of(alice)

    def last() -> tuple[timedelta, str | None, str | None]:
        db.session.expire_all()
        row = db.session.scalars(select(ApiKey)).one()
        assert row.last_used_at is not None
        return clock.now() - row.last_used_at, row.last_used_from, row.last_used_by

    gate.post("/keys/verify", {"key": key, "ip": "203.0.113.7"})
    assert last()[1:] == ("203.0.113.7", "gate")
    version = db.session.scalars(select(ApiKey.version)).one()
    clock.shift(timedelta(seconds=59))
    gate.post("/keys/verify", {"key": key, "ip": "198.51.100.9"})
    since, address, _ = last()
    assert (since < timedelta(seconds=30), address) == (True, "198.51.100.9")
    assert db.session.scalars(select(ApiKey.version)).one() == version


def test_questions_about_keys_that_nobody_has_are_counted(ask: Ask, machine: Callable[..., Machine]) -> None:
    before, gate = verify.count_unknown(), machine("keys:verify", name="other")
    gate.post("/keys/verify", {"key": "dw_none"})
    gate.post("/keys/verify-many", {"items": [{"key": "dw_none"}, {"key": "nonsense"}]})
    ask()
    assert verify.count_unknown() == before + 3
