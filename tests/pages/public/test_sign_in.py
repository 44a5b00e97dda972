"""/sign-in and /sign-out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from portal.web.frame import Doorward
from tests.people import PASSWORD, make_account
from tests.visitor import Visitor

Browser = Callable[[str], Visitor]


@pytest.mark.parametrize(("name", "home"), [("alice", "/account"), ("tess", "/staff"), ("ada", "/admin")])
def test_each_kind_lands_at_its_own_home(name: str, home: str, visitor: Visitor) -> None:
    make_account(name)
    assert visitor.sign_in(f" {name.upper()}@example.ORG").path == home
    assert visitor.get("/").path == home
    assert visitor.get("/sign-in").path == home
    visitor.sign_out()
    assert visitor.get("/account").path == "/sign-in"


def test_unknown_wrong_and_invited_look_the_same(visitor: Visitor) -> None:
    make_account("alice")
    make_account("ivy", state="invited", password_hash=None)
    texts = set()
    for name, password in (("alice", "wrong"), ("nobody-here", PASSWORD), ("ivy", PASSWORD)):
        page = visitor.sign_in(name, password)
        assert page.status == 422
        assert PASSWORD not in page.html
        texts.add(page.text)
    assert len(texts) == 1


TARGETS = [
    ("/account/keys", "/account/keys"),
    ("/account/keys?q=1", "/account/keys?q=1"),
    ("https://evil.example", "/account"),
    ("//evil.example", "/account"),
    ("/\\evil.example", "/account"),
    ("\\\\evil.example", "/account"),
    ("/%09/evil.example", "/%09/evil.example"),
    ("/\t/evil.example", "/account"),
    ("/\n//evil.example", "/account"),
    (" //evil.example", "/account"),
    ("javascript:alert(1)", "/account"),
    ("account", "/account"),
    ("http:/evil.example", "/account"),
    ("///evil.example", "/account"),
    ("/a\\@evil.example", "/account"),
    ("", "/account"),
]


def test_one_lands_on_this_site_only(app: Doorward) -> None:
    make_account("alice")
    for wanted, lands in TARGETS:
        visitor = Visitor(app.test_client())
        page = visitor.get("/sign-in", query_string={"next": wanted})
        entered = visitor.send(page, {"name": "alice", "password": PASSWORD}, follow=False)
        assert entered.response.location == lands, wanted


def test_signing_out_needs_the_form(browser: Browser) -> None:
    make_account("alice")
    alice = browser("alice")
    assert alice.get("/sign-out").status == 405
    assert alice.post("/sign-out").status == 400
    assert alice.get("/account").path == "/account"
