"""Serving: Granian with the jobs inside each worker, the database brought up to date first."""

from __future__ import annotations

import ctypes
import signal
import socket
import sys
from importlib import import_module
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING

import click
import flask_migrate

from portal import create_app
from portal.core.database import db, transaction
from portal.core.places import migrations_dir
from portal.core.settings import Settings, load
from portal.jobs.runner import Clock
from portal.mail.rendering import site_link
from portal.signin.registration import offer_setup

if TYPE_CHECKING:
    from flask import Flask

PR_SET_PDEATHSIG = 1
KILL_AFTER_S = 10


def migrate(app: Flask) -> None:
    """Bring the database up to date; of several who try at once one does it and the others wait."""
    with app.app_context():
        flask_migrate.upgrade(directory=str(migrations_dir()))
        db.session.remove()
        db.engine.dispose()


def port_is_free(host: str, port: int) -> bool:
    """Whether we may listen there: a second server on the same port would share it silently."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def serve(settings: Settings, *, workers: int) -> None:
    """Serve until told to stop. Prints where, and how to make the first admin."""
    app = create_app(settings)
    migrate(app)
    with app.app_context(), transaction():
        path = offer_setup()
        link = site_link(path) if path else None
    with app.app_context():
        db.engine.dispose()
    click.echo(f"{settings.site_name} serves {settings.site_url} (listening on {settings.host}:{settings.port})")
    if link:
        click.echo(f"Make the first admin with this link, once: {link}")
    sys.stdout.flush()
    granian = import_module("granian")  # loads a native library: only for serving
    constants = import_module("granian.constants")
    granian.Granian(
        "portal.serving:worker_app",
        address=settings.host,
        port=settings.port,
        interface=constants.Interfaces.WSGI,
        workers=workers,
        blocking_threads=settings.threads,
        backlog=1024,
        respawn_failed_workers=True,
        workers_kill_timeout=KILL_AFTER_S,
        log_level="error",
        factory=True,
    ).serve()


def worker_app() -> Flask:
    """The application of one worker, with its clock; both end with the worker."""
    _belong_to_parent()
    settings = load()
    app = create_app(settings)
    if settings.jobs:
        clock = Clock(app)
        clock.start()
        # atexit does not run in workers; this does.
        Finalize(None, clock.stop, exitpriority=100)
    return app


def _belong_to_parent() -> None:
    """Die with the server even if that is killed with -9, and obey signals before the server loop does."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
