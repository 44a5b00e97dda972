"""Purging deleted users once their time is over: what was theirs goes, the key of what was sealed is destroyed.

What stays is an account without a name, and numbers. It can be undone until it begins, and not any more after; a run
that dies is gone on with by the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select, tuple_, update
from sqlalchemy import inspect as inspect_table

from portal.accounts.models import Account, State, User
from portal.audit import events
from portal.audit.blanking import blank_entries_of
from portal.audit.record import Target, record
from portal.core import clock
from portal.core.access import Capability, job_actor, needs, recently
from portal.core.data_keys import destroy_data_key
from portal.core.database import db, transaction
from portal.core.errors import Invalid, NotFound
from portal.core.text import folded, gettext
from portal.keys.models import ApiKey
from portal.messages.export_files import drop_file
from portal.messages.purging import purge_logs_of
from portal.privacy.children import DROPPED
from portal.privacy.deletion import restorable, sealed_name
from portal.privacy.models import DeletedUser
from portal.usage.models import CreditEntry, Refund
from portal.work.models import LongWork
from portal.work.runs import tell_progress

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import ColumnElement

    from portal.core.actor import Actor

BATCH = 500
PURGE_USERS_JOB = "purge_deleted_users"


def purge_deleted_users() -> int:
    """Purge every deleted user whose time is over. Answers how many were."""
    due = select(DeletedUser.user_id).where(DeletedUser.purge_after <= clock.now()).order_by(DeletedUser.purge_after)
    count = 0
    for user_id in db.session.scalars(due).all():
        if _begin(user_id):
            _purge(user_id)
            count += 1
    return count


def purge_is_due() -> bool:
    """Whether there is a deleted user whose time is over."""
    due = select(DeletedUser.user_id).where(DeletedUser.purge_after <= clock.now())
    return db.session.scalar(due.limit(1)) is not None


@needs(Capability.USER_DELETE, case=True)
@recently(factor=True)
def purge_now(actor: Actor, user_id: UUID, *, typed_name: str) -> None:
    """Purge a deleted user before their time: final with this transaction, and done by the job within a minute or so.

    Wants a reason and the username typed once more. Raises NotFound, Forbidden, Invalid at "username" and "reason".
    """
    _, deleted = restorable(actor, user_id)
    if folded(typed_name.strip()) != folded(sealed_name(user_id, deleted)):
        raise Invalid({"username": gettext("This is not the username of the record.")})
    if not _make_final(user_id):
        raise NotFound
    _write(update(DeletedUser).where(DeletedUser.user_id == user_id).values(purge_after=clock.now()))
    record(actor, events.PURGE_ASKED, Target("user", user_id, None))


def _begin(user_id: UUID) -> bool:
    """Make it final, in a transaction of its own. False: somebody was quicker."""
    with transaction():
        begun = _make_final(user_id)
    db.session.expire_all()
    return begun


def _make_final(user_id: UUID) -> bool:
    """Empty what a restore would need and destroy the key. False: the user is not deleted, or no more."""
    # A new version: a restore that has read the row already fails now.
    deleted = db.session.scalar(
        update(Account)
        .where(Account.id == user_id, Account.state == State.DELETED.value)
        .values(version=Account.version + 1, epoch=Account.epoch + 1)
        .returning(Account.id)
        .execution_options(synchronize_session=False)
    )
    if deleted is None:
        return False
    row = DeletedUser.user_id == user_id
    _write(update(DeletedUser).where(row).values(sealed="", reason="", deleted_by=""))
    _write(update(User).where(User.account_id == user_id).values(keep_messages="nothing"))
    destroy_data_key(user_id)
    return True


def _purge(user_id: UUID) -> None:
    purge_logs_of(user_id)
    for work_id in db.session.scalars(select(LongWork.id).where(LongWork.owner_id == user_id)).all():
        drop_file(work_id)
    # Before their keys are gone: of those entries tell too.
    blank_entries_of(user_id, db.session.scalars(select(ApiKey.id).where(ApiKey.user_id == user_id)).all())
    for table, theirs in DROPPED.items():
        _drop_all(table, theirs(user_id))
    with transaction():
        for ledger in (CreditEntry, Refund):
            _write(update(ledger).where(ledger.user_id == user_id).values(reason=""))
        nameless: dict[str, Any] = {"time_zone": "UTC", "language": "en", "theme": "auto", "picture_id": None}
        nameless["last_seen_at"] = Account.created_at
        _write(update(Account).where(Account.id == user_id).values(nameless))
        _write(delete(DeletedUser).where(DeletedUser.user_id == user_id))
        record(job_actor(PURGE_USERS_JOB), events.ACCOUNT_PURGED, Target("user", user_id))
        tell_progress(f"purged {user_id}")


def _drop_all(table: Any, theirs: ColumnElement[bool]) -> None:
    """Delete these rows, a batch at a time: nobody waits long for the writer."""
    key = inspect_table(table).primary_key
    found = key[0] if len(key) == 1 else tuple_(*key)
    while True:
        with transaction():
            batch = select(*key).where(theirs).limit(BATCH)
            gone = db.session.execute(
                delete(table).where(found.in_(batch)).returning(key[0]).execution_options(synchronize_session=False)
            ).all()
        if len(gone) < BATCH:
            return


def _write(statement: Any) -> None:
    db.session.execute(statement.execution_options(synchronize_session=False))
