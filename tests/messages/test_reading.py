"""Reading and searching one's own conversations: the same words find the same on both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from portal.core.database import db, dialect_name
from portal.core.errors import Forbidden, NotFound
from portal.messages import hits
from portal.messages.flush import flush
from portal.messages.models import MessageContent
from portal.messages.reading import LogFilter, own_conversation, own_conversations, own_hits
from portal.messages.searching import matching_words
from tests.conftest import Machine
from tests.messages.conftest import record
from tests.people import actor_named, make_account
from tests.visitor import Visitor

Push = Callable[..., list[tuple[str, str | None]]]
SAID = {
    "fox": "The quick brown fox jumps over the lazy dog.",
    "lantern": "A lazy afternoon by the lantern light",
    "dogs": "Dogs and foxes; quick-witted ones!",
    "umlaut": "Zürich grüßt: ÄRGER im café, naïve Straße",
    "cyrillic": "Привет, мир",
    "number": "Order 66 costs 3.14 or 1,000",
    "code": "def main(): return O'Reilly",
    "lines": "First line\nsecond line\ttabbed \\backslashed",
}
# What a person types → what must be found.
WANTED = {
    "lazy": {"fox", "lantern"},
    "LAZY": {"fox", "lantern"},
    "lazy dog": {"fox"},
    "dog lazy": {"fox"},
    '"lazy dog"': {"fox"},
    '"dog lazy"': set(),
    '"lazy dog" quick': {"fox"},
    "dog": {"fox"},
    "dog*": {"fox", "dogs"},
    "DOG*": {"fox", "dogs"},
    "lan*": {"lantern"},
    "fox*": {"fox", "dogs"},
    "quick": {"fox", "dogs"},
    "quick-witted": {"dogs"},
    "dog.": {"fox"},
    '"the lazy dog"': {"fox"},
    '"quick witted ones"': {"dogs"},
    '"second line"': {"lines"},
    '"line second"': {"lines"},
    '"lines and"': set(),
    "nothing": set(),
    "lazy nothing": set(),
    "zürich": {"umlaut"},
    "ZÜRICH": {"umlaut"},
    "zurich": set(),
    "cafe": set(),
    "café": {"umlaut"},
    "ärger": {"umlaut"},
    "привет": {"cyrillic"},
    "мир": {"cyrillic"},
    "tabbed": {"lines"},
    '"line tabbed backslashed"': {"lines"},
    "66": {"number"},
    "1,000": {"number"},
    # Roles, types and names of calls are no words that anybody said.
    "user": set(),
    "assistant": set(),
    "text": set(),
    "get_weather": set(),
}
ODD = [
    '"', '""', '"a', 'a"', '" "', "*", "**", "a*b", "*a", "-", "--", "-lazy", "+", "^", "^a", "(", ")", "(a", "a)", ":",
    "words:lazy", "rowid:1", "AND", "OR", "NOT", "a AND", "NEAR", "NEAR(a b)", "a NOT b", "{a}", "[a]", "'", "''", "\\",
    "%", "_", "_*", "a_b*", "&", "|", "!", "a & b", "<->", "🔑", "🔑*", "\u202e", "\ufeff", "a\u0301*", "ß*", "\t", ";",
    '"*"', '"a*"', '"a"*', "a " * 100, "x" * 300, "0x", "1e5*", "-1*", "@", "#", "a@b.example", "http://a.example/b?c=d",
]  # fmt: skip


@pytest.fixture
def told(push: Push) -> None:
    """Alice has said all this; Bob has said nothing that she may find."""
    make_account("bob")
    push(*(record(conversation_id=name, messages=[{"role": "user", "content": words}]) for name, words in SAID.items()))
    push({"username": "bob", "prompt": "lazy dog, quick fox", "conversation_id": "bobs"})
    call = {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "name": "get_weather"}]}
    push(record(conversation_id="call", messages=[call]))
    flush()


def found(search: str, name: str = "alice") -> set[str]:
    """The callers' ids of the conversations that a search finds."""
    return {one.talk.source_id for one in own_hits(actor_named(name), LogFilter(search=search)).items}


