"""Letters and colours that stand for a person."""

from __future__ import annotations

import hashlib
import re

PALETTES = ("blue", "azure", "indigo", "purple", "pink", "orange", "lime", "teal")


def palette_of(name: str) -> str:
    """The colour of a person's avatar: always the same for the same name."""
    return PALETTES[hashlib.sha256(name.encode()).digest()[0] % len(PALETTES)]


def initials_of(name: str) -> str:
    """Up to two letters for an avatar."""
    words = [word for word in re.split(r"[\s._-]+", name) if word]
    return "".join(word[0] for word in words[:2]).upper() or "?"
