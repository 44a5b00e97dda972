"""What a search box found, for the list below it and for what it suggests while somebody types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from portal.core.text import lazy_gettext as words
from portal.support.search import MOST_TYPED, Clue, search_desk
from portal.web.avatars import initials_of, palette_of
from portal.web.identity import actor
from portal.web.lists import typed

if TYPE_CHECKING:
    from collections.abc import Callable

    from portal.core.text import Shown
    from portal.support.search import Hit

MOST_SUGGESTED = 8
# Nobody means all who begin with one letter.
LEAST_TYPED = 2
CLUES: dict[Clue, Shown] = {
    Clue.NAME: "",
    Clue.EMAIL: words("by e-mail address"),
    Clue.KEY: words("by API key"),
    Clue.ACCOUNT: words("by account ID"),
    Clue.REFUSAL: words("refused call"),
    Clue.SPENT: words("call let through"),
    Clue.REQUEST: words("by request ID"),
    Clue.CONVERSATION: words("conversation"),
    Clue.LOG: words("message log"),
    Clue.CASE: words("case"),
}


def typed_search() -> str:
    """What stands in the search box, of keys still all of it."""
    return typed("q", most=MOST_TYPED).strip()


def suggestions(place_of: Callable[[Hit], str]) -> dict[str, Any]:
    """The first hits for what was typed so far, each with the address that it leads to."""
    wanted = typed_search()
    hits = search_desk(actor(), wanted, most=MOST_SUGGESTED) if len(wanted) >= LEAST_TYPED else []
    return {
        "hits": [
            {
                "url": place_of(hit),
                "name": hit.display_name or hit.username,
                "detail": " · ".join(filter(None, (hit.username, hit.email, str(CLUES[hit.clue])))),
                "initials": initials_of(hit.display_name or hit.username),
                "palette": palette_of(hit.username),
            }
            for hit in hits
        ]
    }
