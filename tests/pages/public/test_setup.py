"""/setup/<token>: the first admin, once."""

from __future__ import annotations

import pytest

from portal.core.database import transaction
from portal.signin.first_admin import offer_setup
from portal.web.frame import Doorward
from tests.people import PASSWORD
from tests.visitor import Visitor

TYPED = {"username": "root", "email": "root@example.org", "password": PASSWORD}


@pytest.fixture
def link(app: Doorward) -> str:
    """The link that the first start prints."""
    with transaction():
        path = offer_setup()
    assert path
    return path


def test_the_link_makes_one_full_admin_and_no_second(link: str, visitor: Visitor) -> None:
    page = visitor.get(link)
    assert visitor.send(page, {**TYPED, "password": "twelve chars"}).status == 422
    assert visitor.send(page, TYPED).path == "/sign-in"
    assert visitor.get(link).status == 404
    assert visitor.sign_in("root").path == "/admin"
    assert visitor.get("/admin/admins").status == 200
    assert offer_setup() is None


def test_a_guessed_link_is_not_there(link: str, visitor: Visitor) -> None:
    assert visitor.get(link[:-1]).status == 404
    assert visitor.get("/setup/nonsense").status == 404
