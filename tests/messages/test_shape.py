"""What a record may look like, and the words in which any other is rejected."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portal.messages.flush import flush
from portal.messages.shape import BadRecord, Record, plain_text, read_record
from tests.messages.conftest import record

Push = Callable[..., list[tuple[str, str | None]]]
SOON = (datetime.now(UTC) + timedelta(days=3)).isoformat()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    ["id", "username", "user_id", "conversation_id", "model", "messages", "prompt", "usage", "timestamp", "metadata"]
)
# (what is wrong, the record, a word of the error)
REFUSED: list[tuple[str, Any, str]] = [
    ("no object", "hello", "object"),
    ("nothing", {}, "username"),
    ("an unknown field", record(colour="red"), "colour"),
    ("an unknown field in usage", record(usage={"tokens": 1}), "usage"),
    ("nobody", {"messages": [{"role": "user", "content": "hello"}]}, "username"),
    ("a name of another type", record(username=5), "username"),
    ("an empty name", record(username=""), "username"),
    ("a long name", record(username="a" * 321), "username"),
    ("an id that is none", record(user_id="alice"), "user_id"),
    ("an id of another type", record(user_id=5), "user_id"),
    ("a long id", record(id="i" * 129), "id"),
    ("an empty id", record(id=""), "id"),
    ("a number as id", record(id=5), "id"),
    ("a long conversation", record(conversation_id="c" * 129), "conversation_id"),
    ("a long model", record(model="m" * 81), "model"),
    ("no messages", {"username": "alice"}, "messages"),
    ("empty messages", record(messages=[]), "messages"),
    ("messages of another type", record(messages="hello"), "messages"),
    ("too many messages", record(messages=[{"role": "user", "content": ""}] * 1001), "messages"),
    ("a message without role", record(messages=[{"content": "hello"}]), "role"),
    ("a role of another type", record(messages=[{"role": 1, "content": "hello"}]), "role"),
    ("a message that is text", record(messages=["hello"]), "role"),
    ("content that is a number", record(messages=[{"role": "user", "content": 5}]), "content"),
    ("messages and a prompt", record(prompt="hello"), "prompt"),
    ("a prompt of another type", {"username": "alice", "prompt": 5}, "prompt"),
    ("both names of the user", record(user="alice"), "username"),
    ("both names of the time", record(timestamp="2026-01-01T00:00:00Z", created_at="2026-01-01T00:00:00Z"), "same"),
    ("negative tokens", record(usage={"prompt_tokens": -1}), "prompt_tokens"),
    ("tokens in fractions", record(usage={"prompt_tokens": 1.5}), "prompt_tokens"),
    ("tokens that are true", record(usage={"total_tokens": True}), "total_tokens"),
    ("tokens past 31 bits", record(usage={"output_tokens": 2**31}), "output_tokens"),
    ("tokens as text", record(usage={"input_tokens": "5"}), "input_tokens"),
    ("usage of another type", record(usage=[]), "usage"),
    ("negative latency", record(latency_ms=-1), "latency_ms"),
    ("latency in fractions", record(latency_ms=0.5), "latency_ms"),
    ("a time that is none", record(timestamp="yesterday"), "timestamp"),
    ("a time of another type", record(timestamp=1_700_000_000), "timestamp"),
    ("a time without a zone", record(timestamp="2026-01-01T00:00:00"), "zone"),
    ("a time to come", record(timestamp=SOON), "future"),
    ("a time long gone", record(timestamp="1999-12-31T00:00:00Z"), "2000"),
    ("the first of all times", record(timestamp="0001-01-01T00:00:00+23:59"), "timestamp"),
    ("the last of all times", record(timestamp="9999-12-31T23:59:59-23:59"), "timestamp"),
    ("metadata of another type", record(metadata=[1]), "metadata"),
    ("NUL in a message", record(messages=[{"role": "user", "content": "a\0b"}]), "NUL"),
    ("NUL in a name of metadata", record(metadata={"a\0": 1}), "NUL"),
    ("endless metadata", record(metadata=json.loads('{"a":' * 40 + "1" + "}" * 40)), "deep"),
    ("257 KiB", record(messages=[{"role": "user", "content": "x" * (257 * 1024)}]), "262144"),
]
KEPT: list[tuple[str, Any]] = [
    ("a prompt", {"username": "alice", "prompt": "hello"}),
    ("a prompt and a response", {"username": "alice", "prompt": "hello", "response": "good day"}),
    ("the other names", {"user": "alice", "prompt": "hello", "created_at": "2026-01-01T00:00:00+14:00"}),
    ("an e-mail as name", record(username="Alice@Example.org")),
    ("a name in capitals and blanks", record(username=" ALICE ")),
    ("input and output tokens", record(usage={"input_tokens": 1, "output_tokens": 2})),
    ("tokens that are null", record(usage={"prompt_tokens": None, "total_tokens": 2**31 - 1})),
    ("huge tokens", record(usage={"prompt_tokens": 2**31 - 1, "completion_tokens": 2**31 - 1})),
    ("nulls", record(id=None, conversation_id=None, model=None, usage=None, latency_ms=None, metadata=None)),
    ("content null and a call", record(messages=[{"role": "assistant", "content": None, "tool_calls": [{"id": "t"}]}])),
    ("content in parts", record(messages=[{"role": "user", "content": [{"type": "text", "text": "hello"}]}])),
    ("unknown members of a message", record(messages=[{"role": "user", "content": "hello", "name": "x", "mood": 1.5}])),
    ("deep metadata", record(metadata={"a": {"b": [1, {"c": None}]}})),
    ("metadata with huge numbers", record(metadata={"a": 2**63, "b": -(2**63), "c": 1e308})),
    ("128 characters of id", record(id="🔑" * 128)),
    ("emoji and right-to-left", record(messages=[{"role": "user", "content": "👩‍👩‍👧 שלום \u202e \uffff"}])),
    ("255 KiB", record(messages=[{"role": "user", "content": "x" * (255 * 1024)}])),
    ("1,000 messages", record(messages=[{"role": "user", "content": ""}] * 1000)),
]


@pytest.mark.parametrize(("raw", "word"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_each_refusal_names_what_is_wrong(raw: Any, word: str) -> None:
    with pytest.raises(BadRecord, match=word):
        read_record(raw)


def test_every_refusal_stands_in_the_answer_and_the_rest_is_taken(push: Push) -> None:
    batch = [record(id="first"), *(raw for _, raw, _ in REFUSED), record(id="last")]
    results = push(*batch)
    assert [status for status, _ in results] == ["accepted", *["rejected"] * len(REFUSED), "accepted"]
    for (name, _, word), (_, error) in zip(REFUSED, results[1:-1], strict=True):
        assert error is not None and word in error, name


def test_every_good_form_is_taken_and_stored(push: Push) -> None:
    assert push(*(raw for _, raw in KEPT)) == [("accepted", None)] * len(KEPT)
    done = flush()
    assert (done.stored, done.quarantined) == (len(KEPT), 0)


@settings(max_examples=300, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(NAMES | st.text(max_size=5), JSON, max_size=6))
def test_whatever_comes_is_understood_or_refused(raw: dict[str, Any]) -> None:
    try:
        made = read_record({"username": "alice", "prompt": "x", **raw})
    except BadRecord as error:
        assert str(error)
    else:
        assert isinstance(made, Record)
        assert isinstance(plain_text(made.messages), str)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"metadata": {"a": 2**70}}, "JSON cannot carry"),
        ({"metadata": json.loads("[" * 300 + "]" * 300)}, "nested"),
        ({"metadata": {"a": json.loads("[" * 40 + "]" * 40)}}, "nested"),
        ({"metadata": {"a\0": 1}}, "NUL"),
        ({"model": "\u0130" * 79}, "80"),  # two characters each when it is small
    ],
)
def test_what_no_body_can_hold_or_grows_when_kept_is_refused(fields: dict[str, Any], word: str) -> None:
    with pytest.raises(BadRecord, match=word):
        read_record(record(**fields))


def test_a_backslash_before_u0000_is_no_nul_and_many_brackets_are_not_deep() -> None:
    wide = {"metadata": {str(number): [[number]] for number in range(40)}}
    assert read_record(record(model="\\u0000", **wide)).extra == wide["metadata"]


def test_aliases_and_their_names_are_the_same_record() -> None:
    at = "2026-01-01T00:00:00Z"
    one = read_record({"username": "alice", "messages": [{"role": "user", "content": "x"}], "timestamp": at})
    other = read_record({"created_at": at, "messages": [{"content": "x", "role": "user"}], "user": "alice"})
    assert one.digest == other.digest


def test_any_other_content_is_another_record() -> None:
    bases = [record(id="a"), record(id="a", model="m"), record(id="a", latency_ms=1), record(id="a", metadata={"a": 1})]
    assert len({read_record(base).digest for base in bases}) == len(bases)
