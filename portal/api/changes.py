"""What changed in the API, newest first; docs/api-changes.md tells the same with the rule of what may."""

from __future__ import annotations

from dataclasses import dataclass

from portal.core.text import Shown, lazy_gettext


@dataclass(frozen=True, slots=True)
class Change:
    """One version of the contract, and what it brought."""

    version: str
    words: Shown


CHANGES = (
    Change(
        "1.0",
        lazy_gettext(
            "The first: tokens, one's own account, users, plans and credits, keys, spending, message logs, status"
            " checks, the audit log, and this document."
        ),
    ),
)
VERSION = CHANGES[0].version
