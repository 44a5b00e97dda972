"""The headers X-Reason and X-Case: why something is read or done, and in which case staff act."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from flask import request

from portal.core.actor import Actor
from portal.core.errors import Invalid
from portal.core.text import gettext
from portal.web.acting import acting_by_header
from portal.web.identity import actor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

HEADER = "X-Reason"
CASE = "X-Case"


def reason_given() -> bool:
    """Whether the header is there with anything in it."""
    return bool(request.headers.get(HEADER, "").strip())


def actor_with_reason() -> Actor:
    """Who acts, with the reason that the header gives. Raises Invalid at "/X-Reason" where there is none."""
    if not reason_given():
        raise Invalid({f"/{HEADER}": gettext("Say in this header why the content is needed.")})
    with faults_at_header():
        return actor().because(_reason())


def acting_on(user_id: UUID, reason: str | None = None) -> Actor:
    """Who acts on this user: staff in the case that X-Case names, for the reason that X-Reason gives.

    `reason` is one that the body gave. Raises CaseNeeded, Invalid at "reason".
    """
    return acting_by_header(user_id, reason or (_reason() if reason_given() else None))


def looking_at(user_id: UUID) -> Actor:
    """Who looks at this user: it wants no case, but where one is named it must be theirs. Raises as `acting_on`."""
    if request.headers.get(CASE, "").strip():
        return acting_on(user_id)
    return actor().because(_reason()) if reason_given() else actor()


@contextmanager
def faults_at_header() -> Iterator[None]:
    """Tell what is wrong with a reason at the header that gives it. Raises Invalid at "/X-Reason"."""
    try:
        yield
    except Invalid as error:
        told = {f"/{HEADER}" if name == "reason" else name: words for name, words in error.fields.items()}
        raise Invalid(told, error.words, trace=error.trace) from error


def _reason() -> str:
    # A header comes as Latin-1; people write UTF-8.
    return request.headers[HEADER].encode("latin-1").decode("utf-8", "replace")
