"""What every command runs in: settings that are right, one commit, and one line for what is refused."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from datetime import date
from functools import wraps
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec

import click
from sqlalchemy.exc import SQLAlchemyError

from portal import create_app, serving
from portal.accounts.directory import account_named
from portal.audit.roots import seal_and_keep
from portal.audit.sealing import HeadLost, entries_wait
from portal.core.database import db, transaction
from portal.core.errors import Invalid, NotFound, PortalError
from portal.core.settings import BadSetting, Settings, load
from portal.migrating import migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask

    from portal.accounts.models import Account
    from portal.web.frame import Doorward

P = ParamSpec("P")


def fail(words: str, code: int = 1) -> NoReturn:
    """One line to standard error, and out."""
    click.echo(f"doorward: {words}", err=True)
    sys.exit(code)


def load_settings(**given: Any) -> Settings:
    """The settings of this machine. Ends the command when one is wrong."""
    try:
        return load(**given)
    except BadSetting as error:
        refuse_settings(error)


def refuse_settings(error: BadSetting) -> NoReturn:
    """End the command, naming what is wrong."""
    fail(f"settings are wrong, nothing was started:\n{error}", 2)


def ready_app(settings: Settings) -> Doorward:
    """The application on a database that is up to date. Ends the command when other keys sealed what is in there."""
    app = create_app(settings)
    migrate(app)
    try:
        serving.check_keys(app)
    except BadSetting as error:
        refuse_settings(error)
    return app


@contextmanager
def opened(app: Flask) -> Iterator[None]:
    """The context of this application for the block; no connection is left open after it."""
    with app.app_context():
        try:
            yield
        finally:
            db.session.remove()
            db.engine.dispose()


def in_frame(command: Callable[P, None]) -> Callable[P, None]:
    """Run a command inside the application, committing once; a refusal is one line."""

    @wraps(command)
    def framed(*args: P.args, **kwargs: P.kwargs) -> None:
        app = ready_app(load_settings(log_level="error"))
        with opened(app):
            try:
                with transaction():
                    command(*args, **kwargs)
                seal_left()
            except Invalid as error:
                told = "; ".join(f"{name}: {words}" for name, words in error.fields.items())
                fail(told or str(error.words))
            except PortalError as error:
                fail(str(error.words))

    return framed


def seal_left() -> None:
    """Chain what a command left in the audit log, and keep its end: there may be no server that does."""
    if not entries_wait():
        return
    try:
        seal_and_keep()
    except (SQLAlchemyError, OSError, HeadLost):  # what was done is done; a server, or the next command, seals it
        db.session.rollback()


def echo_json(value: Any) -> None:
    """Print JSON for programs."""
    click.echo(json.dumps(value, indent=2, default=_told))


def _told(value: Any) -> str:
    """Instants and dates in ISO 8601, all else as it prints."""
    return value.isoformat() if isinstance(value, date) else str(value)


def named_account(name: str) -> Account:
    """The account of this username or e-mail. Raises NotFound."""
    found = account_named(name)
    if found is None:
        raise NotFound(f"there is no account {name}")
    return found
