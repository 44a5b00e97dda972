"""What lists read from the address: search, filters, sort and place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from flask import request, url_for

if TYPE_CHECKING:
    from portal.core.pages import Page

CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f]+")


def typed(name: str, *, most: int = 200) -> str:
    """A filter as typed, cut to a sane length, without control characters: no database takes NUL, no page the rest."""
    return CONTROL.sub(" ", request.args.get(name, ""))[:most]


def span_of(*, spans: tuple[int, ...] = (7, 30, 90), usual: int = 30) -> int:
    """The span in days that the address asks for (`days`), of those that are offered."""
    wanted = typed("days", most=4)
    return next((span for span in spans if str(span) == wanted), usual)


def page_urls(page: Page[Any]) -> tuple[str | None, str | None]:
    """The addresses of the previous and the next page, keeping every filter."""

    def address(cursor: str | None) -> str | None:
        if cursor is None or request.endpoint is None:
            return None
        kept = {name: value for name, value in request.args.items() if name not in {"cursor", "poll"}}
        return url_for(request.endpoint, **{**(request.view_args or {}), **kept, "cursor": cursor})

    return address(page.previous_cursor), address(page.next_cursor)
