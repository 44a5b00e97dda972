"""Statements for both databases: the same values reach the same places, named or numbered."""

from __future__ import annotations

import sqlite3

from portal.core.statements import for_postgres, placed


def test_numbered_placeholders_take_the_values_of_their_names() -> None:
    text, picked = placed("SELECT :b, :a, :b || :a")
    assert text == "SELECT ?1, ?2, ?1 || ?2"
    assert sqlite3.connect(":memory:").execute(text, picked({"a": "x", "b": "y", "c": "z"})).fetchone() == (
        "y", "x", "yx",
    )  # fmt: skip


def test_one_value_is_placed_too() -> None:
    text, picked = placed("SELECT :only")
    assert sqlite3.connect(":memory:").execute(text, picked({"only": "x"})).fetchone() == ("x",)


def test_casts_and_percents_stay() -> None:
    assert for_postgres("SELECT a::text LIKE '%' || :b") == "SELECT a::text LIKE '%%' || %(b)s"
