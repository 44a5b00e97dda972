"""Leaving: a user closes the account, has a while to take that back, and is deleted by a job afterwards."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from babel.dates import format_date
from sqlalchemy import select
from sqlalchemy.orm.exc import StaleDataError

from portal.accounts.lifecycle import target_of
from portal.accounts.models import State, User
from portal.accounts.notices import notify
from portal.audit import events
from portal.audit.record import record
from portal.core import clock
from portal.core.access import Capability, job_actor, needs, recently
from portal.core.database import db, transaction
from portal.core.errors import Conflict, Invalid, NotFound
from portal.core.languages import known_language
from portal.core.text import folded, gettext
from portal.mail.outbox import write_mail
from portal.mail.rendering import site_link
from portal.privacy.deletion import delete_user
from portal.signin.sessions import keep_only_session

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor

log = structlog.get_logger()
GRACE = timedelta(days=14)
CLOSE_JOB = "close_accounts"
BATCH = 500


@needs(Capability.OWN_DATA)
@recently()
def close_account(actor: Actor, *, typed_name: str) -> str | None:
    """Close the actor's own account: keys and all other sessions are dead at once, and GRACE later a job deletes it.

    Wants the username typed. Answers the new secret of the session that goes on, which opens nothing but the way back
    and one's data. Raises Invalid, Conflict when it is closing already.
    """
    user = _own(actor)
    if user.state != State.ACTIVE:
        raise Conflict(gettext("Your account is being closed already."))
    if folded(typed_name.strip()) != user.username_canonical:
        raise Invalid({"username": gettext("This is not your username.")})
    user.state = State.CLOSING.value
    user.closes_at = clock.now() + GRACE
    record(actor, events.CLOSING_ASKED, target_of(user), {"closes_at": user.closes_at.isoformat()})
    values = {
        "name": user.shown_name,
        "day": format_date(user.closes_at, "d MMMM y", locale=known_language(user.language)),
        "link": site_link("/account/data"),
    }
    write_mail(user.email or "", "closing", values, language=user.language, account_id=user.id)
    return keep_only_session(actor, user)


@needs(Capability.OWN_DATA)
def take_back_closing(actor: Actor) -> User:
    """Keep the account after all: it is active again, and so are its keys. Sessions that ended stay ended.

    Raises Conflict when the account is not being closed.
    """
    user = _own(actor)
    if user.state != State.CLOSING:
        raise Conflict(gettext("Your account is not being closed."))
    user.state = State.ACTIVE.value
    user.closes_at = None
    record(actor, events.CLOSING_TAKEN_BACK, target_of(user))
    notify(user, gettext("Your account was going to be deleted; that was taken back, and it stays."))
    return user


def _own(actor: Actor) -> User:
    user = db.session.get(User, actor.id)
    if user is None:
        raise NotFound
    return user


def close_accounts() -> int:
    """Delete every account whose time to take the closing back is over. Answers how many were."""
    due = select(User.id).where(User.state == State.CLOSING.value, User.closes_at <= clock.now())
    found = db.session.scalars(due.order_by(User.closes_at).limit(BATCH)).all()
    return sum(_close(user_id) for user_id in found)


def _close(user_id: UUID) -> bool:
    """Delete one. False: it was taken back, or an admin was quicker; the version of the row decides between them."""
    try:
        with transaction():
            user = db.session.get(User, user_id, populate_existing=True)
            if user is None or user.state != State.CLOSING or user.closes_at is None or user.closes_at > clock.now():
                return False
            actor = job_actor(CLOSE_JOB).because(gettext("The user closed the account."))
            delete_user(actor, user.id, typed_name=user.username_canonical)
    except StaleDataError:
        log.info("closing.outrun", user=str(user_id))
        return False
    return True
