"""People of the tests with passkeys, and browsers that answer for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from portal.accounts.models import Account
from portal.core import clock
from portal.core.database import db, transaction
from portal.core.ids import new_id
from portal.signin.factors import note_factors
from portal.signin.models import Passkey
from portal.signin.passkeys import challenge_new, check_new
from tests.people import make_account
from tests.software_key import SoftwareKey

if TYPE_CHECKING:
    from tests.visitor import SeenPage, Visitor


def give_passkey(name: str, key: SoftwareKey | None = None, **columns: object) -> tuple[Account, SoftwareKey]:
    """A person with a passkey."""
    account, key = make_account(name, **columns), key or SoftwareKey()
    add_key(account, key)
    return account, key


def add_key(account: Account, key: SoftwareKey, name: str = "test key") -> Passkey:
    """One more passkey of a person, through a registration."""
    with transaction():
        challenge = challenge_new(account)
    with transaction():
        made = check_new(challenge.secret, key.make(challenge.options), account=account)
        passkey = Passkey(
            id=new_id(),
            account_id=account.id,
            credential_id=made.credential_id,
            public_key=made.public_key,
            sign_count=made.sign_count,
            name=name,
            transports=made.transports,
            created_at=clock.now(),
        )
        db.session.add(passkey)
        note_factors(db.session.get_one(Account, account.id))
    return passkey


def options_of(visitor: Visitor, page: SeenPage, form_to: str) -> dict[str, Any]:
    """The options that the script asks for, for the form of this page that posts to `form_to`."""
    form = page.form_to(form_to)
    token = next(one for one in form.iter("input") if one.get("name") == "csrf_token").get("value") or ""
    answer = visitor.client.post(form.get("data-options") or "", headers={"X-CSRFToken": token})
    assert answer.status_code == 200, answer.text
    assert answer.mimetype == "application/json"
    asked: dict[str, Any] = answer.get_json()
    return asked


def enter(visitor: Visitor, key: SoftwareKey, place: str = "/sign-in", *, follow: bool = True) -> SeenPage:
    """Sign in with the button of the sign-in page."""
    page = visitor.get(place)
    answer = key.sign(options_of(visitor, page, "/sign-in/passkey"))
    return visitor.send(page, {"credential": answer}, to="/sign-in/passkey", follow=follow)
