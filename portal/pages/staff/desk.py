"""/staff: find the person who is calling, or the call that was refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.core.access import Capability
from portal.support.queue import own_desk, waiting_cases
from portal.support.search import MOST_HITS, Clue, search_desk, without_secrets
from portal.usage.refusal_reading import was_allowed
from portal.web.found import CLUES, suggestions, typed_search
from portal.web.gates import requires
from portal.web.identity import actor

if TYPE_CHECKING:
    from portal.support.search import Hit

WAITING_SHOWN = 10
blueprint = Blueprint("desk", __name__)


@blueprint.get("")
@requires(Capability.USER_FIND)
def index() -> ResponseReturnValue:
    """One search box, a single hit opens at once; before anything is searched, what is mine to do and who waits."""
    typed, who = typed_search(), actor()
    if typed:
        return _found(typed)
    return render_template(
        "staff/desk/index.html",
        q="",
        hits=[],
        allowed=False,
        mine=own_desk(who),
        waiting=waiting_cases(who, size=WAITING_SHOWN),
    )


@blueprint.get("/suggestions.json")
@requires(Capability.USER_FIND)
def suggest() -> dict[str, Any]:
    """What the search box suggests while somebody types."""
    return suggestions(place_of)


def _found(typed: str) -> ResponseReturnValue:
    search = without_secrets(typed)
    if search != typed:  # a whole key must not stay in the address bar, nor in the history of the browser
        return redirect(url_for("staff.desk.index", q=search))
    hits, allowed = search_desk(actor(), search), was_allowed(search)
    if len(hits) == 1 and not allowed:
        return redirect(place_of(hits[0]))
    found = [(hit, place_of(hit), CLUES[hit.clue]) for hit in hits]
    return render_template("staff/desk/index.html", q=search, hits=found, most=MOST_HITS, allowed=allowed)


def place_of(hit: Hit) -> str:
    """The page of the desk that a hit leads to."""
    match hit.clue:
        case Clue.REFUSAL:
            return url_for("staff.users.refusal", user_id=hit.id, decision_id=hit.thing)
        case Clue.CONVERSATION:
            return url_for("staff.users.logs", user_id=hit.id, conversation=hit.thing)
        case Clue.LOG:
            return url_for("staff.users.logs", user_id=hit.id, q=hit.thing)
        case Clue.CASE:
            return url_for("staff.cases.show", number=hit.thing)
        case _:
            return url_for("staff.users.show", user_id=hit.id)
