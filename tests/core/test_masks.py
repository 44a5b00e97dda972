"""Masks hold no more than first letters, whatever they are given."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.masks import DOTS, mask_address, mask_email

WORD = st.text(st.characters(exclude_characters="@.•", exclude_categories=["C", "Z"]), min_size=1, max_size=64)


@pytest.mark.parametrize(
    ("email", "masked"),
    [
        ("alice@example.org", "a•••@e•••.org"),
        ("alice@mail.example.co.uk", "a•••@m•••.uk"),
        ("a@b.org", "a•••@b•••.org"),
        ("", ""),
        ("alice", "•••"),
        ("root@localhost", "r•••@l•••"),
    ],
)
def test_an_email_keeps_first_letters_and_its_ending(email: str, masked: str) -> None:
    assert mask_email(email) == masked


@given(WORD, st.lists(WORD, min_size=1, max_size=4), WORD)
def test_an_email_shows_one_letter_of_each_side(local: str, labels: list[str], ending: str) -> None:
    masked = mask_email(f"{local}@{'.'.join(labels)}.{ending}")
    assert masked == f"{local[0]}{DOTS}@{labels[0][0]}{DOTS}.{ending}"


@given(WORD, WORD)
def test_a_domain_without_a_dot_is_not_its_own_ending(local: str, domain: str) -> None:
    assert mask_email(f"{local}@{domain}") == f"{local[0]}{DOTS}@{domain[0]}{DOTS}"


@given(st.text(max_size=80))
def test_any_text_is_masked_without_a_fault(text: str) -> None:
    assert DOTS in mask_email(text) or text == ""
    assert mask_email(text).count("@") <= text.count("@")


@given(st.ip_addresses(v=4))
def test_an_address_keeps_its_first_half(address: ipaddress.IPv4Address) -> None:
    first, second, _, _ = str(address).split(".")
    assert mask_address(str(address)) == f"{first}.{second}.{DOTS}"


@given(st.ip_addresses(v=6))
def test_a_long_address_keeps_two_of_its_eight_parts(address: ipaddress.IPv6Address) -> None:
    masked = mask_address(str(address))
    assert masked.endswith(DOTS)
    shown = [part for part in masked.removesuffix(DOTS).split(":") if part]
    assert shown == [part for part in str(address).split(":")[:2] if part]


def test_no_address_is_no_address() -> None:
    assert mask_address("") == ""
