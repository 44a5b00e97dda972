"""Addresses as something to count by."""

from __future__ import annotations

import pytest

from portal.core.addresses import neighbourhood


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"), ("::1", "::/64"), ("fe80::1%eth0", "fe80::/64"),
        ("", ""), (None, ""), ("unknown", "unknown"),
    ],
)  # fmt: skip
def test_ipv4_counts_alone_and_ipv6_by_what_one_subscriber_has(address: str | None, counted: str) -> None:
    assert neighbourhood(address) == counted
