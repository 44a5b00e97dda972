"""Snippets: the place in what was said where a search found its words.

Made here, from content that was opened for who sees it, so that they look the same on both databases. A snippet is
data: pieces of text, each marked or not. Whoever shows it escapes the pieces.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

from portal.messages.searching import Part, parts_of
from portal.messages.shape import plain_text

if TYPE_CHECKING:
    from collections.abc import Sequence

# (text, whether it is what was looked for)
Piece = tuple[str, bool]
BEFORE, LENGTH = 60, 200
# A longer text is looked at up to here: a snippet is a help for the eye, the search itself looked at all of it.
MOST = 100_000


def make_snippet(messages: Sequence[dict[str, Any]], search: str = "") -> list[Piece]:
    """The surroundings of the first hit, with all hits in them marked; the beginning where none is found."""
    said = " ".join(plain_text(list(messages))[:MOST].split())
    said = "".join(char for char in said if not unicodedata.category(char).startswith("C"))
    pattern = _pattern_of(parts_of(search))
    first = pattern.search(said) if pattern else None
    start = _word_start(said, max(0, first.start() - BEFORE)) if first else 0
    end = _word_end(said, max(start + LENGTH, first.end() if first else 0))
    pieces = _pieces(said[start:end], pattern)
    if start:
        pieces.insert(0, ("… ", False))
    if end < len(said):
        pieces.append((" …", False))
    return pieces


def _pattern_of(parts: list[Part]) -> re.Pattern[str] | None:
    """What any of the parts looks like in a text: its words in a row, whatever stands between them."""
    ways = []
    for part in parts:
        words = re.findall(r"[^\W_]+", part.words)
        if words:
            ways.append(r"[\W_]+".join(map(re.escape, words)) + (r"[^\W_]*" if part.prefix else ""))
    if not ways:
        return None
    longest = sorted(ways, key=len, reverse=True)
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(longest)})(?![^\W_])", re.IGNORECASE)


def _word_start(said: str, place: int) -> int:
    """The beginning of the first word from here on; here, where that is far."""
    if place == 0:
        return 0
    blank = said.find(" ", place, place + BEFORE // 2)
    return blank + 1 if blank >= 0 else place


def _word_end(said: str, place: int) -> int:
    """The end of the last word up to here; here, where that is far."""
    if place >= len(said):
        return len(said)
    blank = said.rfind(" ", place - BEFORE // 2, place)
    return blank if blank > 0 else place


def _pieces(text: str, pattern: re.Pattern[str] | None) -> list[Piece]:
    pieces: list[Piece] = []
    place = 0
    for hit in pattern.finditer(text) if pattern else ():
        if hit.start() > place:
            pieces.append((text[place : hit.start()], False))
        pieces.append((hit.group(), True))
        place = hit.end()
    if place < len(text) or not pieces:
        pieces.append((text[place:], False))
    return pieces
