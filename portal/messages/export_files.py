"""The files of large exports: written by a long work as a draft and renamed, offered by an expiring link, deleted."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from datetime import timedelta
from typing import TYPE_CHECKING, BinaryIO
from uuid import UUID

from sqlalchemy import delete, or_, select, update

from portal.accounts.models import Account, State
from portal.core import clock, crypto, settings
from portal.core.access import Capability
from portal.core.actor import Actor, ActorKind
from portal.core.database import db, transaction
from portal.core.errors import NotFound
from portal.core.ids import parse_id
from portal.core.text import gettext
from portal.messages.export_rows import FORMATS, batches_of, count_rows, head_of, plan_of
from portal.work.long_work import GivenUp, TakenOver, Worker, advance
from portal.work.models import LongWork

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EXPORT = "export_logs"
OWN_DATA = "own_data"  # everything held about somebody, made in privacy/own_data_files.py
KINDS = (EXPORT, OWN_DATA)
# Left free on the disk: an export must not take the room that the spool and the database need.
LEAST_LEFT = 256 * 1024 * 1024
# How often one is begun anew after its process died: what kills a process each time is not tried for ever.
MOST_TRIES = 5
ADVANCE_S = 1.0
PIECE = 64 * 1024
KEEP = timedelta(days=30)
STRAY = timedelta(minutes=10)
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def exports_folder() -> Path:
    """Where the files lie: for nobody but this service."""
    folder = settings.current().data_dir / "exports"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def media_type_of(work: LongWork) -> str:
    """The type of a work's file."""
    return FORMATS[work.arguments["format"]]


def write_export(work: LongWork) -> str:
    """Write the file of an export of logs and offer it: see `make_file`."""
    return make_file(work, work.arguments["format"], _write, _asker_of)


def make_file(
    work: LongWork, suffix: str, write: Callable[[LongWork, Path], int], asker: Callable[[LongWork], Actor]
) -> str:
    """Let `write` make the file of a work, from the beginning, and offer it. What goes wrong leaves none behind.

    `asker` says who asked, with what they may do now, or gives up. Raises Stopped, TakenOver, and GivenUp with
    `no_space`, `unwritable`, `gone` (who asked may no longer) or `tries`.
    """
    if work.fence > MOST_TRIES:
        raise GivenUp("tries")
    try:
        folder = exports_folder()
        drop_file(work.id)
        draft = folder / f"{work.id}-{work.fence}.draft"
        final = draft.with_suffix(f".{suffix}")
        try:
            rows = write(work, draft)
            draft.rename(final)
            _sync_folder(folder)
            asker(work)
            _offer(work, final.name)
        except BaseException:
            draft.unlink(missing_ok=True)
            final.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise GivenUp("no_space" if error.errno in FULL else "unwritable") from error
    return str(rows)


def _write(work: LongWork, draft: Path) -> int:
    """Write all lines, durably. Returns how many."""
    plan = plan_of(work.arguments)
    done, told = 0, clock.monotonic()
    advance(work, done, count_rows(plan))
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(head_of(plan))
        for lines, count in batches_of(_asker_of(work), plan):
            check_room(draft, len(lines))
            file.write(lines)
            done += count
            if clock.monotonic() - told >= ADVANCE_S:
                _asker_of(work)
                advance(work, done)
                told = clock.monotonic()
        file.flush()
        os.fsync(file.fileno())
    advance(work, done)
    return done


def check_room(draft: Path, size: int) -> None:
    """Raises GivenUp where so many bytes more would take the room that the spool and the database need."""
    if shutil.disk_usage(draft.parent).free < LEAST_LEFT + size:
        raise GivenUp("no_space")


def _asker_of(work: LongWork) -> Actor:
    """Who asked for it, if they may still read what is in it. Raises GivenUp."""
    asker = asker_of(work, State.ACTIVE)
    if work.arguments["user_id"] != str(asker.id) and not asker.may(Capability.LOG_CONTENT):
        raise GivenUp("gone")
    return asker


