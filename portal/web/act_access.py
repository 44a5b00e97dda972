"""Acts on the way in: confirmation, lock, password, sessions, suspension. What each asks, says and does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal.accounts.lifecycle import reactivate, suspend
from portal.accounts.models import State
from portal.core import clock
from portal.core.errors import Conflict, NotFound
from portal.core.text import gettext, ngettext
from portal.core.text import lazy_gettext as words
from portal.keys.managing import revoke_key_of
from portal.keys.service import keys_of
from portal.signin.confirmation import resend_confirmation
from portal.signin.ending import end_sessions_of, managed_account, signed_in
from portal.signin.rescue import unlock, what_shuts_out
from portal.signin.reset import start_reset
from portal.support.record import email_for
from portal.support.undo import FOR
from portal.web.acting import acting_perhaps_for
from portal.web.acts import Act, Done
from portal.web.faces import minute
from portal.web.sign_in_words import ended_words, ending_words

if TYPE_CHECKING:
    from uuid import UUID

    from flask_wtf import FlaskForm

    from portal.accounts.models import User
    from portal.core.actor import Actor


def undo_words() -> str:
    """Until when what was done just now can be undone."""
    return gettext("It can be undone until %(when)s.", when=minute(clock.now() + FOR))


def _living_keys(who: Actor, user: User) -> int:
    return sum(key.state in {"active", "replaced"} for key in keys_of(who, user.id))


def _preview_resend(who: Actor, user: User, _form: FlaskForm) -> list[str]:
    if user.email_verified_at is not None or not user.email:
        raise Conflict(gettext("The address is confirmed already."))
    return [
        gettext("A mail goes to %(email)s with a link that confirms the address.", email=email_for(who, user)),
        gettext("A link mailed before is good no longer."),
    ]


def _resend(who: Actor, user: User, _form: FlaskForm) -> Done:
    resend_confirmation(who, user.id)
    return Done(gettext("The mail that confirms the address is on its way."))


def _preview_unlock(who: Actor, user: User, _form: FlaskForm) -> list[str]:
    found = what_shuts_out(who, user.id)
    tries = found.wrong_passwords + found.wrong_codes
    if found.locked_at is None and not tries:
        raise Conflict(gettext("Nothing keeps this user from signing in: no lock, and no tries that went wrong."))
    lines = []
    if found.locked_at is not None:
        lines += [
            gettext("The lock of %(when)s is lifted, and the user is told.", when=minute(found.locked_at)),
            gettext(
                "The owner set it, by the link in a mail about a sign-in they did not know. "
                "Make sure that you speak with the owner: whoever knows the password gets in again. "
                "A password reset opens the account too, and is safer."
            ),
        ]
    if tries:
        lines.append(
            ngettext(
                "%(num)s try that went wrong is forgotten: the next need not wait.",
                "%(num)s tries that went wrong are forgotten: the next need not wait.",
                tries,
            )
        )
    return [*lines, gettext("Password and second factor stay as they are.")]


def _unlock(who: Actor, user: User, _form: FlaskForm) -> Done:
    unlock(who, user.id)
    return Done(gettext("Nothing keeps the user from signing in any more."))


def _preview_reset_password(who: Actor, user: User, _form: FlaskForm) -> list[str]:
    if user.state != State.ACTIVE:
        raise Conflict(gettext("Only an active account can reset its password."))
    return [
        gettext("A mail goes to %(email)s with a link, good once and for an hour.", email=email_for(who, user)),
        gettext("Until it is used the password of now works. Setting a new one ends every session."),
        gettext("The second factor stays as it is."),
    ]


def _reset_password(who: Actor, user: User, _form: FlaskForm) -> Done:
    return Done(gettext("A reset link is on its way."), start_reset(who, user.id))


def _preview_end_sessions(who: Actor, user: User, _form: FlaskForm) -> list[str]:
    account, _ = managed_account(who, user.id)
    return [
        *ending_words(signed_in(account)),
        gettext("Whoever has given the password and not yet the second factor begins again."),
        gettext("The account stays open: signing in works as before, and API keys are not touched."),
    ]


def _end_sessions(who: Actor, user: User, _form: FlaskForm) -> Done:
    return Done(ended_words(end_sessions_of(who, user.id)))


def _preview_suspend(who: Actor, user: User, _form: FlaskForm) -> list[str]:
    if user.state not in {State.ACTIVE, State.CLOSING}:
        raise Conflict(gettext("Only an active account can be suspended."))
    living, keys = signed_in(user), _living_keys(who, user)
    sessions = living.browsers + living.programs
    lines = [
        ngettext("%(num)s session ends at once.", "%(num)s sessions end at once.", sessions),
        ngettext(
            "%(num)s API key is refused from the next call on.",
            "%(num)s API keys are refused from the next call on.",
            keys,
        ),
        gettext("Signing in is refused. Reactivating lets the keys work again."),
    ]
    if user.state == State.CLOSING:
        lines.append(gettext("That the owner asked to close the account is dropped; it does not come back."))
    return lines


def _suspend(who: Actor, user: User, _form: FlaskForm) -> Done:
    suspend(who, user.id)
    told = gettext("The account is suspended: sessions are over and keys are refused.")
    return Done(f"{told} {undo_words()}")


def _preview_reactivate(who: Actor, user: User, _form: FlaskForm) -> list[str]:
    if user.state not in {State.SUSPENDED, State.CLOSING}:
        raise Conflict(gettext("Only a suspended account, or one that is being closed, can be reactivated."))
    keys = _living_keys(who, user)
    lines = [ngettext("%(num)s API key works again.", "%(num)s API keys work again.", keys)]
    if user.state == State.CLOSING and user.closes_at is not None:
        lines.append(gettext("The account is not deleted on %(when)s.", when=minute(user.closes_at)))
    return [*lines, gettext("The user signs in anew.")]


def _reactivate(who: Actor, user: User, _form: FlaskForm) -> Done:
    reactivate(who, user.id)
    return Done(gettext("The account is active again; its keys work, and the user signs in anew."))


def revoking(key_id: UUID) -> Act:
    """Revoking this key of a user."""

    def preview(who: Actor, user: User, _form: FlaskForm) -> list[str]:
        key = next((key for key in keys_of(who, user.id) if key.id == key_id), None)
        if key is None:
            raise NotFound
        if key.state in {"revoked", "expired"}:
            raise Conflict(gettext("Calls with this key are refused already."))
        facts = {"name": key.name, "prefix": key.prefix}
        return [
            gettext("The key “%(name)s”, which begins with %(prefix)s, is revoked.", **facts),
            gettext("From that moment every call with it is refused, wherever it is used. It cannot be undone."),
            gettext("The user is told by mail; other keys, the limit and the conversations stay as they are."),
        ]

    def perform(who: Actor, user: User, _form: FlaskForm) -> Done:
        revoke_key_of(who, user.id, key_id)
        return Done(gettext("The key is revoked. Calls with it are refused from now on."))

    return Act(words("Revoke a key"), words("Revoke the key"), "ban", preview, perform, danger=True)


RESEND = Act(
    words("Resend the confirmation"),
    words("Resend the confirmation"),
    "mail",
    _preview_resend,
    _resend,
    acting=acting_perhaps_for,
)
UNLOCK = Act(words("Unlock"), words("Unlock the account"), "lock-open", _preview_unlock, _unlock)
RESET_PASSWORD = Act(
    words("Mail a password reset"), words("Mail the link"), "mail", _preview_reset_password, _reset_password
)
END_SESSIONS = Act(
    words("Sign out everywhere"),
    words("Sign out everywhere"),
    "logout",
    _preview_end_sessions,
    _end_sessions,
    danger=True,
)
SUSPEND = Act(words("Suspend"), words("Suspend the account"), "ban", _preview_suspend, _suspend, danger=True)
REACTIVATE = Act(words("Reactivate"), words("Reactivate the account"), "user-check", _preview_reactivate, _reactivate)
