"""S014: whatever opens an account is changed with a mail to the address that was on file before."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from sqlalchemy import select

from portal.accounts.lifecycle import edit_user
from portal.accounts.links import Purpose, make_link
from portal.accounts.models import User
from portal.audit.events import EVENTS
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.actor import nobody
from portal.core.database import db, transaction
from portal.keys.leaked import report_leaked
from portal.keys.rotation import rotate_key
from portal.keys.service import change_key, create_key, revoke_key
from portal.keys.terms import KeyTerms
from portal.outside.identities import add_identity, begin_waiting, link_waiting, own_identities, unlink
from portal.outside.providers import provider_named
from portal.outside.tokens import Vouched
from portal.privacy.closing import close_account, take_back_closing
from portal.privacy.disowning import disown
from portal.privacy.kept_email import keep_email
from portal.signin.authenticator import remove_authenticator
from portal.signin.changing import change_password
from portal.signin.email_change import ask_for_email, confirm_email_change
from portal.signin.ending import end_other_sessions
from portal.signin.factor_reset import reset_factors
from portal.signin.own_passkeys import add_passkey, begin_adding, remove_passkey, rename_passkey
from portal.signin.recovery import renew_recovery_codes, use_recovery_code
from portal.signin.rescue import unlock
from portal.signin.reset import reset_password
from portal.signin.username_change import change_username
from tests.letters import forget_letters, letters
from tests.pages.conftest import make_provider
from tests.passkeys import add_key
from tests.people import PASSWORD, actor_named, make_account
from tests.signin.phones import account_of, enrol
from tests.software_key import SoftwareKey

if TYPE_CHECKING:
    from portal.core.actor import Actor
    from portal.web.frame import Doorward

OLD = "alice@example.org"
NEW = "alice@new.example"
PHRASE = "four noisy trumpets"
ROBIN = Vouched(issuer="https://127.0.0.1:9/acme", subject="robin")


def me() -> Actor:
    """Alice, who has just shown who she is."""
    return actor_named("alice")


def link(purpose: Purpose, email: str = NEW) -> str:
    """A link mailed to Alice."""
    with transaction():
        path = make_link(purpose, account_of("alice"), {"email": email, "canonical": email})
    return path.rpartition("/")[2]


def put_down() -> None:
    """What was mailed so far is not looked at."""
    db.session.expire_all()
    forget_letters()


def key_id() -> UUID:
    """A key that Alice has."""
    with transaction():
        made = create_key(me(), name="laptop")
    put_down()
    return made.key.id


def passkey_id() -> UUID:
    """A passkey that Alice has, beside an app."""
    enrol("alice")
    made = add_key(account_of("alice"), SoftwareKey())
    put_down()
    return made.id


def wait_to_be_linked() -> str:
    """Let somebody at a provider wait to be linked with Alice."""
    make_provider("acme")
    with transaction():
        return begin_waiting(provider_named("acme").terms, ROBIN, account_of("alice"))


def reset_by_link() -> None:
    reset_password(nobody(), link(Purpose.RESET), PHRASE)


def confirm_new_address() -> None:
    confirm_email_change(nobody(), link(Purpose.NEW_EMAIL))


def keep_address() -> None:
    keep_email(nobody(), link(Purpose.KEEP_EMAIL, "alice@former.example"))


def edit_address() -> None:
    user = account_of("alice")
    assert isinstance(user, User)
    edit_user(
        operator_actor(), user.id, version=user.version, display_name=user.display_name, email=NEW,
        time_zone=user.time_zone, daily_limit_override=None,
    )  # fmt: skip


def remove_app() -> None:
    enrol("alice")
    put_down()
    remove_authenticator(me())


def add_a_passkey() -> None:
    with transaction():
        challenge = begin_adding(me())
    add_passkey(me(), challenge.secret, SoftwareKey().make(challenge.options), name="phone")


def renew_codes() -> None:
    enrol("alice")
    put_down()
    renew_recovery_codes(me())


def use_a_code() -> None:
    _, codes = enrol("alice")
    put_down()
    assert use_recovery_code(account_of("alice"), codes[0], address=None, request_id=None)


def reset_all_factors() -> None:
    enrol("alice")
    put_down()
    reset_factors(operator_actor().because("lost"), account_of("alice").id)


def unlink_robin() -> None:
    make_provider("acme")
    with transaction():
        add_identity(account_of("alice"), "acme", ROBIN)
    unlink(me(), own_identities(me())[0].id)


def hand_in_a_key() -> None:
    with transaction():
        made = create_key(me(), name="laptop")
    put_down()
    report_leaked(nobody("192.0.2.1"), made.secret)


def unlock_alice() -> None:
    with transaction():
        account_of("alice").locked_at = clock.now()
    unlock(operator_actor(), account_of("alice").id)


def come_back() -> None:
    with transaction():
        close_account(me(), typed_name="alice")
    put_down()
    take_back_closing(me())


# What is done to the account, by the event that it leaves.
CHANGES: dict[str, Callable[[], object]] = {
    "password.changed": lambda: change_password(me(), PASSWORD, PHRASE),
    "password.reset": reset_by_link,
    "email.change_asked": lambda: ask_for_email(me(), NEW),
    "email.changed": confirm_new_address,
    "email.kept": keep_address,
    "account.edited": edit_address,
    "username.changed": lambda: change_username(me(), "alicia"),
    "factor.authenticator_added": lambda: enrol("alice"),
    "factor.authenticator_removed": remove_app,
    "factor.passkey_added": add_a_passkey,
    "factor.passkey_changed": lambda: rename_passkey(me(), passkey_id(), name="other"),
    "factor.passkey_removed": lambda: remove_passkey(me(), passkey_id()),
    "factor.recovery_codes_made": renew_codes,
    "factor.recovery_code_used": use_a_code,
    "factor.reset": reset_all_factors,
    "identity.linked": lambda: link_waiting(me(), wait_to_be_linked()),
    "identity.unlinked": unlink_robin,
    "key.created": lambda: create_key(me(), name="laptop"),
    "key.changed": lambda: change_key(me(), key_id(), KeyTerms("desktop", daily_limit=5)),
    "key.rotated": lambda: rotate_key(me(), key_id(), overlap_s=60),
    "key.revoked": lambda: revoke_key(me(), key_id()),
    "key.leaked": hand_in_a_key,
    "sign_in.all_ended": lambda: end_other_sessions(me()),
    "sign_in.disowned": lambda: disown(nobody(), link(Purpose.NOT_ME, OLD)),
    "account.locked": lambda: disown(nobody(), link(Purpose.NOT_ME, OLD)),
    "account.unlocked": unlock_alice,
    "account.closing": lambda: close_account(me(), typed_name="alice"),
    "account.closing_taken_back": come_back,
}
# Events of the same sorts that change nothing.
NO_CHANGE = {
    "password.reset_started": "the mailed link is the word",
    "email.change_dropped": "the address stays as it is",
}
SORTS = ("password.", "email.", "username.", "factor.", "identity.", "key.")


@pytest.mark.parametrize("event", CHANGES)
def test_the_address_of_before_is_told(event: str, app: Doorward) -> None:
    make_account("alice")
    with transaction():
        CHANGES[event]()
    assert db.session.scalars(select(AuditEntry.id).where(AuditEntry.event == event)).all(), "it happened"
    told = letters(to=OLD)
    assert [letter.template for letter in told if letter.template in WORDS], [one.template for one in letters()]


WORDS = {"notice", "email_changed", "key_notice", "key_leaked", "closing"}


def test_every_change_of_what_opens_an_account_is_in_the_table() -> None:
    opening = {name for name in EVENTS if name.startswith(SORTS)}
    assert opening <= CHANGES.keys() | NO_CHANGE.keys()
    assert CHANGES.keys() | NO_CHANGE.keys() <= EVENTS.keys()
