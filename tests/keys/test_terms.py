"""The terms of a key: what is kept, and what is refused by name."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.core import clock
from portal.core.errors import Invalid
from portal.core.networks import BadNetwork, network_of
from portal.core.settings import enter, leave, load
from portal.keys.terms import KeyTerms, checked_terms, end_of_day

SCOPED = pytest.mark.parametrize("setting", [{"key_scopes": "chat,embed"}])


@pytest.fixture(autouse=True)
def house(tmp_path: Path, setting: dict[str, Any]) -> Iterator[None]:
    """Settings to go by; no database is asked."""
    enter(load({}, folder=tmp_path, data_dir=tmp_path, **setting))
    yield
    leave()
    clock.shift(timedelta(0))


def refused(**terms: Any) -> dict[str, str]:
    """What is wrong at which field."""
    with pytest.raises(Invalid) as caught:
        checked_terms(KeyTerms(**{"name": "laptop", **terms}))
    return {name: str(words) for name, words in caught.value.fields.items()}


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("192.0.2.7", "192.0.2.7"), (" 192.0.2.7/32 ", "192.0.2.7"), ("192.0.2.0/24", "192.0.2.0/24"),
        ("0.0.0.0/0", "0.0.0.0/0"), ("2001:DB8::/32", "2001:db8::/32"), ("2001:db8:0:0::1", "2001:db8::1"),
        ("::/0", "::/0"), ("::1/128", "::1"), ("::ffff:192.0.2.7", "192.0.2.7"), ("::ffff:c000:207", "192.0.2.7"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"), ("::ffff:0:0/96", "0.0.0.0/0"),
    ],
)  # fmt: skip
def test_a_network_is_kept_in_its_one_form(typed: str, kept: str) -> None:
    assert network_of(typed) == kept == network_of(kept)


@pytest.mark.parametrize(
    "typed",
    [
        "", " ", "nonsense", "192.0.2", "192.0.2.256", "192.0.2.7/33", "192.0.2.7/-1", "192.0.2.7/", "/24",
        "192.0.2.0/", "010.0.0.1", "192.0.2.0/255.255.255.0", "192.0.2.0/0.0.0.255", "2001:db8::/129", "2001:db8:::1",
        "fe80::1%eth0", "3232235521", "0xC0000207", "192.0.2.7:443", "[2001:db8::1]", "example.org", "*", "192.0.2.*",
        "192.0.2.1-9", "\uff11\uff19\uff12.0.2.7", "192.0.2.7\0", "192.0.2.7 192.0.2.8", "192.0.2.0/\u0968\u096a",
        "x" * 100_000,
    ],
    ids=lambda typed: repr(typed)[:30],
)  # fmt: skip
def test_nonsense_is_refused_by_its_name(typed: str) -> None:
    assert typed.strip()[:60] in refused(networks=("192.0.2.1", typed))["networks"]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("192.0.2.7/24", ("192.0.2.0/24", "192.0.2.7")),
        ("2001:db8::1/32", ("2001:db8::/32", "2001:db8::1")),
        ("::ffff:192.0.2.7/120", ("192.0.2.0/24", "192.0.2.7")),
    ],
)
def test_an_address_with_the_bits_of_its_network_may_mean_either(typed: str, offered: tuple[str, str]) -> None:
    said = refused(networks=(typed,))["networks"]
    assert all(network in said for network in (typed, *offered))


@settings(max_examples=200, deadline=None, database=None)
@given(st.ip_addresses(), st.integers(0, 128))
def test_every_true_network_is_kept_as_itself(address: Any, bits: int) -> None:
    network = ipaddress.ip_network((address, min(bits, address.max_prefixlen)), strict=False)
    kept = ipaddress.ip_network(network_of(str(network)))
    inside = getattr(network.network_address, "ipv4_mapped", None)
    assert kept.num_addresses == network.num_addresses
    assert kept.network_address == (inside or network.network_address)


@settings(max_examples=300, deadline=None, database=None)
@given(st.text(max_size=60))
def test_whatever_is_typed_is_a_network_or_refused(typed: str) -> None:
    try:
        ipaddress.ip_network(network_of(typed))
    except BadNetwork as error:
        assert str(error)


def test_as_many_networks_as_there_may_be() -> None:
    fifty = tuple(f"192.0.2.{number}" for number in range(50))
    assert checked_terms(KeyTerms("laptop", networks=(*fifty, "192.0.2.1"))).networks == fifty
    assert "50" in refused(networks=(*fifty, "192.0.2.99"))["networks"]


@pytest.mark.parametrize("scope", ["chat", "a", "7", "chat:read", "m-1.large_x", "a" * 40])
def test_a_scope_is_a_word(scope: str) -> None:
    assert checked_terms(KeyTerms("laptop", (scope, scope))).scopes == (scope,)


@pytest.mark.parametrize(
    "scope", ["", " ", "Chat", ":chat", "chat read", "chät", "a" * 41, "chat\n", "chat\0", "<b>", "chat,embed", "*"]
)
def test_other_scopes_are_refused_by_name(scope: str) -> None:
    assert scope in refused(scopes=("chat", scope))["scopes"]


def test_as_many_scopes_as_there_may_be() -> None:
    twenty = tuple(f"scope{number}" for number in range(20))
    assert checked_terms(KeyTerms("laptop", twenty)).scopes == twenty
    assert "20" in refused(scopes=(*twenty, "more"))["scopes"]


@SCOPED
def test_only_scopes_that_the_service_has() -> None:
    assert checked_terms(KeyTerms("laptop", ("embed", "chat"))).scopes == ("embed", "chat")
    said = refused(scopes=("chat", "read"))["scopes"]
    assert "read" in said
    assert "chat, embed" in said


@SCOPED
def test_a_scope_that_is_offered_no_more_may_stay_but_not_come_back() -> None:
    held = KeyTerms("laptop", ("old", "chat"))
    assert checked_terms(KeyTerms("desk", ("old",)), held).scopes == ("old",)
    with pytest.raises(Invalid):
        checked_terms(KeyTerms("laptop", ("old", "older")), held)


@pytest.mark.parametrize("limit", [None, 0, 1, 1_000_000])
def test_an_own_limit_within_bounds(limit: int | None) -> None:
    assert checked_terms(KeyTerms("laptop", daily_limit=limit)).daily_limit == limit


@pytest.mark.parametrize("limit", [-1, 1_000_001, 2**53, 2**63, 1.5, 1e308, float("nan"), "5", True, [1]], ids=repr)
def test_other_limits_are_refused(limit: Any) -> None:
    assert set(refused(daily_limit=limit)) == {"daily_limit"}


def test_an_end_is_ahead_and_within_ten_years() -> None:
    now = clock.now()
    for span in (timedelta(seconds=5), timedelta(days=3652)):
        assert checked_terms(KeyTerms("laptop", expires_at=now + span)).expires_at == now + span
    for span in (timedelta(0), timedelta(days=-1), timedelta(days=3660), timedelta(days=365 * 900)):
        assert set(refused(expires_at=now + span)) == {"expires_at"}


def test_an_end_that_stands_is_not_asked_for_again() -> None:
    past = clock.now() - timedelta(days=1)
    held = KeyTerms("laptop", expires_at=past)
    assert checked_terms(KeyTerms("desk", expires_at=past), held).expires_at == past


@pytest.mark.parametrize(
    ("day", "zone", "end"),
    [
        (date(2031, 5, 10), "UTC", "2031-05-11T00:00:00+00:00"),
        (date(2031, 5, 10), "Europe/Berlin", "2031-05-11T00:00:00+02:00"),
        (date(2031, 5, 10), "Pacific/Kiritimati", "2031-05-11T00:00:00+14:00"),
    ],
)
def test_a_day_ends_at_midnight_where_the_owner_lives(day: date, zone: str, end: str) -> None:
    clock.shift(datetime.fromisoformat("2031-01-01T00:00:00+00:00") - clock.now())
    assert end_of_day(day, zone) == datetime.fromisoformat(end)


@pytest.mark.parametrize("day", [date.min, date(1970, 1, 1), date(2300, 1, 1), date.max])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Niue"])
def test_an_absurd_day_is_refused_like_any_other(day: date, zone: str) -> None:
    assert set(refused(expires_at=end_of_day(day, zone))) == {"expires_at"}


def test_everything_wrong_is_told_at_once() -> None:
    bad = {"name": " ", "scopes": ("A",), "networks": ("x",), "daily_limit": -1, "expires_at": clock.now()}
    assert set(refused(**bad)) == set(bad)
