"""/account/keys: made once, shown once, changed, replaced, revoked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal.core import clock
from portal.core.actor import nobody
from portal.core.database import db, transaction
from portal.keys.leaked import report_leaked
from portal.keys.models import ApiKey, KeyUse
from tests.conftest import Machine
from tests.people import make_account
from tests.visitor import SeenPage, Visitor

Person = Callable[..., Visitor]
NEW = "/account/keys/new"
SCOPED = pytest.mark.parametrize("setting", [{"key_scopes": "chat,embed"}])


def make(visitor: Visitor, name: str = "laptop", **fields: Any) -> SeenPage:
    """Make a key through the form."""
    return visitor.send(visitor.get(NEW), {"name": name, **fields})


def stored() -> ApiKey:
    """The newest key, as it stands now."""
    db.session.expire_all()
    return db.session.scalars(select(ApiKey).order_by(ApiKey.created_at.desc(), ApiKey.id.desc())).all()[0]


def key_page(visitor: Visitor) -> str:
    """The address of the first key in the list."""
    return next(
        link for link in visitor.get("/account/keys").links() if link.startswith("/account/keys/") and link != NEW
    )


def test_a_key_is_shown_once_and_works(person: Person, machine: Callable[..., Machine]) -> None:
    alice = person("alice")
    made = make(alice)
    assert made.status == 201
    secret = made.code("new-key")
    assert secret in made.code("verify-line")
    assert machine().post("/keys/verify", {"key": secret}).get_json()["valid"]
    listed = alice.get("/account/keys")
    assert secret[:10] in listed.text
    assert secret not in listed.html + alice.get(key_page(alice)).html + alice.get("/account").html


TERMS = {
    "scopes": "chat, embed",
    "networks": "192.0.2.0/24\n2001:db8::/32\n::ffff:198.51.100.7",
    "daily_limit": "7",
    "expires_at": "30",
}


def test_a_key_is_made_with_all_its_terms_and_they_hold(person: Person, machine: Callable[..., Machine]) -> None:
    alice = person("alice")
    secret = make(alice, **TERMS).code("new-key")
    key = stored()
    assert (key.scopes, key.daily_limit) == (["chat", "embed"], 7)
    assert key.networks == ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"]
    assert key.expires_at is not None
    assert abs(key.expires_at - key.created_at - timedelta(days=30)) < timedelta(seconds=5)
    gate = machine()

    def code(**asked: Any) -> str:
        return str(gate.post("/keys/verify", {"key": secret, **asked}).get_json()["code"])

    assert code(ip="192.0.2.9", scopes=["chat"]) == "VALID"
    assert code(ip="203.0.113.1", scopes=["chat"]) == "IP_NOT_ALLOWED"
    assert code(ip="192.0.2.9", scopes=["admin"]) == "SCOPE_MISSING"
    assert "Conversations today 1 of 7" in alice.get(key_page(alice)).text


def test_a_day_given_counts_and_ends_at_midnight_where_one_lives(person: Person) -> None:
    clock.shift(clock.now().replace(year=2031, month=5, day=1) - clock.now())
    alice = person("alice", time_zone="Europe/Berlin")
    assert make(alice, last_day="2031-05-10", expires_at="365").status == 201
    expires_at = stored().expires_at
    assert expires_at is not None
    assert expires_at.isoformat() == "2031-05-10T22:00:00+00:00"
    assert "11 May 2031, 00:00" in alice.get(key_page(alice)).text


BAD = [
    ("name", {"name": " "}, "name"),
    ("name", {"name": "n" * 61}, "longer than"),
    ("scopes", {"scopes": "chat Chat"}, "“Chat” is no scope"),
    ("scopes", {"scopes": " ".join(f"s{number}" for number in range(21))}, "At most 20"),
    ("networks", {"networks": "10.0.0.0/8\nnonsense"}, "“nonsense” is no address"),
    ("networks", {"networks": "10.0.0.1/8"}, "10.0.0.0/8 for all of it"),
    ("networks", {"networks": "10.0.0.0/33"}, "“10.0.0.0/33” is no address"),
    ("daily_limit", {"daily_limit": "-1"}, "from 0 to 1,000,000"),
    ("daily_limit", {"daily_limit": "1.5"}, "plain digits"),
    ("daily_limit", {"daily_limit": "1000001"}, "from 0 to 1,000,000"),
    ("daily_limit", {"daily_limit": str(2**63)}, "from 0 to 1,000,000"),
    ("daily_limit", {"daily_limit": "1e308"}, "plain digits"),
    ("daily_limit", {"daily_limit": "9" * 400}, "plain digits"),
    ("last_day", {"last_day": "soon"}, "Not a valid date"),
    ("expires_at", {"last_day": "2001-01-01"}, "past already"),
    ("expires_at", {"last_day": "9999-12-31"}, "10 years"),
    ("expires_at", {"expires_at": "forever"}, "Not a valid choice"),
    ("expires_at", {"expires_at": "keep"}, "Not a valid choice"),
]


def test_what_is_wrong_is_told_beside_its_field_and_nothing_is_made(person: Person) -> None:
    alice = person("alice")
    blank = alice.get(NEW)
    for field, typed, said in BAD:
        page = alice.send(blank, {"name": "laptop", **typed})
        assert page.status == 422, typed
        assert said in page.code(f"{field}-error"), typed
    assert db.session.scalars(select(ApiKey)).all() == []
    assert make(alice).status == 201
    address = key_page(alice)
    shown = alice.get(address)
    for _, typed, _ in BAD:
        if "keep" not in typed.values():
            assert alice.send(shown, typed, to=address).status == 422, typed
    assert (stored().version, stored().name) == (1, "laptop")


@SCOPED
def test_where_the_service_says_its_scopes_they_are_ticked(person: Person) -> None:
    alice = person("alice")
    assert make(alice, scopes=["chat"]).status == 201
    assert stored().scopes == ["chat"]
    assert make(alice, scopes=["admin"]).status == 422
    address = key_page(alice)
    alice.send(alice.get(address), {"scopes": ["chat", "embed"]}, to=address)
    assert stored().scopes == ["chat", "embed"]


def test_a_key_is_changed_and_what_is_left_alone_stays(person: Person) -> None:
    alice = person("alice")
    make(alice, **TERMS)
    before = stored().expires_at
    address = key_page(alice)
    page = alice.send(alice.get(address), {"name": "<b>night & day</b>", "daily_limit": ""}, to=address)
    assert page.title.startswith("<b>night & day")
    key = stored()
    assert (key.expires_at, key.scopes, key.daily_limit) == (before, ["chat", "embed"], None)
    alice.send(alice.get(address), {"expires_at": "never", "scopes": "", "networks": ""}, to=address)
    key = stored()
    assert (key.expires_at, key.scopes, key.networks) == (None, [], [])


def test_of_two_who_change_a_key_the_second_is_told(person: Person) -> None:
    alice = person("alice")
    make(alice)
    address = key_page(alice)
    first, second = alice.get(address), alice.get(address)
    alice.send(first, {"name": "first"}, to=address)
    refused = alice.send(second, {"name": "second"}, to=address)
    assert refused.status == 422
    assert "changed in the meantime" in refused.text
    assert stored().name == "first"


def test_a_key_is_replaced_and_both_are_good_for_a_while(person: Person, machine: Callable[..., Machine]) -> None:
    alice, gate = person("alice"), machine()
    old = make(alice).code("new-key")
    address = key_page(alice)
    made = alice.send(alice.get(f"{address}/rotate"), {"overlap_s": "3600"}, to=f"{address}/rotate")
    assert made.status == 201
    new = made.code("new-key")
    assert old[:10] in made.text
    codes = [gate.post("/keys/verify", {"key": key}).get_json()["code"] for key in (old, new)]
    assert codes == ["VALID", "VALID"]
    assert "Replaced Ends in" in alice.get("/account/keys").text
    clock.shift(timedelta(hours=1, seconds=1))
    codes = [gate.post("/keys/verify", {"key": key}).get_json()["code"] for key in (old, new)]
    assert codes == ["KEY_EXPIRED", "VALID"]


def test_a_key_is_replaced_once(person: Person) -> None:
    alice = person("alice")
    make(alice)
    ask = f"{key_page(alice)}/rotate"
    page = alice.get(ask)
    assert alice.send(page, {"overlap_s": "0"}, to=ask).status == 201
    again = alice.send(page, {"overlap_s": "0"}, to=ask)
    assert again.status == 422
    assert "cannot be replaced any more" in again.text
    assert alice.send(page, {"overlap_s": "77"}, to=ask).status == 422
    assert len(db.session.scalars(select(ApiKey)).all()) == 2


def test_who_still_calls_with_the_old_key_stands_on_its_page(person: Person) -> None:
    alice = person("alice")
    make(alice)
    address = key_page(alice)
    alice.send(alice.get(f"{address}/rotate"), to=f"{address}/rotate")
    assert "Nobody called with it since" in alice.get(address).text
    now = clock.now()
    old = db.session.scalars(select(ApiKey).where(ApiKey.replaced_by.is_not(None))).one()
    with transaction():
        use = {"client_name": "nightly gate", "address": "192.0.2.7", "count": 1234}
        db.session.add(KeyUse(key_id=old.id, first_at=now, last_at=now, **use))
    page = alice.get(address)
    assert "nightly gate 192.0.2.7 1,234" in page.text
    (successor,) = [link for link in page.links() if link.endswith(str(old.replaced_by))]
    assert address in alice.get(successor).links()


def test_a_leaked_key_is_told_of_on_its_page_and_in_the_list(person: Person) -> None:
    alice = person("alice")
    secret = make(alice, "night job").code("new-key")
    address = key_page(alice)
    with transaction():
        report_leaked(nobody("198.51.100.9"), secret)
    listed = alice.get("/account/keys")
    assert "found your key “night job” in the open" in listed.text
    assert "No key in use" in listed.text
    page = alice.get(address)
    assert "Leaked" in page.title
    assert "handed it in" in page.text
    assert alice.get("/account/keys?show=ended").text.count("night job") >= 1


def test_a_key_that_ends_soon_says_so(person: Person) -> None:
    alice = person("alice")
    make(alice, expires_at="7")
    assert "Ends soon" in alice.get("/account/keys").text
    assert "This key ends in" in alice.get(key_page(alice)).text
    address = key_page(alice)
    clock.shift(timedelta(days=7, seconds=1))
    assert alice.get("/account/keys").text.count("laptop") == 0
    assert "Expired" in alice.get("/account/keys?show=ended").text
    assert "has ended" in alice.get(address).text
    alice.prove_again()
    assert "cannot be replaced" in alice.get(f"{address}/rotate").text
    assert "refused already" in alice.get(f"{address}/revoke").text


def test_a_revoked_key_is_refused_and_twice_is_as_good_as_once(person: Person, machine: Callable[..., Machine]) -> None:
    alice = person("alice")
    secret = make(alice).code("new-key")
    ask = f"{key_page(alice)}/revoke"
    page = alice.get(ask)
    assert alice.send(page, to=ask).path == "/account/keys"
    assert machine().post("/keys/verify", {"key": secret}).get_json()["code"] == "KEY_REVOKED"
    assert alice.send(page, to=ask).status == 200
    assert "refused already" in alice.get(ask).text


def test_the_plan_says_how_many_keys_and_a_revoked_one_makes_room(person: Person) -> None:
    alice = person("alice")
    statuses = [make(alice, f"key {number}").status for number in range(30)]
    most = statuses.count(201)
    assert statuses == [201] * most + [422] * (30 - most)
    refused = make(alice)
    assert f"allows {most} keys" in refused.text
    ask = f"{key_page(alice)}/revoke"
    alice.send(alice.get(ask), to=ask)
    assert make(alice).status == 201


def test_a_revoked_key_of_another_user_is_none_of_mine(person: Person, key_of: Callable[..., str]) -> None:
    secret = key_of(make_account("bob"))
    assert secret[:10] not in person("alice").get("/account/keys").html
