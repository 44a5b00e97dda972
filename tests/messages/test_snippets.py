"""Snippets: the place of a hit, marked, as data; whoever shows them escapes them."""

from __future__ import annotations

from typing import Any

import pytest

from portal.messages.snippets import LENGTH, make_snippet


def said(*contents: Any) -> list[dict[str, Any]]:
    """Messages with these contents."""
    return [{"role": "user", "content": content} for content in contents]


def written(messages: list[dict[str, Any]], search: str) -> str:
    """A snippet with its hits in brackets."""
    return "".join(f"[{text}]" if marked else text for text, marked in make_snippet(messages, search))


@pytest.mark.parametrize(
    ("text", "search", "shown"),
    [
        ("a quick brown fox", "brown", "a quick [brown] fox"),
        ("a quick brown fox", "BROWN quick", "a [quick] [brown] fox"),
        ("a quick, brown fox", '"quick brown"', "a [quick, brown] fox"),
        ("brown quick", '"quick brown"', "brown quick"),
        ("foxes and a fox", "fox", "foxes and a [fox]"),
        ("foxes and a fox", "fox*", "[foxes] and a [fox]"),
        ("Zürich grüßt", "ZÜRICH", "[Zürich] grüßt"),
        ("Привет, мир", "мир", "Привет, [мир]"),
        ("a\n\n  b\tc", "b", "a [b] c"),
        ("O'Reilly (1.5*)", "(1.5*)", "O'Reilly ([1.5]*)"),
        ("a|b", "|", "a|b"),
        ("nothing of it", "else", "nothing of it"),
        ("nothing", "", "nothing"),
        ("", "x", ""),
        ("a\u202eb\x00c", "x", "abc"),
    ],
)
def test_hits_are_marked(text: str, search: str, shown: str) -> None:
    assert written(said(text), search) == shown


def test_a_long_text_is_cut_around_the_first_hit_at_words() -> None:
    text = "before " * 300 + "the lantern shines " + "after " * 300
    shown = written(said(text), "lantern")
    assert "the [lantern] shines" in shown
    assert shown.startswith("… before ")
    assert shown.endswith("after …")
    assert len(shown) < LENGTH + 20
    assert set(shown.split()) <= {"…", "before", "the", "[lantern]", "shines", "after"}


def test_words_without_a_blank_are_cut_too() -> None:
    assert len(written(said("x" * 10_000), "y")) < LENGTH + 20


def test_parts_of_a_content_and_calls_are_looked_at_as_the_search_does() -> None:
    parts = [{"type": "text", "text": "a harbour"}, {"type": "image_url", "url": "https://x.example/harbour"}]
    assert written(said(parts, None, "a ship"), "ship") == "a harbour a [ship]"


def test_markup_stays_text_and_pieces_together_are_the_text() -> None:
    text = "<script>alert(1)</script> & <mark>lantern</mark>"
    pieces = make_snippet(said(text), "lantern")
    assert "".join(part for part, _ in pieces) == text
    assert [part for part, marked in pieces if marked] == ["lantern"]


def test_a_hostile_search_ends_soon() -> None:
    assert written(said("a" * 50_000), "a* " * 12).startswith("[a")
    assert written(said("a " * 50_000), '"' + "a " * 60 + 'b"')
