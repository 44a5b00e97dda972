"""Serving: Granian with the jobs inside each worker, the database brought up to date first."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from importlib import import_module
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING, Any

import click
from werkzeug.exceptions import RequestEntityTooLarge

from portal import create_app
from portal.core.data_keys import check_encryption_keys
from portal.core.database import db, transaction
from portal.core.secret_check import check_secret_key
from portal.core.settings import Settings, load
from portal.jobs.runner import Clock
from portal.mail.rendering import site_link
from portal.migrating import migrate
from portal.signin.first_admin import offer_setup

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from flask import Flask

KILL_AFTER_S = 10
LOOK_EVERY_S = 0.2
MOST_HEADER_BYTES = 64 * 1024


def check_keys(app: Flask) -> None:
    """Refuse other ENCRYPTION_KEYS than those that sealed what is in this database. Raises BadSetting."""
    with app.app_context():
        try:
            with transaction():
                check_encryption_keys()
        finally:
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
    """Serve until told to stop. Prints where, and how to make the first admin. Raises BadSetting."""
    app = create_app(settings)
    migrate(app)
    check_keys(app)
    with app.app_context(), transaction():
        warning = check_secret_key()
        path = offer_setup()
        link = site_link(path) if path else None
    with app.app_context():
        db.engine.dispose()
    click.echo(f"{settings.site_name} serves {settings.site_url} (listening on {settings.host}:{settings.port})")
    if warning:
        click.echo(f"warning: {warning}", err=True)
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
        http1_settings=import_module("granian.http").HTTP1Settings(max_buffer_size=MOST_HEADER_BYTES),
        log_level="error",
        factory=True,
    ).serve()


def worker_app() -> Flask:
    """The application of one worker, with its clock; both end with the worker."""
    end_with_server()
    settings = load()
    app = create_app(settings)
    app.wsgi_app = _with_chunks(app.wsgi_app, settings.max_body_bytes)  # type: ignore[assignment]  # as Flask says
    if settings.jobs:
        clock = Clock(app)
        clock.start()
        # atexit does not run in workers; this does.
        Finalize(None, clock.stop, exitpriority=100)
    return app


class _Chunks:
    """The body of a request without a length, up to a limit: Werkzeug would cut it off there and read on."""

    def __init__(self, stream: Any, most: int) -> None:
        self.stream = stream
        self.left = most

    def read(self, size: int = -1) -> bytes:
        """The next bytes. Raises RequestEntityTooLarge when there are more than the limit."""
        data: bytes = self.stream.read(size)
        self.left -= len(data)
        if self.left <= 0 and self.stream.read(1):
            raise RequestEntityTooLarge
        return data


def _with_chunks(app: WSGIApplication, most: int) -> WSGIApplication:
    """Let bodies be read that come in chunks, without a length. This server ends such a body by itself; without
    that word it would be taken for empty."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower() and not environ.get("CONTENT_LENGTH"):
            environ["wsgi.input"] = _Chunks(environ["wsgi.input"], most)
            environ["wsgi.input_terminated"] = True
        return app(environ, start_response)

    return answer


def end_with_server() -> None:
    """Obey signals before the server loop does, and end soon after the server did, however that died."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()  # known since the fork: it may be gone by now
    server = parent.pid if parent and parent.pid else os.getppid()
    threading.Thread(target=_end_after, args=(server,), name="end with server", daemon=True).start()


def _end_after(server: int) -> None:
    """Ask to end when the server is gone, every second: a signal that comes while the loop is being set up is lost."""
    while os.getppid() == server:
        time.sleep(LOOK_EVERY_S)
    for _ in range(KILL_AFTER_S):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)
