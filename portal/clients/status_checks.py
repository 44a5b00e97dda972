"""Status checks: signs of life of those who call."""

from __future__ import annotations


def tidy_status_checks() -> int:
    """Delete what is too old to be looked at. Returns how many."""
    return 0