@pytest.mark.parametrize("way", ["the newest looked through", "all gathered", "looked further"])
def test_words_phrases_and_beginnings_find_the_same_everywhere(
    told: None, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way != "the newest looked through":
        monkeypatch.setattr(hits, "FIRST", 1)
        further = None if way == "all gathered" else 1_000
        monkeypatch.setattr(hits, "_next_window", lambda *_, **__: further)
    assert {search: found(search) for search in WANTED} == WANTED


def test_the_search_uses_its_index(told: None) -> None:
    if dialect_name() == "sqlite":
        return  # there is no other way to ask it
    query = select(MessageContent.number).where(matching_words("lazy dog*")).compile(db.engine)
    connection = db.session.connection()
    connection.exec_driver_sql("SET enable_seqscan = off")
    plan = connection.exec_driver_sql(f"EXPLAIN {query}", query.params)
    assert "ix_search_messages" in "".join(row[0] for row in plan)


def test_no_search_is_all_of_ones_own(told: None) -> None:
    assert found("") == found("   ") == {*SAID, "call"}
    assert found("", "bob") == {"bobs"}


def test_words_in_parts_of_content_are_found(push: Push) -> None:
    parts = [{"type": "text", "text": "a harbour"}, {"type": "image_url", "url": "https://pictures.example/x"}]
    push(record(conversation_id="parts", messages=[{"role": "user", "content": parts}]))
    flush()
    assert (found("harbour"), found('"a harbour"'), found("image_url")) == ({"parts"}, {"parts"}, set())


def test_a_phrase_does_not_reach_from_one_record_into_the_next(push: Push) -> None:
    push(
        record(conversation_id="c", prompt=None),
        *(record(conversation_id="c", messages=[{"role": "user", "content": w}]) for w in ("red", "boat")),
    )
    flush()
    assert (found('"red boat"'), found("red"), found("boat")) == (set(), {"c"}, {"c"})


def test_whatever_is_typed_gets_the_same_answer_both_ways(
    told: None, person: Callable[..., Visitor], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = {search: found(search) for search in ODD}
    assert all(one <= {*SAID, "call"} for one in looked.values())
    monkeypatch.setattr(hits, "FIRST", 1)
    monkeypatch.setattr(hits, "_next_window", lambda *_, **__: None)
    assert {search: found(search) for search in ODD} == looked


def test_pages_of_hits_follow_each_other_both_ways_and_back(push: Push, monkeypatch: pytest.MonkeyPatch) -> None:
    push(*(record(id=f"{n:02}", timestamp=f"2026-01-01T00:{n * 7 % 60:02}:00Z",
                  messages=[{"role": "user", "content": "boat" if n % 3 else "ship"}]) for n in range(60)))  # fmt: skip
    flush()
    alice, wanted = actor_named("alice"), LogFilter(search="boat")
    for first, further in ((500, None), (3, None), (3, 7), (3, 1_000)):
        monkeypatch.setattr(hits, "FIRST", first)
        monkeypatch.setattr(hits, "_next_window", lambda *_, to=further, **__: to)
        there, cursor = [], None
        while True:
            page = own_hits(alice, wanted, cursor, size=6)
            there.append([log.source_id for one in page.items for log, _ in one.hits])
            if not page.next_cursor:
                break
            cursor = page.next_cursor
        assert [len(part) for part in there] == [6] * 6 + [4]
        minutes = [int(one) * 7 % 60 for part in there for one in part]
        assert minutes == sorted(minutes, reverse=True)
        back = [there[-1]]
        while page.previous_cursor:
            page = own_hits(alice, wanted, page.previous_cursor, size=6)
            back.insert(0, [log.source_id for one in page.items for log, _ in one.hits])
        assert back == there


def test_the_page_takes_whatever_is_typed(person: Callable[..., Visitor]) -> None:
    carol = person("carol")
    for search in [*ODD[:12], "a\0b", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")]:
        assert carol.get("/account/conversations", query_string={"q": search}).status == 200, search


def test_what_others_said_hides_nothing_of_ones_own(push: Push) -> None:
    make_account("bob")
    for part in range(3):
        push(*(record(id=f"{part}-{n}", messages=[{"role": "user", "content": "a lantern"}]) for n in range(700)))
    push({"username": "bob", "prompt": "my lantern", "conversation_id": "bobs"})
    flush()
    assert found("lantern", "bob") == {"bobs"}


def test_a_model_narrows_the_list(push: Push) -> None:
    push(
        record(conversation_id="one", model="m-1"),
        record(conversation_id="two", model="m-2"),
        record(conversation_id="none"),
    )
    flush()
    alice = actor_named("alice")
    for model, search, left in (("m-1", "", ["one"]), ("m-3", "", []), ("M-2", "hello", ["two"]), ("m-2", "x", [])):
        found = own_hits(alice, LogFilter(model=model, search=search)).items
        assert [one.talk.source_id for one in found] == left, (model, search)


def test_the_list_goes_on_from_page_to_page(push: Push) -> None:
    stamps = [f"2026-01-01T{n // 60:02}:{n % 60:02}:00Z" for n in range(120)]
    push(*(record(conversation_id=f"c-{n:03}", timestamp=stamp) for n, stamp in enumerate(stamps)))
    flush()
    seen, cursor = [], None
    while True:
        page = own_conversations(actor_named("alice"), cursor=cursor)
        seen += [one.source_id for one in page.items]
        if not (cursor := page.next_cursor):
            break
    assert seen == [f"c-{n:03}" for n in reversed(range(120))]


def test_a_conversation_is_read_in_its_order(push: Push) -> None:
    for hour in (11, 9, 10):
        push(record(id=str(hour), conversation_id="c", model=f"m-{hour}", timestamp=f"2026-01-01T{hour:02}:00:00Z"))
    flush()
    alice = actor_named("alice")
    (one,) = own_conversations(alice).items
    _, exchanges = own_conversation(alice, one.id)
    assert [exchange.model for exchange in exchanges] == ["m-9", "m-10", "m-11"]
    assert exchanges[0].messages == [{"role": "user", "content": "hello"}]


def test_another_persons_conversation_is_not_found(told: None, machine: Callable[..., Machine]) -> None:
    (one,) = own_conversations(actor_named("bob")).items
    with pytest.raises(NotFound):
        own_conversation(actor_named("alice"), one.id)
    make_account("tess")
    with pytest.raises(Forbidden):
        own_conversation(actor_named("tess"), one.id)
