"""The HTML door: public, account, staff, admin. One module and blueprint per subject.

A view parses, calls one verb and renders; no rules, no queries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal.pages import account, admin, public, staff

if TYPE_CHECKING:
    from flask import Flask


def register(app: Flask) -> None:
    """Hang in the four audiences."""
    for audience in (public, account, staff, admin):
        audience.register(app)
