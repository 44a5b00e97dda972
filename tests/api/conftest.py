"""The furnished house of the pages, for tests that walk every route of the machine door."""

from __future__ import annotations

from tests.pages.conftest import database_url, furnished, house

__all__ = ["database_url", "furnished", "house"]
