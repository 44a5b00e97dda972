"""Where a form may lead: to a path of this site, judged as browsers read addresses."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.web.forms import local_target
from tests.redirects import AWAY, HERE

BASE = "https://desk.example.org/sign-in"


def as_browsers_do(target: str) -> str:
    """The host of an address by the WHATWG rules that matter here: blanks are dropped, backslashes are slashes."""
    plain = "".join(char for char in target.strip("".join(map(chr, range(33)))) if char not in "\t\r\n")
    return urlsplit(urljoin(BASE, plain.replace("\\", "/"))).netloc


def test_there_are_a_hundred_ways_to_lead_astray() -> None:
    assert len(set(AWAY)) >= 100


@pytest.mark.parametrize("wanted", AWAY)
def test_nobody_is_led_away(wanted: str) -> None:
    target = local_target(wanted, "/home")
    assert target == "/home" or (target.startswith("/") and as_browsers_do(target) == "desk.example.org")
    assert not target.startswith(("//", "/\\"))


@pytest.mark.parametrize("wanted", HERE)
def test_a_path_of_this_site_is_led_to_as_it_stands(wanted: str) -> None:
    assert local_target(wanted, "/home") == wanted


@pytest.mark.parametrize("wanted", [None, "", "account", "?a=b", "#top"])
def test_what_is_no_path_leads_home(wanted: str | None) -> None:
    assert local_target(wanted, "/home") == "/home"


@given(st.text(alphabet=st.sampled_from([*"/\\:@?#.% \t\r\n\0ab", "\u3002", "\uff0f"]), max_size=20))
def test_whatever_is_made_up_stays_here(wanted: str) -> None:
    target = local_target(wanted, "/home")
    assert as_browsers_do(target) == "desk.example.org"
    assert target.isprintable() or target == "/home"
