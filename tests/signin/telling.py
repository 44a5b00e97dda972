"""What an answer tells, to compare with what another tells."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.visitor import SeenPage


def told(page: SeenPage, name: str) -> tuple[int, str, list[tuple[str, str]]]:
    """All that an answer tells, but for what was typed and what is random."""
    html = page.bare.replace(name, "NAME")
    kept = []
    for header, value in page.response.headers:
        if header == "Set-Cookie":
            kept.append((header, re.sub(r"=[^;]+", "=V", value, count=1)))
        elif header not in {"X-Request-Id", "Content-Length", "Retry-After"}:
            kept.append((header, value))
    return page.status, html, kept
