"""/api/docs: the API for people: its document, what each error means, what changed. Open to everybody."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask import Blueprint, current_app, render_template
from flask.typing import ResponseReturnValue

from portal.api.changes import CHANGES
from portal.api.openapi import document_of
from portal.api.problem_shapes import ALL
from portal.core.text import lazy_gettext as words

if TYPE_CHECKING:
    from portal.core.text import Shown

blueprint = Blueprint("api_docs", __name__, url_prefix="/api/docs")

REMEDIES: dict[str, Shown] = {
    "MALFORMED": words("Send valid JSON in UTF-8, each member once, and no secret in the address."),
    "UNAUTHENTICATED": words("Send a good token in the header Authorization; refresh an access token that is over."),
    "FORBIDDEN": words(
        "Ask for the scope or permission that the operation names. Staff name their open case in X-Case. Where detail"
        " speaks of something else, do that: the same call again gets the same answer."
    ),
    "REAUTH_REQUIRED": words("Get new tokens with the password, and the second factor where there is one; then again."),
    "NOT_FOUND": words("Check the address and the ids. What a caller may not know of answers like what is not there."),
    "METHOD_NOT_ALLOWED": words("The address is right and the method is not: the header Allow names those there are."),
    "CONFLICT": words("Read the record again, and decide whether the call still makes sense."),
    "STALE": words("Read the record again, repeat the change on what it is now, and send its new ETag as If-Match."),
    "TOO_LARGE": words("Send less at once."),
    "UNSUPPORTED_TYPE": words("Send the media type that the operation names, such as application/json."),
    "INVALID": words("Look at errors: each names by its pointer what is wrong. Sent again unchanged it fails again."),
    "IDEMPOTENCY_MISMATCH": words("Use a new Idempotency-Key for a new call, the old one only for the very same call."),
    "RATE_LIMITED": words("Wait as many seconds as Retry-After says; RateLimit tells beforehand what is left."),
    "UNAVAILABLE": words("Try again after as many seconds as Retry-After says, with the same Idempotency-Key."),
    "INTERNAL": words("Try again later. If it stays, tell us the request_id: it finds the fault in our logs."),
}


@dataclass(frozen=True, slots=True)
class Told:
    """One code, as the page tells it."""

    code: str
    status: int
    title: Shown
    meaning: Shown
    remedy: Shown


@dataclass(frozen=True, slots=True)
class Heading:
    """Operations about one thing."""

    name: str
    description: str
    operations: list[dict[str, Any]] = field(default_factory=list)


@blueprint.get("")
def index() -> ResponseReturnValue:
    """The document, drawn by script where scripts run."""
    return render_template("public/api_docs/index.html", headings=_headings())


@blueprint.get("/errors")
def errors() -> ResponseReturnValue:
    """Every code of an error: what it means and what to do."""
    told = [Told(one.code, one.status, one.title, one.words, REMEDIES[one.code]) for one in ALL]
    return render_template("public/api_docs/errors.html", errors=told)


@blueprint.get("/changes")
def changes() -> ResponseReturnValue:
    """What changed in the API, and what may."""
    return render_template("public/api_docs/changes.html", changes=CHANGES)


def _headings() -> list[Heading]:
    document = document_of(current_app)
    found = {tag["name"]: Heading(tag["name"], tag["description"]) for tag in document["tags"]}
    for address, operations in document["paths"].items():
        for method, operation in operations.items():
            told = {"method": method.upper(), "address": address, "summary": operation["summary"]}
            found[operation["tags"][0]].operations.append(told)
    return list(found.values())
