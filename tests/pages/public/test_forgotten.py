"""/forgotten and /reset: neutral, and spent by the POST alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.pages.public.conftest import path_in
from tests.people import make_account
from tests.visitor import Visitor

Letters = Callable[[], list[tuple[str, str]]]
pytestmark = pytest.mark.parametrize("setting", [{"smtp_url": "console"}])
FRESH = "nine loud trumpets 77"


def test_the_answer_is_the_same_for_known_and_unknown(visitor: Visitor, letters: Letters) -> None:
    make_account("alice")
    make_account("sid", state="suspended")
    names = ("alice", "alice@example.org", "nobody-here", "sid", "nobody@example.org")
    pages = [visitor.send(visitor.get("/forgotten"), {"name": name}) for name in names]
    assert {(page.status, page.text) for page in pages} == {(200, pages[0].text)}
    assert [address for address, _ in letters()] == ["alice@example.org"] * 2


def test_the_mailed_link_sets_a_password_once(browser: Callable[[str], Visitor], letters: Letters) -> None:
    make_account("alice")
    alice, stranger = browser("alice"), browser("nobody")
    stranger.send(stranger.get("/forgotten"), {"name": "alice"})
    path = path_in(letters()[0][1], "reset")
    page = stranger.get(path)
    assert stranger.send(page, {"password": FRESH, "again": "other"}).status == 422
    assert stranger.send(page, {"password": "short", "again": "short"}).status == 422
    assert alice.get("/account").path == "/account"  # nothing is spent yet
    assert stranger.send(page, {"password": FRESH, "again": FRESH}).path == "/sign-in"
    assert stranger.get(path).status == 404
    assert alice.get("/account").path == "/sign-in"
    assert stranger.sign_in("alice", FRESH).path == "/account"
