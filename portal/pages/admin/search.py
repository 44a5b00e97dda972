"""/admin/search: the search box of the console. A single hit opens at once; names lead to the list of users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.core.access import Capability
from portal.core.ids import parse_id
from portal.support.search import MOST_HITS, Clue, search_desk, without_secrets
from portal.web.found import CLUES, suggestions, typed_search
from portal.web.gates import requires
from portal.web.identity import actor

if TYPE_CHECKING:
    from portal.support.search import Hit

blueprint = Blueprint("search", __name__, url_prefix="/search")


@blueprint.get("")
@requires(Capability.USER_READ)
def index() -> ResponseReturnValue:
    """Where what was typed leads to."""
    who, search = actor(), without_secrets(typed_search())
    hits = search_desk(who, search)
    if len(hits) == 1:
        return redirect(place_of(hits[0]))
    if not hits and (request_id := parse_id(search)) is not None and who.may(Capability.AUDIT_READ):
        return redirect(url_for("admin.audit.index", request=request_id.hex))
    if not hits or {hit.clue for hit in hits} <= {Clue.NAME, Clue.EMAIL}:
        return redirect(url_for("admin.users.index", q=search))
    found = [(hit, place_of(hit), CLUES[hit.clue]) for hit in hits]
    return render_template("admin/search/index.html", q=search, hits=found, most=MOST_HITS)


@blueprint.get("/suggestions.json")
@requires(Capability.USER_READ)
def suggest() -> dict[str, Any]:
    """What the search box suggests while somebody types."""
    return suggestions(place_of)


def place_of(hit: Hit) -> str:
    """The page of the console that a hit leads to."""
    match hit.clue:
        case Clue.REFUSAL:
            return url_for("admin.usage.refusal", user_id=hit.id, decision_id=hit.thing)
        case Clue.CONVERSATION:
            return url_for("admin.logs.index", user=hit.id, conversation=hit.thing)
        case Clue.LOG:
            return url_for("admin.logs.index", user=hit.id, q=hit.thing)
        case _:
            return url_for("admin.users.show", user_id=hit.id)
