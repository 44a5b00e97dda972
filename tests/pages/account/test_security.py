"""/account/security: what opens the account at a glance, and the way to every part of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.people import make_account
from tests.visitor import Visitor

PARTS = ("email", "username", "security/password", "security/passkeys", "security/authenticator", "providers")


@pytest.mark.parametrize("name", ["alice", "tess", "ada"])
def test_every_part_is_one_step_away(name: str, browser: Callable[[str], Visitor]) -> None:
    make_account(name)
    person = browser(name)
    page = person.get("/account/security")
    assert f"{name}@example.org" in page.text
    for part in PARTS:
        (link,) = {link for link in page.links() if link.split("?")[0] in {f"/account/{part}", f"/account/{part}/new"}}
        assert person.get(link).status == 200
    assert "/account/security" in person.get("/account/profile").links()
