"""What the token endpoint refuses with: the errors of RFC 6749, 5.2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal.core.errors import PortalError
from portal.core.text import lazy_gettext

if TYPE_CHECKING:
    from portal.core.errors import Trace
    from portal.core.text import Shown

CODES = {"invalid_client": (401, "UNAUTHENTICATED")}


class GrantRefused(PortalError):
    """No tokens. `error` is RFC 6749's word for why."""

    status = 400
    code = "INVALID"
    title = lazy_gettext("No tokens for this")
    words = lazy_gettext("What was given is not right, or is good no more.")

    def __init__(self, error: str, words: Shown | None = None, *, trace: tuple[Trace, ...] = ()) -> None:
        super().__init__(words, trace=trace)
        self.error = error
        self.status, self.code = CODES.get(error, (400, "INVALID"))
