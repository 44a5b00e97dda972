"""Making demo data."""

from __future__ import annotations

from typing import Any


def seed_demo(*, users: int, logs: int, seed: int) -> dict[str, Any]:
    """Being written."""
    return {}
