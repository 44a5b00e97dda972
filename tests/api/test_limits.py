"""How often the machine door may be called: by a client with a rate, by an account, by an address."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from werkzeug.test import TestResponse

from portal import create_app
from portal.audit.models import AuditEntry
from portal.clients.models import ServiceClient
from portal.clients.service import change_rate
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import Invalid, NotFound
from portal.core.ids import new_id
from portal.tokens.access_tokens import ACCOUNT_SCOPE, make_access_token
from portal.tokens.families import begin_family
from portal.web.frame import Doorward
from tests.conftest import Machine, fresh_database, running_app, settings_for
from tests.people import make_account
from tests.valkey import keeping_valkey

if TYPE_CHECKING:
    from pathlib import Path

    from jinja2 import FileSystemBytecodeCache

VERIFY = "/api/v1/keys/verify"


class Moment:
    """The time by which calls are counted, in the middle of a minute until it is moved."""

    def __init__(self) -> None:
        self.at = time.time() // 60 * 60 + 30

    def time(self) -> float:
        """Seconds since 1970."""
        return self.at


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> Moment:
    """That time, where the counting looks for it."""
    made = Moment()
    for module in ("limits.storage.memory", "limits.strategies"):
        monkeypatch.setattr(f"{module}.time", SimpleNamespace(time=made.time) if "memory" in module else made)
    return made


class Unread:
    """A body that nobody may begin to read."""

    def read(self, *_: object) -> bytes:
        """Fail."""
        raise AssertionError("the body was read")

    readline = read

    def __iter__(self) -> Iterator[bytes]:
        raise AssertionError("the body was read")


def told(answer: TestResponse) -> tuple[int, str | None, str | None]:
    """The status, the policy, and what is left of it."""
    left = answer.headers.get("RateLimit")
    return answer.status_code, answer.headers.get("RateLimit-Policy"), left.rpartition(";")[0] if left else None


def set_rate(rate: int | None) -> None:
    """Give the one client there is this rate."""
    with transaction():
        change_rate(operator_actor(), db.session.query(ServiceClient.id).scalar(), rate)


def caller(app: Doorward, name: str) -> Machine:
    """An account with an access token."""
    account = make_account(name)
    with transaction():
        family, _ = begin_family(account, address=None, device="", method="password", proven=True)
        token = make_access_token(account.id, kind=account.kind, scope=ACCOUNT_SCOPE, family_id=family.id)
    return Machine(app.test_client(), token)


def test_a_client_with_a_rate_has_so_many_calls_a_minute_by_whichever_token(
    app: Doorward, machine: Callable[..., Machine], moment: Moment
) -> None:
    gate = machine("keys:verify", "status:read")
    assert told(gate.post("/keys/verify", {"key": "x"})) == (200, None, None)
    assert told(gate.get("/status-checks")) == (200, None, None)
    set_rate(3)
    policy = '"client";q=3;w=60'
    assert told(gate.post("/keys/verify", {"key": "x"})) == (200, policy, '"client";r=2')
    assert told(gate.get("/nothing"))[0] == 404
    client_id = db.session.query(ServiceClient.id).scalar()
    token = make_access_token(client_id, kind="client", scope="keys:verify", client_id=client_id)
    signed = Machine(gate.client, token)
    assert told(signed.post("/keys/verify", {})) == (422, policy, '"client";r=1')
    assert told(gate.post("/usage/consume", {})) == (403, policy, '"client";r=0')
    for one in (gate, signed):
        unread = {"wsgi.input": Unread(), "CONTENT_LENGTH": "99"}
        refused = one.client.post(
            VERIFY, headers=one.headers(), content_type="application/json", environ_overrides=unread
        )
        assert told(refused) == (429, policy, '"client";r=0')
        assert refused.get_json()["code"] == "RATE_LIMITED"
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert refused.headers["RateLimit"].endswith(f";t={refused.headers['Retry-After']}")
    moment.at += 50  # 20 seconds into the next minute: two thirds of the calls of before still count
    assert told(gate.get("/status-checks")) == (200, policy, '"client";r=0')
    assert gate.get("/status-checks").status_code == 429
    set_rate(None)
    assert told(gate.post("/keys/verify", {"key": "x"})) == (200, None, None)
    changes = db.session.query(AuditEntry.facts).filter_by(event="client.rate_changed").order_by(AuditEntry.at)
    facts = [{"name": "gate", "from": None, "to": 3}, {"name": "gate", "from": 3, "to": None}]
    assert [one for (one,) in changes] == facts


def test_a_rate_is_a_number_that_means_something(machine: Callable[..., Machine]) -> None:
    machine()
    for rate in (0, -1, 10**6 + 1, 10**30):
        with pytest.raises(Invalid):
            set_rate(rate)
    with pytest.raises(NotFound), transaction():
        change_rate(operator_actor(), new_id(), 5)


@pytest.mark.parametrize("setting", [{"api_rate_per_minute": 2, "api_address_rate_per_minute": 2}])
def test_accounts_and_addresses_are_counted_each_for_itself(app: Doorward, moment: Moment) -> None:
    alice, bob = caller(app, "alice"), caller(app, "bob")
    for one in (alice, bob):
        answers = [one.get("/status-checks") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [403, 403, 429]
        assert told(answers[0])[1:] == ('"account";q=2;w=60', '"account";r=1')
    form = {"grant_type": "nothing"}
    for address in ("192.0.2.1", "2001:db8::1", "2001:db8:0:1::1"):
        near = [address, address, "2001:db8::2" if address == "2001:db8::1" else address]
        answers = [
            app.test_client().post("/api/v1/auth/token", data=form, environ_base={"REMOTE_ADDR": one}) for one in near
        ]
        assert [answer.status_code for answer in answers] == [400, 400, 429]
        assert answers[2].get_json()["error"] == "temporarily_unavailable"
        assert told(answers[2])[1:] == ('"address";q=2;w=60', '"address";r=0')
        assert answers[2].headers["Retry-After"]


@pytest.mark.parametrize("setting", [{"api_rate_per_minute": 0, "api_address_rate_per_minute": 0}])
def test_without_a_bound_nothing_is_counted(app: Doorward) -> None:
    assert told(caller(app, "alice").get("/status-checks")) == (403, None, None)
    assert told(app.test_client().post("/api/v1/auth/token", data={"grant_type": "x"})) == (400, None, None)


def test_redis_counts_for_all_and_its_end_stops_nobody(
    request: pytest.FixtureRequest, tmp_path: Path, compiled_templates: FileSystemBytecodeCache
) -> None:
    with fresh_database(request, "sqlite", tmp_path) as url, keeping_valkey(tmp_path / "valkey") as valkey:
        given = settings_for(url, tmp_path, {"redis_url": valkey.url, "api_rate_per_minute": 4})
        with running_app(given, compiled_templates) as first:
            alice = caller(first, "alice")
            others = [Machine(create_app(given).test_client(), alice.token) for _ in range(2)]
            all_three = [alice, *others]
            left = [one.get("/status-checks").headers["RateLimit"].split(";")[1] for one in all_three]
            assert left == ["r=3", "r=2", "r=1"]
            valkey.freeze()
            assert [one.get("/status-checks").status_code for one in all_three] == [403] * 3
            valkey.kill()
            assert [one.get("/status-checks").status_code for one in all_three * 3] == [403] * 9
            assert {one.get("/status-checks").status_code for one in all_three} == {429}
