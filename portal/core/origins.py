"""Origins of pages, as browsers send them in the header Origin (RFC 6454, 6.2)."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

USUAL_PORTS = {"http": 80, "https": 443}
SHAPE = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


def is_origin(text: str) -> bool:
    """Whether a browser sends this, letter by letter: a scheme and a host in small letters (international names as
    xn--…), a port only where it is not the scheme's usual one, and nothing behind."""
    if not SHAPE.fullmatch(text):
        return False
    try:
        parts = urlsplit(text)
        usual = parts.port == USUAL_PORTS.get(parts.scheme)
        return parts.port is None or (not usual and text.endswith(f":{parts.port}"))
    except ValueError:
        return False
