"""/account/sessions: see and end one's browsers."""

from __future__ import annotations

from collections.abc import Callable

from tests.people import make_account
from tests.visitor import Visitor

ADDRESS = "/account/sessions"


def test_another_browser_is_signed_out_from_here(browser: Callable[[str], Visitor]) -> None:
    make_account("alice")
    here, there = browser("alice"), browser("alice")
    page = here.get(ADDRESS)
    action = next(form.get("action") or "" for form in page.forms() if (form.get("action") or "").endswith("/end"))
    assert "That browser is signed out" in here.send(page, to=action).text
    assert there.get("/account").path == "/sign-in"
    assert here.get("/account").path == "/account"


def test_a_cookie_kept_from_before_signing_out_is_dead(browser: Callable[[str], Visitor]) -> None:
    make_account("alice")
    alice = browser("alice")
    kept = alice.client.get_cookie("doorward")
    assert kept is not None
    assert alice.sign_out().path == "/"
    alice.client.set_cookie("doorward", kept.value)
    assert alice.get("/account").path == "/sign-in"
