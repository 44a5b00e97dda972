"""Versions of records: ETag in answers, If-Match in questions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flask import request

from portal.core.errors import Stale

if TYPE_CHECKING:
    from flask import Response

TAG = re.compile(r'"(\d{1,9})"')


def with_version(response: Response, version: int) -> Response:
    """The answer with the record's version as its ETag."""
    response.headers["ETag"] = f'"{version}"'
    return response


def wanted_version(present: int) -> int | None:
    """The version that the caller saw, of `present` as it is; None when it does not say. Raises Stale.

    A list of versions is good when the present one is among them, and * for any.
    """
    given = request.headers.get("If-Match")
    if given is None or given.strip() == "*":
        return None
    if str(present) not in TAG.findall(given):
        raise Stale
    return present
