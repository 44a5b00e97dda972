"""`doorward backup`: create, verify, restore."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from sqlalchemy.exc import SQLAlchemyError

from portal import __version__, create_app
from portal.audit.roots import begin_again
from portal.audit.sealing import seal_entries
from portal.backup.archive import Archive, BackupRefused, Manifest
from portal.backup.loading import load_rows
from portal.backup.making import make_backup
from portal.backup.placing import (
    build_in_schema,
    check_revision,
    copy_file,
    draft_of,
    drop_schema,
    make_private,
    make_schema,
    move_schema,
)
from portal.backup.restoring import Restored, finish_restore, holds_anything
from portal.cli.frame import echo_json, fail, in_frame, load_settings, opened
from portal.core import settings as current_settings
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import Conflict, PortalError
from portal.jobs.runner import run_job
from portal.messages.spool import spool_of
from portal.migrating import upgrade

if TYPE_CHECKING:
    from portal.core.settings import Settings

Place = click.Path(dir_okay=False, path_type=Path)


@click.group()
def backup() -> None:
    """Backups: create, verify, restore."""


@backup.command("create")
@click.argument("file", type=Place)
@in_frame
def backup_create(file: Path) -> None:
    """Write everything to FILE, and the data keys to FILE.keys, while the server goes on.

    Of the key files keep only the newest: an older one would bring back what was erased.
    """
    with suppress(Conflict):  # somebody flushes just now
        run_job("flush_message_logs", by_hand=True)
    waiting = spool_of(current_settings.current()).waiting()
    made = make_backup(operator_actor(), file.absolute(), version=__version__, spool_waiting=waiting)
    echo_json({"file": str(file), "keys": str(made.keys), **_told(made.manifest), "data_keys": made.key_rows})


@backup.command("verify")
@click.argument("file", type=Place)
def backup_verify(file: Path) -> None:
    """Read FILE (or a key file) to its end and compare it with its own manifest. Needs no database."""
    try:
        with Archive(file) as archive:
            archive.check()
            echo_json({"file": str(file), **_told(archive.manifest)})
    except PortalError as error:
        fail(str(error.words))


@backup.command("restore")
@click.argument("file", type=Place)
@click.option("--keys", type=Place, help="The newest key file there is, not the one of FILE's own day.")
@click.option("--without-keys", is_flag=True, help="Let go what was sealed: there is no key file any more.")
@click.option("--replace", is_flag=True, help="Also into a database that holds something; all of that goes.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def backup_restore(file: Path, keys: Path | None, without_keys: bool, replace: bool, yes: bool) -> None:
    """Put FILE into the database of these settings. Stop the server first.

    Everybody has to sign in again, and links that were mailed are dead.
    """
    settings = load_settings(log_level="error")
    try:
        with ExitStack() as stack:
            archive = stack.enter_context(Archive(file))
            key_archive = stack.enter_context(Archive(keys)) if keys else None
            for one in (archive, key_archive):
                if one is not None:
                    one.check()
            check_revision(archive.manifest.revision, archive.manifest.version)
            _ask_for_room(settings, replace=replace, yes=yes)
            restored = _restore(settings, archive, key_archive, without_keys=without_keys)
    except PortalError as error:
        fail(str(error.words))
    except SQLAlchemyError as error:
        said = str(error.__cause__ or type(error).__name__).strip().partition("\n")[0]
        fail(f"the database refused: {said}")
    told = asdict(restored)
    told["drift"] = {name: told["drift"][name] for name in ("checked", "count", "credits")}
    older = key_archive is not None and key_archive.manifest.made_at < archive.manifest.made_at
    echo_json({"file": str(file), **told, **({"warning": "the key file is older than the backup"} if older else {})})


def _ask_for_room(settings: Settings, *, replace: bool, yes: bool) -> None:
    """Go on only when nothing is there, or when what is there may go."""
    make_private(settings)
    with opened(create_app(settings)):
        occupied = holds_anything()
        where = db.engine.url.render_as_string(hide_password=True)
    if occupied and not replace:
        raise BackupRefused(f"{where} is not empty; --replace lets all of it go; nothing was changed")
    if occupied and not yes:
        click.confirm(f"Everything in {where} goes. Go on?", abort=True, err=True)


def _restore(settings: Settings, archive: Archive, keys: Archive | None, *, without_keys: bool) -> Restored:
    """Build it beside, bring it up to date, then put it in its place."""
    with opened(create_app(settings)), draft_of(settings) as draft_settings:
        try:
            if not settings.sqlite:
                with transaction():
                    make_schema()
            draft = create_app(draft_settings)
            with opened(draft):
                if not settings.sqlite:
                    build_in_schema(db.engine)
                upgrade(draft, archive.manifest.revision)
                with transaction():
                    rows = load_rows(archive)
                upgrade(draft)
                with transaction():
                    restored = finish_restore(operator_actor(), rows=rows, keys=keys, without_keys=without_keys)
            with transaction():
                if settings.sqlite:
                    copy_file(draft_settings, settings)
                else:
                    move_schema()
        finally:
            if not settings.sqlite:
                with transaction():
                    drop_schema()
        # The files beside the database vouch for what was there before; from here on the restored one goes on.
        seal_entries()
        begin_again()
    return restored


def _told(manifest: Manifest) -> dict[str, Any]:
    return {
        "version": manifest.version,
        "revision": manifest.revision,
        "database": manifest.database,
        "made_at": manifest.made_at,
        "tables": len(manifest.parts),
        "rows": manifest.rows,
        "bytes": sum(part.bytes for part in manifest.parts),
        "spool_waiting": manifest.spool_waiting,
    }
