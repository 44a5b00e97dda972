"""/status and / for anybody."""

from __future__ import annotations

from tests.visitor import Visitor


def test_status_says_in_words_that_it_works(visitor: Visitor) -> None:
    page = visitor.get("/status")
    assert page.status == 200
    assert "SQLite" not in page.text
    assert "PostgreSQL" not in page.text


def test_the_start_page_leads_in(visitor: Visitor) -> None:
    assert {"/sign-in", "/register"} <= set(visitor.get("/").links())
