"""The header X-Reason: why a machine wants to read what a person said."""

from __future__ import annotations

from flask import request

from portal.core.actor import Actor
from portal.core.errors import Invalid
from portal.core.text import gettext
from portal.web.identity import actor

HEADER = "X-Reason"


def reason_given() -> bool:
    """Whether the header is there with anything in it."""
    return bool(request.headers.get(HEADER, "").strip())


def actor_with_reason() -> Actor:
    """Who acts, with the reason that the header gives. Raises Invalid at "/X-Reason" where there is none."""
    if not reason_given():
        raise Invalid({f"/{HEADER}": gettext("Say in this header why the content is needed.")})
    try:
        # A header comes as Latin-1; people write UTF-8.
        said = request.headers[HEADER].encode("latin-1").decode("utf-8", "replace")
        return actor().because(said)
    except Invalid as error:
        raise Invalid({f"/{HEADER}": words for words in error.fields.values()}) from error
