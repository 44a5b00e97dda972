"""Changing an e-mail address through the pages, for the tests of it."""

from __future__ import annotations

from sqlalchemy import select

from portal.accounts.models import Account
from portal.core.database import db
from portal.web.frame import Doorward
from tests.letters import the_letter
from tests.visitor import SeenPage, Visitor

NEW = "alice@new.example"
OLD = "alice@example.org"


def ask(visitor: Visitor, email: str = NEW) -> SeenPage:
    """Ask for another address through the page."""
    return visitor.send(visitor.get("/account/email"), {"email": email})


def stranger(app: Doorward) -> Visitor:
    """Somebody with another browser, signed in nowhere."""
    return Visitor(app.test_client())


def use(visitor: Visitor, path: str) -> SeenPage:
    """Open a mailed link and press its button."""
    return visitor.send(visitor.get(path))


def move(visitor: Visitor, email: str = NEW) -> None:
    """Change the address of who is signed in."""
    assert ask(visitor, email).status == 200
    assert use(visitor, the_letter("new_email", to=email).path).path == "/account/email"


def addresses(name: str = "alice") -> tuple[str | None, str | None, bool]:
    """The address of an account, as shown and compared, and whether it is confirmed."""
    db.session.expire_all()
    account = db.session.scalars(select(Account).where(Account.username_canonical == name)).one()
    return account.email, account.email_canonical, account.email_verified_at is not None
