"""Saved prompts: each user's own, kept as typed, found again, changed by one at a time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.actor import Actor
from portal.core.database import db, transaction
from portal.core.errors import Conflict, Forbidden, Invalid, NotFound, Stale
from portal.core.ids import new_id
from portal.prompts import service
from portal.prompts.models import Prompt
from portal.prompts.service import PromptWords, change_prompt, create_prompt, delete_prompt, list_prompts, prompt_of
from portal.web.frame import Doorward
from tests.people import actor_named, make_account

SAID = PromptWords("Greeting", "Say hello")


@pytest.fixture
def alice(app: Doorward) -> Account:
    """Who keeps prompts; Bob lives too."""
    make_account("bob")
    return make_account("alice")


def keep(title: str = "Greeting", content: str = "Say hello", response: str | None = None) -> Prompt:
    """Alice keeps a prompt."""
    who = actor_named("alice")
    assert who.id is not None
    with transaction():
        return create_prompt(who, who.id, PromptWords(title, content, response))


def titles(search: str = "", **options: Any) -> list[str]:
    """What Alice finds."""
    who = actor_named("alice")
    assert who.id is not None
    return [prompt.title for prompt in list_prompts(who, who.id, search=search, **options).items]


def events() -> list[str]:
    """What was written down, and nothing of what it says."""
    found = db.session.scalars(select(AuditEntry).where(AuditEntry.event.startswith("prompt")).order_by(AuditEntry.id))
    written = [(one.event, str(one.facts)) for one in found]
    assert not [facts for _, facts in written if "hello" in facts or "Greeting" in facts]
    return [event for event, _ in written]


def test_it_is_kept_as_it_was_typed(alice: Account) -> None:
    prompt = keep("  Greet\u0065\u0301  ", "two\r\nlines  ", "an\r\nanswer")
    assert (prompt.title, prompt.content, prompt.response) == ("Greet\u00e9", "two\nlines  ", "an\nanswer")
    assert prompt.user_id == alice.id
    assert keep(response="").response is None


def test_the_response_is_filled_in_later(alice: Account) -> None:
    prompt = keep()
    assert prompt.response is None
    with transaction():
        changed = change_prompt(actor_named("alice"), alice.id, prompt.id, PromptWords("Greeting", "Say hello", "Hi!"))
    assert (changed.response, changed.content) == ("Hi!", "Say hello")
    assert events() == ["prompt.created", "prompt.changed"]


def test_a_change_of_nothing_leaves_nothing(alice: Account) -> None:
    prompt = keep()
    before = (prompt.updated_at, prompt.version)
    clock.shift(timedelta(hours=1))
    with transaction():
        same = change_prompt(actor_named("alice"), alice.id, prompt.id, SAID)
    assert (same.updated_at, same.version) == before
    assert events() == ["prompt.created"]


def test_two_who_change_it_at_once_do_not_overwrite_each_other(alice: Account) -> None:
    prompt = keep()
    version, who = prompt.version, actor_named("alice")
    with transaction():
        change_prompt(who, alice.id, prompt.id, PromptWords("Mine", "first"), version=version)
    with pytest.raises(Stale), transaction():
        change_prompt(who, alice.id, prompt.id, PromptWords("Mine too", "second"), version=version)
    with pytest.raises(Stale), transaction():
        delete_prompt(who, alice.id, prompt.id, version=version)
    assert titles() == ["Mine"]


def test_deleted_is_gone(alice: Account) -> None:
    prompt, who = keep(), actor_named("alice")
    with transaction():
        delete_prompt(who, alice.id, prompt.id)
    assert titles() == []
    with pytest.raises(NotFound):
        prompt_of(who, alice.id, prompt.id)
    assert events() == ["prompt.created", "prompt.deleted"]


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        (PromptWords("", "x"), {"title"}),
        (PromptWords("  ", ""), {"title", "content"}),
        (PromptWords("x" * 121, "x"), {"title"}),
        (PromptWords("a\nb", "x"), {"title"}),
        (PromptWords("x", " \n "), {"content"}),
        (PromptWords("x", "ä" * 32_769), {"content"}),
        (PromptWords("x", "x", "y" * 65_537), {"response"}),
        (PromptWords("x", "a\0b", "\ud800"), {"content", "response"}),
    ],
)
def test_what_cannot_be_kept_is_told_at_its_field(alice: Account, said: PromptWords, fields: set[str]) -> None:
    prompt, who = keep(), actor_named("alice")
    with pytest.raises(Invalid) as told, transaction():
        create_prompt(who, alice.id, said)
    assert set(told.value.fields) == fields
    with pytest.raises(Invalid) as told, transaction():
        change_prompt(who, alice.id, prompt.id, said)
    assert set(told.value.fields) == fields
    assert titles() == ["Greeting"]


def test_the_longest_there_may_be_is_kept(alice: Account) -> None:
    prompt = keep("t" * 120, "ä" * 32_768, "x" * 65_536)
    assert (len(prompt.title), len(prompt.content)) == (120, 32_768)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("", ["Percent", "Ship", "Soup"]),
        ("leek", ["Soup"]),
        ("LEEK soup", ["Soup"]),
        ("ariadne", ["Ship"]),
        ("leek ariadne", []),
        ("100%", ["Percent"]),
        ("%", ["Percent"]),
        ("_", []),
        ("\\", []),
    ],
)
def test_a_search_finds_every_word_wherever_it_stands(alice: Account, search: str, found: list[str]) -> None:
    keep("Soup", "A recipe with leek")
    keep("Ship", "Which one?", "The Ariadne")
    keep("Percent", "Give 100% today")
    assert sorted(titles(search)) == found


def test_what_was_changed_last_comes_first_and_pages_follow_each_other(alice: Account) -> None:
    made = [keep(f"number {number}") for number in range(5)]
    who = actor_named("alice")
    with transaction():
        change_prompt(who, alice.id, made[1].id, PromptWords("number 1", "again"))
    seen: list[str] = []
    cursor = None
    while True:
        page = list_prompts(who, alice.id, cursor=cursor, size=2)
        seen += [prompt.title for prompt in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert sorted(seen) == [f"number {number}" for number in range(5)]
    assert seen[0] == "number 1"


def test_there_is_an_end_to_how_many(alice: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MOST_PROMPTS", 2)
    keep(), keep()
    with pytest.raises(Conflict):
        keep()


def reached(who: Actor, user_id: UUID, prompt_id: UUID) -> set[str]:
    """What comes of every act on a prompt."""
    told = set()
    for act in (
        lambda: list_prompts(who, user_id),
        lambda: prompt_of(who, user_id, prompt_id),
        lambda: create_prompt(who, user_id, SAID),
        lambda: change_prompt(who, user_id, prompt_id, SAID),
        lambda: delete_prompt(who, user_id, prompt_id),
    ):
        try:
            act()
        except (Forbidden, NotFound) as refused:
            told.add(type(refused).__name__)
        else:
            told.add("done")
        finally:
            db.session.rollback()
    return told


@pytest.mark.parametrize("name", ["bob", "tess", "tara", "ada", "max"])
def test_nobody_reaches_those_of_another(alice: Account, name: str) -> None:
    prompt = keep()
    if name != "bob":
        make_account(name)
    assert reached(actor_named(name), alice.id, prompt.id) == {"Forbidden"}
    assert titles() == ["Greeting"]


def test_a_prompt_is_found_under_its_owner_only(alice: Account) -> None:
    prompt, bob = keep(), actor_named("bob")
    assert bob.id is not None
    for user_id, prompt_id in ((bob.id, prompt.id), (bob.id, new_id())):
        with pytest.raises(NotFound):
            prompt_of(bob, user_id, prompt_id)
    ada = make_account("ada")
    for user_id in (ada.id, new_id()):
        assert reached(operator_actor(), user_id, prompt.id) == {"NotFound"}
