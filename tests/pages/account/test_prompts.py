"""/account/prompts: kept, found, changed, answered later, deleted."""

from __future__ import annotations

from collections.abc import Callable

from tests.visitor import SeenPage, Visitor

LIST = "/account/prompts"
EVIL = '<script>alert("x")</script>'


def keep(alice: Visitor, title: str = "Greeting", content: str = "Say hello") -> SeenPage:
    """Fill the form of a new one."""
    return alice.send(alice.get(f"{LIST}/new"), {"title": title, "content": content})


def test_it_is_kept_shown_changed_and_answered_later(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    page = keep(alice)
    assert (page.status, page.title) == (200, "Greeting")
    assert "Open" in alice.get(LIST).text
    page = alice.send(page, {"title": "Better greeting", "response": "Hello!"}, to=page.path)
    assert page.title == "Better greeting"
    assert "Filled in" in alice.get(LIST).text
    assert page.code("response") == "Hello!"
    assert page.code("content") == "Say hello"


def test_every_word_is_text_and_no_markup(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    page = keep(alice, EVIL, f"\n{EVIL}\n  and more")
    assert (page.title, EVIL in page.html) == (EVIL, False)
    assert page.code("prompt-text").startswith(EVIL)
    assert EVIL not in alice.get(f"{LIST}?q=alert").html


def test_an_untouched_form_changes_nothing(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    page = keep(alice, content="\nfirst line\n  second")
    again = alice.send(page, to=page.path)
    assert again.code("prompt-text") == page.code("prompt-text")


def test_words_narrow_the_list(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    keep(alice, "Soup", "with leek")
    keep(alice, "Ship")
    assert "Soup" in alice.get(f"{LIST}?q=LEEK").text
    assert "Ship" not in alice.get(f"{LIST}?q=LEEK").text
    assert "Nothing found" in alice.get(f"{LIST}?q=elephant").text


def test_what_is_wrong_is_told_beside_it_and_nothing_typed_is_lost(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    page = keep(alice, "x" * 121, "a long text")
    assert page.status == 422
    assert page.code("content") == "a long text"
    assert "121" not in page.text
    assert keep(alice, content="").status == 422


def test_who_comes_too_late_overwrites_nothing(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    page = keep(alice)
    alice.send(page, {"title": "First"}, to=page.path)
    late = alice.send(page, {"title": "Second"}, to=page.path)
    assert late.status == 422
    assert late.code("title") == "Second"
    assert f'<a href="{page.path}">' in late.html
    assert alice.get(page.path).title == "First"


def test_deleted_is_gone(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    page = keep(alice)
    after = alice.send(page, to=f"{page.path}/delete")
    assert "No prompts yet" in after.text
    assert alice.get(page.path).status == 404


def test_a_long_list_has_pages(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    for number in range(52):
        keep(alice, f"number {number:02}")
    first = alice.get(LIST)
    shown = {link for link in first.links() if link.startswith(f"{LIST}/") and not link.endswith("/new")}
    (later,) = {link for link in first.links() if "cursor=" in link}
    rest = {link for link in alice.get(later).links() if link.startswith(f"{LIST}/") and not link.endswith("/new")}
    assert (len(shown), len(rest), shown & rest) == (50, 2, set())
