"""A key bound to networks, asked about itself from behind no, one and two proxies, with headers that lie."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from portal.core.database import db, transaction
from portal.keys.models import ApiKey
from portal.usage.rates import forget_rates
from portal.web.frame import Doorward
from tests.people import make_account
from tests.servers import running_server

INSIDE, OUTSIDE = "203.0.113.7", "198.51.100.9"
BEHIND = [pytest.param({"trusted_proxies": count}, id=f"{count}-proxies") for count in range(3)]


@pytest.fixture
def key(app: Doorward, key_of: Callable[..., str]) -> str:
    """A key that works from one network only."""
    made = key_of(make_account("alice"))
    with transaction():
        db.session.scalars(select(ApiKey)).one().networks = ["203.0.113.0/24", "2001:db8:1::/48"]
    return made


def code(client: FlaskClient, key: str, chain: str | None, peer: str = OUTSIDE, **headers: str) -> str:
    """What the key hears about itself when this chain of forwarding comes from this peer."""
    sent = {"X-API-Key": key, **({} if chain is None else {"X-Forwarded-For": chain}), **headers}
    answer = client.get("/api/v1/keys/self", headers=sent, environ_base={"REMOTE_ADDR": peer})
    assert answer.status_code == 200, answer.text
    said: str = answer.get_json()["code"]
    return said


@pytest.mark.parametrize("setting", BEHIND)
def test_only_what_the_trusted_proxies_added_counts(app: Doorward, key: str, setting: dict[str, int]) -> None:
    client, count = app.test_client(), setting["trusted_proxies"]
    hops = ["192.0.2.1"] * (count - 1)  # what the further proxies add behind the client's own address
    real = ", ".join([INSIDE, *hops]) if count else None
    forged = ", ".join([OUTSIDE, *hops]) if count else None
    peer = "192.0.2.2" if count else INSIDE
    assert code(client, key, real, peer) == "VALID"
    for lie in (INSIDE, f"{INSIDE}, {INSIDE}", f"{INSIDE}, {INSIDE}, {INSIDE}", "nonsense", "", ",,,"):
        told = lie if forged is None else f"{lie}, {forged}"
        assert code(client, key, told, "192.0.2.2" if count else OUTSIDE) == "IP_NOT_ALLOWED", lie
    others = {"X-Real-IP": INSIDE, "Forwarded": f"for={INSIDE}", "CF-Connecting-IP": INSIDE, "Client-IP": INSIDE}
    assert code(client, key, forged, "192.0.2.2", **others) == "IP_NOT_ALLOWED"


@pytest.mark.parametrize("setting", [{"trusted_proxies": 1}])
@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("2001:db8:1::5", "VALID"), ("[2001:db8:1::5]:443", "VALID"), ("203.0.113.7:5000", "VALID"),
        ("::ffff:203.0.113.7", "VALID"), ("2001:db8:1::5%eth0", "VALID"), ("2001:db8:2::5", "IP_NOT_ALLOWED"),
        ("::ffff:198.51.100.9", "IP_NOT_ALLOWED"), ("203.0.113", "IP_NOT_ALLOWED"),
        ("203.0.113.7/24", "IP_NOT_ALLOWED"),
        ("unknown", "IP_NOT_ALLOWED"), ("_hidden", "IP_NOT_ALLOWED"), ("3405803783", "IP_NOT_ALLOWED"),
        ("0313.0.0161.07", "IP_NOT_ALLOWED"), ("203.0.113.7\u00e9", "IP_NOT_ALLOWED"), (" ", "IP_NOT_ALLOWED"),
    ],
)  # fmt: skip
def test_an_address_is_read_in_every_form_and_nonsense_is_outside(
    app: Doorward, key: str, told: str, expected: str
) -> None:
    assert code(app.test_client(), key, told, INSIDE if told != " " else OUTSIDE) == expected


@pytest.mark.parametrize("setting", [{"trusted_proxies": 1}])
def test_who_hands_in_keys_is_counted_by_the_address_the_proxy_saw(app: Doorward) -> None:
    forget_rates()
    client = app.test_client()

    def hand_in(chain: str) -> int:
        answer = client.post("/api/v1/keys/leaked", json={"key": "dw_none"}, headers={"X-Forwarded-For": chain})
        return answer.status_code

    assert [hand_in(f"192.0.2.{number}, {OUTSIDE}") for number in range(31)] == [202] * 30 + [429]
    assert hand_in(f"{OUTSIDE}, {INSIDE}") == 202
    forget_rates()


@pytest.mark.parametrize("count", [0, 1])
def test_a_real_server_believes_its_own_proxies_only(count: int) -> None:
    with running_server({"TRUSTED_PROXIES": str(count)}) as server, server.caller() as caller:
        lies = {"X-Forwarded-For": f"{INSIDE}, 192.0.2.9", "Content-Type": "application/json"}
        statuses = []
        for number in range(31):
            forged = {**lies, "X-Forwarded-For": f"192.0.2.{number}, {INSIDE if number % 2 else OUTSIDE}"}
            with contextlib.suppress(http.client.HTTPException):
                statuses.append(caller.request("POST", "/api/v1/keys/leaked", b'{"key": "dw_x"}', forged)[0])
        assert (429 in statuses) is (count == 0)