def asker_of(work: LongWork, *states: State) -> Actor:
    """Who asked for a work, with what they may do now.

    Raises GivenUp when their account has left these states, has ended or changed hands.
    """
    account = db.session.get(Account, work.owner_id, populate_existing=True)
    if account is None or account.state not in states or account.epoch != work.epoch:
        raise GivenUp("gone")
    case = work.arguments.get("case")
    of_user = UUID(work.arguments["user_id"]) if case else None
    return Actor(
        kind=ActorKind(account.kind),
        name=account.username,
        id=account.id,
        capabilities=account.capabilities,
        rank=account.rank,
        credential="long work",
        reason=work.arguments.get("reason"),
        case=case,
        case_of=of_user,
        on_behalf_of=of_user,
    )


def _offer(work: LongWork, name: str) -> None:
    """Let the file be fetched from now on, for EXPORT_LINK_TTL_S seconds. Raises TakenOver."""
    with transaction():
        row = db.session.execute(
            update(LongWork)
            .where(LongWork.id == work.id, LongWork.state == "running", LongWork.stop_asked_at.is_(None))
            .where(LongWork.holder == work.holder, LongWork.fence == work.fence)
            .values(
                file=name,
                link_digest=crypto.digest(crypto.keyed_digest("export-link", name)),
                expires_at=clock.now() + timedelta(seconds=settings.current().export_link_ttl_s),
            )
            .returning(LongWork.id)
            .execution_options(synchronize_session=False)
        ).first()
    if row is None:
        advance(work, work.done)  # says so when somebody asked to stop it
        raise TakenOver


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def link_of(work: LongWork) -> str | None:
    """The secret part of the link to the file of a work. It is kept nowhere: made again from the file's name by the
    keys of this installation, it is known by its digest."""
    made = crypto.keyed_digests("export-link", work.file) if work.file else []
    return next((link for link in made if crypto.digest(link) == work.link_digest), None)


def open_file(name: str) -> tuple[BinaryIO, int]:
    """(the file, its size in bytes). Raises NotFound when it is not on this host."""
    try:
        file = (exports_folder() / name).open("rb")
    except FileNotFoundError:
        raise NotFound(gettext("The file is not here any more. Have it made again.")) from None
    return file, os.fstat(file.fileno()).st_size


def drop_file(work_id: UUID) -> None:
    """Delete what a work wrote, whether it was done or not."""
    for path in exports_folder().glob(f"{work_id}-*"):
        path.unlink(missing_ok=True)


def drop_exports() -> int:
    """Delete files that nobody may fetch any more: their time is over, their owner is gone or signed out everywhere,
    or no work speaks of them. Forget works long over. Returns how many files."""
    now, count = clock.now(), 0
    with transaction():
        query = select(LongWork).join(Account, Account.id == LongWork.owner_id)
        query = query.where(LongWork.kind.in_(KINDS), LongWork.file.is_not(None))
        query = query.where(or_(LongWork.expires_at <= now, LongWork.epoch != Account.epoch))
        for work in db.session.scalars(query.limit(1000)):
            drop_file(work.id)
            work.file = work.link_digest = None
            count += 1
        db.session.execute(
            delete(LongWork)
            .where(LongWork.kind.in_(KINDS), LongWork.finished_at < now - KEEP, LongWork.file.is_(None))
            .execution_options(synchronize_session=False)
        )
    return count + _drop_strays()


def _drop_strays() -> int:
    """Delete files left by processes that died and by works whose rows are gone."""
    count = 0
    for path in exports_folder().iterdir():
        work_id = parse_id(path.name[:36])
        work = db.session.get(LongWork, work_id, populate_existing=True) if work_id else None
        if work is not None and (path.name == work.file or work.state == "running"):
            continue
        with contextlib.suppress(FileNotFoundError):
            if clock.now().timestamp() - path.stat().st_mtime > STRAY.total_seconds() or work is None:
                path.unlink()
                count += 1
    return count


EXPORT_WORKER = Worker(write_export, resumes=True)
