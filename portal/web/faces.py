"""What every template is given: filters, the viewer, the navigation, error pages."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime, format_timedelta
from babel.numbers import format_decimal
from flask import Flask, Response, g, get_flashed_messages, make_response, render_template, request, url_for
from flask_wtf.csrf import generate_csrf
from jinja2 import StrictUndefined

from portal.core import clock, settings
from portal.core.places import static_dir
from portal.core.text import gettext, plural_of
from portal.web.avatars import initials_of, palette_of
from portal.web.identity import viewer
from portal.web.languages import language
from portal.web.lists import page_urls

if TYPE_CHECKING:
    from portal.core.errors import PortalError


def _zone() -> ZoneInfo:
    seen = viewer()
    return ZoneInfo(seen.time_zone if seen else "UTC")


def ago(instant: datetime | None) -> str:
    """How long ago (or how soon) an instant is, in words."""
    if instant is None:
        return gettext("never")
    seconds = (instant - clock.now()).total_seconds()
    if -5 < seconds <= 0:
        return gettext("just now")
    return format_timedelta(round(seconds), add_direction=True, locale=language(), threshold=1)


def exact(instant: datetime) -> str:
    """The instant in the viewer's zone, in words."""
    return format_datetime(instant.astimezone(_zone()), "d MMM y, HH:mm:ss zzz", locale=language())


def minute(instant: datetime) -> str:
    """The instant to the minute, with the name of the viewer's zone in which it is told."""
    zone = _zone()
    told = format_datetime(instant.astimezone(zone), "d MMM y, HH:mm", locale=language())
    return f"{told} ({zone.key.replace('_', ' ')})"


def iso(instant: datetime | date) -> str:
    """The instant for machines."""
    if isinstance(instant, datetime):
        return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return instant.isoformat()


def grouped(number: float) -> str:
    """1234 as 1,234."""
    return format_decimal(number, locale=language())


def day(instant: datetime | date) -> str:
    """The date, in the viewer's zone."""
    return format_date(
        instant.astimezone(_zone()) if isinstance(instant, datetime) else instant, "d MMM y", locale=language()
    )


def month(day: date) -> str:
    """The month of a date: November 2026."""
    return format_date(day, "LLLL y", locale=language())


@lru_cache(maxsize=256)
def _version(path: str) -> str:
    file = static_dir() / path
    return hashlib.sha256(file.read_bytes()).hexdigest()[:10] if file.is_file() else "0"


def static_url(path: str) -> str:
    """The address of a static file, changed whenever its content is, so that it may be kept for a year."""
    return url_for("static", filename=path, v=_version(path))


def theme_cookie() -> str:
    """The name of the cookie that keeps the theme; `__Host-` where people come over HTTPS."""
    return "__Host-theme" if settings.current().secure_cookies else "theme"


def theme() -> str:
    """The theme of this visitor, light or dark when chosen, else system: by the account, else by the browser."""
    seen = viewer()
    chosen = seen.account.theme if seen else "auto"
    if chosen == "auto":
        chosen = request.cookies.get(theme_cookie(), "system")
    return chosen if chosen in {"light", "dark"} else "system"


def register_faces(app: Flask) -> None:
    """Give every template its words, filters and frame."""
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(gettext, plural_of, newstyle=True)  # type: ignore[attr-defined]  # added by the extension
    app.jinja_env.filters |= {
        "ago": ago,
        "exact": exact,
        "minute": minute,
        "iso": iso,
        "grouped": grouped,
        "day": day,
        "month": month,
        "initials": initials_of,
        "palette": palette_of,
    }
    app.jinja_env.globals |= {
        "page_urls": page_urls,
        "static": static_url,
        "csrf_token": generate_csrf,
        "get_flashed_messages": get_flashed_messages,
        "url_for": url_for,
    }

    @app.context_processor
    def frame() -> dict[str, Any]:
        now = settings.current()
        return {
            "site_name": now.site_name,
            "theme": theme(),
            "viewer": viewer(),
            "navigation": [],
            "search_action": None,
            "search_label": "",
            "support_email": now.support_email or None,
            "terms_url": now.terms_url or None,
            "privacy_url": now.privacy_url or None,
            "request_id": g.get("request_id"),
            "registration_open": now.registration == "open",
            "language": language(),
            "account_links": [],
        }


def error_page(error: PortalError) -> Response:
    """The page of an error, which needs no session and no database."""
    g.no_viewer = True
    page = render_template(
        "errors/error.html",
        code=error.status,
        title=str(error.title),
        words=str(error.words),
        request_id=g.get("request_id"),
    )
    return make_response(page, error.status)
