"""Doorward, the front desk of a metered service. `create_app` builds the application in named steps."""

from __future__ import annotations

import gc

# To load everything makes half a million objects that stay. To look for garbage among them meanwhile takes a quarter of
# the start.
gc.disable()

from datetime import timedelta
from typing import TYPE_CHECKING

from flask import appcontext_popped, appcontext_pushed
from werkzeug.middleware.proxy_fix import ProxyFix

from portal import api, ops, pages
from portal.api.express import Express
from portal.core import clock, database
from portal.core import settings as current_settings
from portal.core.database import db
from portal.core.places import static_dir, templates_dir
from portal.web.cors import Cors, register_preflights
from portal.web.csrf import protect_forms
from portal.web.envelope import Envelope
from portal.web.faces import register_faces
from portal.web.frame import Doorward, register_errors
from portal.web.identity import register_identity
from portal.web.languages import register_languages
from portal.web.limits import register_limits
from portal.web.logs import set_up_logs
from portal.web.requests import register_requests

gc.freeze()
gc.enable()

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from portal.core.settings import Settings

__version__ = "0.1.0"


def create_app(settings: Settings) -> Doorward:
    """The application for these settings. Starts no job and touches no table."""
    app = Doorward(__name__, static_folder=str(static_dir()), template_folder=str(templates_dir()))
    set_up_logs(settings)
    _configure(app, settings)
    _carry_settings(app, settings)
    _connect_database(app, settings)
    register_requests(app)
    if settings.cors_origins:
        register_preflights(app)
    register_identity(app)
    register_limits(app)
    register_languages(app)
    protect_forms(app)
    register_errors(app)
    register_faces(app)
    pages.register(app)
    api.register(app)
    ops.register(app)
    opened: WSGIApplication = Express(app, app.wsgi_app, settings)
    if settings.cors_origins:
        opened = Cors(opened, settings.cors_origins)
    app.wsgi_app = Envelope(opened, settings)  # type: ignore[method-assign]  # as Flask says
    if settings.trusted_proxies:
        count = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]  # as Flask says
    return app


def _configure(app: Doorward, settings: Settings) -> None:
    """Close what Flask leaves open."""
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SECRET_KEY_FALLBACKS=settings.secret_key_fallbacks,
        SESSION_COOKIE_SECURE=settings.secure_cookies,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=timedelta(seconds=settings.session_max_user_s),
        MAX_CONTENT_LENGTH=settings.max_body_bytes,
        MAX_FORM_MEMORY_SIZE=512 * 1024,
        MAX_FORM_PARTS=500,
        SEND_FILE_MAX_AGE_DEFAULT=timedelta(days=365),
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_SSL_STRICT=False,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=database.engine_options(settings),
        PROPAGATE_EXCEPTIONS=False,
    )
    clock.shift(timedelta(seconds=settings.clock_offset_s))


def _carry_settings(app: Doorward, settings: Settings) -> None:
    """Make the settings current wherever this application's context is."""
    app.extensions["settings"] = settings

    def enter(_sender: object, **_rest: object) -> None:
        current_settings.enter(settings)

    def leave(_sender: object, **_rest: object) -> None:
        current_settings.leave()

    appcontext_pushed.connect(enter, app, weak=False)
    appcontext_popped.connect(leave, app, weak=False)


def _connect_database(app: Doorward, settings: Settings) -> None:
    db.init_app(app)
    with app.app_context():
        database.prepare_engine(db.engine, settings)
