"""A body is taken apart so that a record nobody can read leaves the others alone."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.messages.records import MOST_RECORDS, NDJSON, NoJson, UnreadableRecord, split_body

JSON = "application/json"
GOOD: dict[str, Any] = {"id": "a", "n": [1, {"b": '],}\\"['}], "t": 'say "x": {'}
# (what is wrong, the record as it is sent, a word of the reason, the id it is told by)
UNREADABLE = [
    ("half a character", rb'{"id": "x", "prompt": "\ud800"}', "surrogate", "x"),
    ("half a character as a name", rb'{"id": "x", "metadata": {"\udfff": 1}}', "surrogate", "x"),
    ("half a character as the id", rb'{"id": "\ud83d", "prompt": "x"}', "surrogate", None),
    ("a number without end", b'{"id": "x", "metadata": {"a": 1e400}}', "1e400", "x"),
    ("one below all numbers", b'{"id": "x", "metadata": {"a": -1e999}}', "-1e999", "x"),
    ("a field given twice", b'{"id": "x", "prompt": "a", "prompt": "b"}', "twice: prompt", "x"),
    ("a field given twice within", b'{"id": "x", "messages": [{"role": "a", "role": "b"}]}', "twice: role", "x"),
    (
        "a field given twice, once escaped",
        rb'{"id": "x", "prompt": ":", "prom\u0070t": "\u003a"}',
        "twice: prompt",
        "x",
    ),
    ("nested past the reader", b'{"id": "x", "metadata": ' + b"[" * 5000 + b"]" * 5000 + b"}", "deep", None),
    ("nested past the writer", b'{"id": "x", "metadata": ' + b"[" * 500 + b"]" * 500 + b"}", "deep", None),
]
NO_JSON = [
    b"", b" ", b"{", b"[1,", b"\xff", b"nonsense", b'{"records": [{"id": "a"}', b'{"records": [{"id": "a"}, ]}',
    b'{"records": [{"id": "a"}, nonsense]}', b'{"records": [{"a": "\xff"}]}', b'{"records": [{]}]}', b'{"records": [}',
    b'{"records": [1], "more": "\\ud800"}', b'{"records": [1e400]', b'{"records": [1e400]} {}', b'{"a": NaN}',
    b'{"records": [-Infinity, 1e400]}', b'{"a": "\\ud800"', b'\xef\xbb\xbf{"a": "x"}', b"[" * 100_000,
    b'{"a": "' + b"\\" * 9, b'{"records": {"a": 1}}', b'{"records": [], "more": 1}', b'{"records": null}',
]  # fmt: skip


def told(records: list[Any]) -> list[Any]:
    """Reasons instead of what cannot be read."""
    return [str(record) if isinstance(record, UnreadableRecord) else record for record in records]


def test_each_form_is_taken_apart() -> None:
    one = json.dumps(GOOD).encode()
    assert split_body(one, JSON) == [GOOD]
    assert split_body(b'{"records": [' + one + b"," + one + b"]}", JSON) == [GOOD, GOOD]
    assert split_body(b"\n" + one + b"\r\n \n" + one, NDJSON) == [GOOD, GOOD]
    assert split_body(b'{"records": []}', JSON) == split_body(b" \n\n", NDJSON) == []


@pytest.mark.parametrize(
    ("raw", "word", "said_id"), [row[1:] for row in UNREADABLE], ids=[row[0] for row in UNREADABLE]
)
def test_what_cannot_be_read_says_why_and_the_rest_stands(raw: bytes, word: str, said_id: str | None) -> None:
    one = json.dumps(GOOD).encode()
    for found in (
        split_body(raw, JSON),
        split_body(b' {"records" : [ ' + one + b" , " + raw + b"," + one + b" ] } ", JSON)[1:2],
        split_body(one + b"\n" + raw + b"\n" + one, NDJSON)[1:2],
    ):
        assert len(found) == 1
        assert isinstance(found[0], UnreadableRecord)
        assert word in str(found[0])
        assert found[0].said_id == said_id
    whole = split_body(b'{"records": [' + one + b"," + raw + b"," + one + b"]}", JSON)
    assert [whole[0], whole[2]] == [GOOD, GOOD]


@pytest.mark.parametrize("body", NO_JSON, ids=lambda body: repr(body[:30]))
def test_what_is_no_json_is_refused_whole(body: bytes) -> None:
    with pytest.raises(NoJson):
        split_body(body, JSON)


def test_a_line_that_is_no_json_is_told_as_a_line() -> None:
    records = split_body(b'{"id": "a"}\n{"half\n\xff\nnull\n{"id": "b"}', NDJSON)
    assert told(records) == [{"id": "a"}, *["this is not valid JSON in UTF-8"] * 2, None, {"id": "b"}]


def test_an_escaped_colon_is_no_field() -> None:
    assert split_body(rb'{"a": "\u003a\u003A:"}', JSON) == [{"a": ":::"}]
    assert split_body(rb'{"records": [{"a": "\u003a"}, {"b": 1}]}', JSON) == [{"a": ":"}, {"b": 1}]


def test_no_more_is_read_than_may_be_sent() -> None:
    for body, kind in (
        (b"1\n" * 50_000, NDJSON),
        (b'{"records": [1e400' + b",1" * 50_000 + b"]}", JSON),
    ):
        assert len(split_body(body, kind)) == MOST_RECORDS + 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"records": [' + b"[" * 1_000_000,
        b'{"records": [1e400,"' + b'\\"' * 1_000_000,
        b'{"a": {' + b'"a":1,' * 330_000 + b'"a": 1}}',
        b'"' + b'\\"' * 1_000_000,
        b"\n" * 2_000_000,
        b'{"records"' + b" " * 2_000_000,
    ],
    ids=["brackets", "quotes in a batch", "twins", "quotes", "lines", "blanks"],
)
def test_no_body_takes_longer_than_its_length(body: bytes) -> None:
    began = time.process_time()
    for kind in (JSON, NDJSON):
        try:
            split_body(body, kind)
        except NoJson:
            continue
    assert time.process_time() - began < 5


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=200, deadline=None, database=None)
@given(st.lists(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), VALUES), max_size=5), st.booleans())
def test_whatever_is_good_is_read_as_it_is_beside_what_is_not(records: list[dict[str, Any]], ascii_only: bool) -> None:
    texts = [json.dumps(record, ensure_ascii=ascii_only) for record in records]
    plain = split_body(f'{{"records": [{",".join(texts)}]}}'.encode(), JSON)
    beside = split_body(f'{{"records": [{",".join([*texts, "[1e400]"])}]}}'.encode(), JSON)
    assert plain == beside[:-1] == records
    assert isinstance(beside[-1], UnreadableRecord)


@settings(max_examples=300, deadline=None, database=None)
@given(st.text('{}[],:"\\ ud8003a1e"records', max_size=60), st.sampled_from(["", '{"records": [', '{"a": "\\ud800", ']))
def test_no_body_is_a_fault(body: str, head: str) -> None:
    for kind in (JSON, NDJSON):
        try:
            assert isinstance(split_body((head + body).encode(), kind), list)
        except NoJson as error:
            assert str(error)
