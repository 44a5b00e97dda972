"""The archive of everything held about a user: a ZIP that a long work writes, each list as JSON and as CSV."""

from __future__ import annotations

import os
import zipfile
from typing import TYPE_CHECKING

from sqlalchemy import select

import portal.accounts.own_data
import portal.audit.own_data
import portal.keys.own_data
import portal.mail.own_data
import portal.messages.own_data
import portal.outside.own_data
import portal.prompts.own_data
import portal.signin.own_data
import portal.support.own_data
import portal.tokens.own_data
import portal.usage.own_data
import portal.work.own_data
from portal.accounts.models import Picture, State
from portal.core import clock, settings
from portal.core.database import db, transaction
from portal.core.own_data import as_cell, as_json
from portal.core.tables import compact_json, csv_row
from portal.core.text import gettext
from portal.messages.export_files import ADVANCE_S, asker_of, check_room, make_file
from portal.work.long_work import Worker, advance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from uuid import UUID

    from portal.core.actor import Actor
    from portal.core.own_data import Part, Row
    from portal.work.models import LongWork

STATES = (State.ACTIVE, State.CLOSING)
# Tables that hold something of a user and are in no list, and why.
LEFT_OUT = {
    "admins": "of admins, whose accounts belong to their work here",
    "support_staff": "of staff, whose accounts belong to their work here",
    "sign_in_steps": "a sign-in that was begun: sealed, and gone within ten minutes",
    "refresh_tokens": "digests; the sign-ins they belong to are in the list `token_families`",
    "mentions": "who of the house is named in a note; the note is in the list `notes`",
    "content_openings": "that somebody opened conversations, and why, stands in the list `audit`",
    "data_keys": "the key that seals one's words; the words themselves are in the list `exchanges`",
    "deleted_users": "only of whoever is deleted, and can ask for nothing",
    "reserved_names": "only of whoever is deleted, and can ask for nothing",
    "providers": "names nobody: its client_id is who this site is at the provider",
    "kept_answers": "what a call was answered, told again for a day; what it is about stands in the other files",
    "status_checks": "the client is a service client; forgotten after a week",
    "status_clients": "the client is a service client",
}


def parts_of(account_id: UUID, actor: Actor) -> list[Part]:
    """Everything held about an account, by the features that hold it."""
    return [
        *portal.accounts.own_data.export_of(account_id),
        *portal.signin.own_data.export_of(account_id),
        *portal.tokens.own_data.export_of(account_id),
        *portal.outside.own_data.export_of(account_id),
        *portal.keys.own_data.export_of(account_id),
        *portal.usage.own_data.export_of(account_id),
        *portal.messages.own_data.export_of(account_id, actor),
        *portal.prompts.own_data.export_of(account_id),
        *portal.mail.own_data.export_of(account_id),
        *portal.work.own_data.export_of(account_id),
        *portal.support.own_data.export_of(account_id),
        *portal.audit.own_data.export_of(account_id),
    ]


def write_archive(work: LongWork) -> str:
    """Write the archive and offer it: see `make_file`."""
    return make_file(work, "zip", _write, _asker_of)


def _asker_of(work: LongWork) -> Actor:
    return asker_of(work, *STATES)


class _Pace:
    """Tells every second how far the work is, and looks whether it is still wanted and has room."""

    def __init__(self, work: LongWork, draft: Path) -> None:
        self.work, self.draft, self.told = work, draft, clock.monotonic()

    def step(self, done: int) -> None:
        if clock.monotonic() - self.told >= ADVANCE_S:
            check_room(self.draft, 0)
            _asker_of(self.work)
            advance(self.work, done)
            self.told = clock.monotonic()


def _write(work: LongWork, draft: Path) -> int:
    """Write all files of the archive, durably. Returns how many."""
    actor = _asker_of(work)
    if actor.id is None:
        raise TypeError("an account asks")
    parts = parts_of(actor.id, actor)
    files = len(parts) * 2 + 2
    advance(work, 0, files)
    check_room(draft, 0)
    pace, done = _Pace(work, draft), 0
    with (
        os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as raw,
        zipfile.ZipFile(raw, "w") as archive,
    ):
        for part in parts:
            for ending, pieces in (("json", json_of), ("csv", csv_of)):
                _add(archive, f"{part.name}.{ending}", pieces(part), lambda done=done: pace.step(done))  # type: ignore[misc]  # its default binds the number
                done += 1
        _add(archive, "README.txt", iter([_words(parts).encode()]), lambda: None)
        if picture := _picture_of(actor.id):
            _add(archive, "picture.webp", iter([picture]), lambda: None)
        archive.close()
        raw.flush()
        os.fsync(raw.fileno())
    advance(work, files)
    return files


def _add(archive: zipfile.ZipFile, name: str, pieces: Iterator[bytes], step: Callable[[], None]) -> None:
    now = clock.now()
    info = zipfile.ZipInfo(name, (now.year, now.month, now.day, now.hour, now.minute, now.second))
    info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
    with archive.open(info, "w", force_zip64=True) as file:
        for piece in pieces:
            file.write(piece)
            step()


def json_of(part: Part) -> Iterator[bytes]:
    """The list as one JSON array, an entry a line."""
    between = b"[\n"
    for rows in part.batches():
        yield between + b",\n".join(compact_json({key: as_json(value) for key, value in row.items()}) for row in rows)
        between = b",\n"
    yield b"[]\n" if between == b"[\n" else b"\n]\n"


def csv_of(part: Part) -> Iterator[bytes]:
    """The list as CSV with a head; no cell can be taken for a formula."""
    yield csv_row(part.columns)
    for rows in part.batches():
        yield b"".join(csv_row(as_cell(value) for value in _in_order(part, row)) for row in rows)


def _in_order(part: Part, row: Row) -> Iterator[object]:
    return (row[name] for name in part.columns)


def _picture_of(account_id: UUID) -> bytes | None:
    with transaction():
        return db.session.scalar(select(Picture.content).where(Picture.account_id == account_id))


def _words(parts: list[Part]) -> str:
    """What lies in the archive, in words."""
    lists = "\n".join(f"- {part.name}.json, {part.name}.csv" for part in parts)
    head = gettext("Everything that %(site)s holds about you.", site=settings.current().site_name)
    told = gettext(
        "Each list is there twice: as JSON, exactly as it is held, and as CSV for spreadsheets, where a cell that "
        "would be taken for a formula begins with an apostrophe. Instants are in UTC."
    )
    without = gettext(
        "Not in here are your password, the secrets of your API keys and second factors, and the words of mails that "
        "still wait to be sent: whoever finds this file must not be able to open your account with it. Of others who "
        "did something with your account it is told what they did, not their address."
    )
    aside = gettext(
        "records_set_aside are records of conversations that a service sent and that could not be stored as they are."
    )
    return "\n\n".join((head, told, without, aside, lists)) + "\n"


OWN_DATA_WORKER = Worker(write_archive, resumes=True)
