"""Words that SQLite keeps packed are the same words, and take less room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from portal.core.database import db, dialect_name, transaction
from portal.core.packing import LEAST_BYTES, pack_text, unpack_text
from portal.messages.flush import flush
from portal.messages.models import MessageContent
from tests.conftest import Machine
from tests.people import make_account

LONG = "a lantern by the harbour, " * 80


@settings(max_examples=100, deadline=None, database=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=2 * LEAST_BYTES), st.integers(1, 9))
def test_what_is_packed_comes_out_again(words: str, times: int) -> None:
    assert unpack_text(pack_text(words * times)) == words * times


def test_only_what_gets_shorter_is_packed() -> None:
    assert pack_text("x" * (LEAST_BYTES - 1)) == "x" * (LEAST_BYTES - 1)
    assert len(pack_text(LONG)) < len(LONG) / 2
    noise = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(LEAST_BYTES))
    kept = pack_text(noise)
    assert (len(kept) if isinstance(kept, bytes) else len(kept.encode())) <= len(noise.encode())


def test_long_words_are_read_as_they_were_said(machine: Callable[..., Machine]) -> None:
    make_account("alice")
    machine("logs:write").post("/message-logs", {"username": "alice", "prompt": LONG, "response": "ü"})
    flush()
    row = db.session.query(MessageContent).one()
    assert [message["content"] for message in row.messages] == [LONG, "ü"]
    if dialect_name() == "sqlite":
        assert kept() == ("blob", True)


def test_words_kept_as_text_are_read_and_written_anew(machine: Callable[..., Machine]) -> None:
    make_account("alice")
    machine("logs:write").post("/message-logs", {"username": "alice", "prompt": "short"})
    flush()
    row = db.session.query(MessageContent).one()
    assert row.messages[0]["content"] == "short"
    with transaction():
        row.messages = [{"role": "user", "content": LONG}]
    db.session.expire_all()
    assert db.session.query(MessageContent).one().messages == [{"role": "user", "content": LONG}]


def kept() -> Any:
    """As what SQLite keeps the words, and whether in less room than they take."""
    found = db.session.execute(text("SELECT typeof(messages), length(messages) FROM message_contents")).one()
    return found[0], found[1] < len(LONG) // 2
