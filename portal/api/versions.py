"""Versions of records: ETag in answers, If-Match in questions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import request

from portal.core.errors import Stale

if TYPE_CHECKING:
    from flask import Response


def with_version(response: Response, version: int) -> Response:
    """The answer with the record's version as its ETag."""
    response.headers["ETag"] = f'"{version}"'
    return response


def wanted_version(present: int) -> int | None:
    """The version that the caller saw, of `present` as it is; None when it does not say. Raises Stale.

    A list of versions is good when the present one is among them, and * for any; a weak tag is never one (RFC 9110,
    13.1.1).
    """
    given = request.headers.get("If-Match")
    if given is None or given.strip(" \t") == "*":
        return None
    if f'"{present}"' not in {tag.strip(" \t") for tag in given.split(",")}:
        raise Stale
    return present
