"""Sessions as rows: begun at sign-in, looked up on every request, dead the moment they are ended."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from portal.accounts.lifecycle import raise_epoch
from portal.accounts.models import Account, Kind, State
from portal.audit import events
from portal.audit.record import Target, record
from portal.core import clock, crypto, settings
from portal.core.access import Capability, needs, open_to_all, recently
from portal.core.actor import Actor, ActorKind
from portal.core.database import db
from portal.core.errors import NotFound
from portal.core.ids import new_id, new_secret
from portal.signin.models import SignInSession

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Select

    from portal.tokens.models import TokenFamily

SEEN_EVERY = timedelta(minutes=1)


def begin_session(
    account: Account, *, address: str | None, device: str, method: str = "password", proven: bool = True
) -> str:
    """A new session for the account; answers the secret for the cookie.

    `proven` says whether a second factor was given, or none is set up.
    """
    secret = new_secret()
    db.session.add(
        SignInSession(
            id=new_id(),
            digest=crypto.digest(secret),
            account_id=account.id,
            epoch=account.epoch,
            created_at=clock.now(),
            last_seen_at=clock.now(),
            address=address,
            device=device[:200],
            method=method,
            entered_at=clock.now(),
            proven_at=clock.now() if proven else None,
        )
    )
    # Written past the record's version: of two browsers that sign in at once none is refused, and a sign-in does not
    # make the form stale of an admin who edits the record.
    note_seen(account.id)
    return secret


def note_seen(account_id: UUID) -> None:
    """Write down that the account is in use."""
    _note_seen(Account, account_id)


def _note_seen(table: type[SignInSession] | type[Account], row_id: UUID) -> None:
    db.session.execute(
        update(table)
        .where(table.id == row_id)
        .values(last_seen_at=clock.now())
        .execution_options(synchronize_session=False)
    )


def lifetimes(kind: str) -> tuple[timedelta, timedelta]:
    """(idle, absolute) lifetime of a session of this kind of account."""
    now = settings.current()
    if kind == Kind.USER:
        return timedelta(seconds=now.session_idle_user_s), timedelta(seconds=now.session_max_user_s)
    return timedelta(seconds=now.session_idle_staff_s), timedelta(seconds=now.session_max_staff_s)


def session_of(secret: str) -> tuple[SignInSession, Account] | None:
    """The living session of a cookie and its account, in one statement; None when it is dead in any way."""
    row = db.session.execute(
        select(SignInSession, Account)
        .join(Account, Account.id == SignInSession.account_id)
        .where(SignInSession.digest == crypto.digest(secret))
    ).first()
    if row is None:
        return None
    session, account = row
    now = clock.now()
    idle, longest = lifetimes(account.kind)
    alive = (
        session.ended_at is None
        and session.epoch == account.epoch
        and account.state in {State.ACTIVE, State.CLOSING}
        and session.last_seen_at + idle > now
        and session.created_at + longest > now
    )
    return (session, account) if alive else None


def note_use(session: SignInSession, account: Account) -> None:
    """Write down that the session is in use, at most once a minute."""
    if clock.now() - session.last_seen_at >= SEEN_EVERY:
        _note_seen(SignInSession, session.id)
        note_seen(account.id)


def actor_of(
    account: Account,
    *,
    address: str | None,
    request_id: str | None,
    credential: str = "session",
    session: SignInSession | TokenFamily | None = None,
) -> Actor:
    """The account as an actor, in this session, or by tokens of this family, if it is in one."""
    return Actor(
        kind=ActorKind(account.kind),
        name=account.username,
        id=account.id,
        capabilities=account.capabilities,
        rank=account.rank,
        credential=credential,
        address=address,
        request_id=request_id,
        session_id=session.id if session else None,
        entered_at=session.entered_at if session else None,
        proven_at=session.proven_at if session else None,
    )


def renew_session(actor: Actor, *, entered: bool = False, proven: bool = False) -> str | None:
    """Give the actor's session another secret, for the cookie: the earlier one is dead.

    With `entered` (and `proven`) the person has just shown (with a second factor) who they are. None when the actor is
    in no session.
    """
    secret = new_secret()
    values: dict[str, object] = {"digest": crypto.digest(secret)}
    if entered:
        values["entered_at"] = clock.now()
    if proven:
        values["proven_at"] = clock.now()
    renewed = db.session.execute(
        update(SignInSession)
        .where(SignInSession.id == actor.session_id, SignInSession.ended_at.is_(None))
        .values(**values)
        .returning(SignInSession.id)
        .execution_options(synchronize_session=False)
    ).scalar()
    return secret if renewed is not None else None


def keep_only_session(actor: Actor, account: Account) -> str | None:
    """End every session and token of the account but the actor's own session, which goes on under a new secret.

    Every verb that changes what opens an account ends with this: password, second factor, e-mail address.
    """
    raise_epoch(account)
    db.session.flush()
    if actor.id != account.id:
        return None
    db.session.execute(
        update(SignInSession)
        .where(SignInSession.id == actor.session_id)
        .values(epoch=account.epoch)
        .execution_options(synchronize_session=False)
    )
    return renew_session(actor)


@open_to_all("signing out is for whoever holds the session")
def sign_out(actor: Actor, secret: str) -> None:
    """End the session of this cookie; a cookie kept from before is dead from now."""
    ended = db.session.execute(
        update(SignInSession)
        .where(SignInSession.digest == crypto.digest(secret), SignInSession.ended_at.is_(None))
        .values(ended_at=clock.now())
        .returning(SignInSession.account_id)
        .execution_options(synchronize_session=False)
    ).scalar()
    if ended is not None:
        record(actor, events.SIGNED_OUT, Target("session"))


@needs(Capability.OWN_SESSIONS)
def own_sessions(actor: Actor) -> list[SignInSession]:
    """The actor's living sessions, latest use first."""
    account = db.session.get(Account, actor.id)
    if account is None:
        raise NotFound
    return living_sessions(account)


def living_sessions_of(account: Account) -> Select[SignInSession]:
    """The query for the sessions of an account that still open pages."""
    now = clock.now()
    idle, longest = lifetimes(account.kind)
    return select(SignInSession).where(
        SignInSession.account_id == account.id,
        SignInSession.ended_at.is_(None),
        SignInSession.epoch == account.epoch,
        SignInSession.last_seen_at > now - idle,
        SignInSession.created_at > now - longest,
    )


def living_sessions(account: Account) -> list[SignInSession]:
    """The sessions of an account that still open pages, latest use first."""
    query = living_sessions_of(account).order_by(SignInSession.last_seen_at.desc())
    return list(db.session.scalars(query.limit(100)))


@needs(Capability.OWN_SESSIONS)
@recently()
def end_own_session(actor: Actor, session_id: UUID) -> None:
    """End one of the actor's own sessions. Raises NotFound."""
    ended = db.session.execute(
        update(SignInSession)
        .where(
            SignInSession.id == session_id,
            SignInSession.account_id == actor.id,
            SignInSession.ended_at.is_(None),
        )
        .values(ended_at=clock.now())
        .returning(SignInSession.id)
        .execution_options(synchronize_session=False)
    ).scalar()
    if ended is None:
        raise NotFound
    record(actor, events.SIGNED_OUT, Target("session", session_id))
