"""What lists of the API read from the address: filters known by name, how many, and from where."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import request

from portal.core.errors import Invalid
from portal.core.text import gettext

MOST = 200
USUAL = 50
MOST_NAMED = 100


def check_filters(*known: str) -> None:
    """Raise Invalid at the first parameter that is neither of these nor of every list, and at one that stands twice:
    which of the two was meant cannot be told."""
    unknown = sorted(set(request.args) - {*known, "limit", "cursor"})
    if unknown:
        raise Invalid({"/" + unknown[0][:MOST_NAMED]: gettext("There is no such filter.")})
    twice = sorted(name for name, values in request.args.lists() if len(values) > 1)
    if twice:
        raise Invalid({"/" + twice[0]: gettext("Give this once.")})


def asked_limit() -> int:
    """How many items are wanted. Raises Invalid."""
    given = request.args.get("limit", str(USUAL))
    if not given.isascii() or not given.isdigit() or len(given) > 3 or not 1 <= int(given) <= MOST:
        raise Invalid({"/limit": gettext("A whole number from 1 to %(most)s.", most=MOST)})
    return int(given)


def asked_flag(name: str) -> bool | None:
    """What this filter says: true or false; None when it is not there. Raises Invalid."""
    given = request.args.get(name)
    if given not in {None, "true", "false"}:
        raise Invalid({"/" + name: gettext("Either true or false.")})
    return None if given is None else given == "true"


def asked_instant(name: str) -> datetime | None:
    """The instant of this filter, in UTC. Raises Invalid."""
    given = request.args.get(name)
    if given is None:
        return None
    try:
        instant = datetime.fromisoformat(given)
        if instant.tzinfo is not None:
            return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise Invalid({"/" + name: gettext("This is not an ISO 8601 instant with a zone.")})
