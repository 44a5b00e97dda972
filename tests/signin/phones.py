"""Phones with an authenticator app, as the tests hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyotp
from sqlalchemy import select

from portal.accounts.models import Account
from portal.core import clock
from portal.core.database import db, transaction
from portal.signin.authenticator import STEP_S, begin_authenticator, begun_authenticator, confirm_authenticator
from tests.people import actor_named, make_account

if TYPE_CHECKING:
    from tests.visitor import SeenPage, Visitor


@dataclass
class Phone:
    """An app that was given a seed."""

    seed: str

    def code(self, steps: int = 0) -> str:
        """The code that it shows, by the clock of this process; of so many steps later with `steps`."""
        return pyotp.TOTP(self.seed).generate_otp(int(clock.now().timestamp()) // STEP_S + steps)

    def wrong_code(self) -> str:
        """Six digits that it shows at no time near now."""
        near = {self.code(steps) for steps in range(-3, 4)}
        return next(code for code in (f"{number:06}" for number in range(10)) if code not in near)


def enrol(name: str) -> tuple[Phone, list[str]]:
    """Set up an app for this person by the verbs; answers it and the recovery codes. Uses up the present step."""
    with transaction():
        step = begin_authenticator(actor_named(name))
    with transaction():
        phone = Phone(begun_authenticator(actor_named(name), step).seed)
        codes = confirm_authenticator(actor_named(name), step, phone.code()).codes
    return phone, codes


def make_enrolled(name: str, **columns: object) -> tuple[Phone, list[str]]:
    """Make a person with an app, whose next code is that of the next step."""
    make_account(name, **columns)
    return enrol(name)


def account_of(name: str) -> Account:
    """The person's record as it is now."""
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalars(select(Account).where(Account.username_canonical == name)).one()


def set_up(visitor: Visitor, next_to: str = "") -> tuple[Phone, SeenPage]:
    """Set up an app through the pages; answers it and the page that came of it."""
    place = "/account/security/authenticator"
    page = visitor.send(visitor.get(place + next_to), to=place)
    assert page.path == f"{place}/confirm", page.text
    phone = Phone(page.code("seed"))
    return phone, visitor.send(page, {"code": phone.code()})
