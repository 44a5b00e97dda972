"""Everything of conversations with ENCRYPT_MESSAGES on: read by whoever may, and no word of it lies open anywhere."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from portal.accounts.models import Account
from portal.backup.making import make_backup
from portal.core.access import operator_actor
from portal.core.data_keys import DataKey, destroy_data_key
from portal.core.database import db, transaction
from portal.core.settings import Settings
from portal.messages.flush import flush
from portal.messages.models import MessageContent, MessageLog, QuarantinedRecord, SealedContent
from portal.messages.spool_file import FileSpool
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.messages.canaries import places_of
from tests.messages.conftest import changed, last_line, leave_behind, record
from tests.people import make_account
from tests.valkey import Valkey, keeping_valkey
from tests.visitor import SeenPage, Visitor

Push = Callable[..., list[tuple[str, str | None]]]
ASKED, ANSWERED, CALLED, ADDED, ASIDE = "zanzibarwort", "quetzalwort", "xylemwort", "obsidianwort", "umbrawort"
WORDS = (ASKED, ANSWERED, CALLED, ADDED, ASIDE)
SEALING = pytest.mark.parametrize("setting", [{"encrypt_messages": True}])


def talk_of(number: int) -> dict[str, Any]:
    """A record in which every place for words holds one."""
    tool = {"id": "1", "type": "function", "function": {"name": "look", "arguments": json.dumps({"at": CALLED})}}
    messages = [
        {"role": "user", "content": f"Where is the {ASKED} {number}?"},
        {"role": "assistant", "content": None, "tool_calls": [tool]},
        {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": f"At the {ANSWERED}"}]},
    ]
    return record(id=f"r{number}", messages=messages, metadata={"note": ADDED}, model="m-1", conversation_id="talk")


@SEALING
def test_it_is_read_by_whoever_may_and_lies_open_nowhere(
    app: Doorward,
    push: Push,
    gate: Machine,
    spool: FileSpool,
    person: Callable[..., Visitor],
    tmp_path: Path,
) -> None:
    assert push(*(talk_of(number) for number in range(3))) == [("accepted", None)] * 3
    assert places_of(*WORDS) == set(), "in the spool"
    line = last_line(spool)
    leave_behind(
        spool,
        "1-left",
        changed(line, source_id="r0", digest="00" * 16, sealed=None, messages=[{"role": "user", "content": ASIDE}]),
        b"00000000 damaged " + ASIDE.encode() + b"\n",
    )
    done = flush()
    assert (done.stored, done.quarantined) == (3, 2)
    assert places_of(*WORDS) == set(), "in the database"
    assert db.session.scalar(select(func.count()).select_from(MessageContent)) == 0
    assert all(row.sealed and row.line is None for row in db.session.scalars(select(QuarantinedRecord)))

    alice = sign_in(app)
    page = alice.get("/account/conversations")
    assert f"Where is the {ASKED} 0?" in page.text
    (link,) = talks_of(page)
    talk = alice.get(link)
    assert all(word in talk.text for word in (f"{ASKED} 2", ANSWERED))
    for words in (ASKED, ANSWERED, ADDED):
        assert "Where is the" not in alice.get(f"/account/conversations?q={words}").text
    assert "Where is the" in alice.get("/account/conversations?q=m-1").text
    assert "Where is the" in alice.get("/account/conversations?q=r1").text

    for kind in ("jsonl", "csv"):
        form = alice.get("/account/exports/new")
        exported = alice.send(form, {"format": kind}, to="/account/exports/new")
        assert all(word in exported.text for word in (ASKED, ANSWERED, CALLED, ADDED)), kind

    log_id = db.session.scalars(select(MessageLog.id).where(MessageLog.source_id == "r1")).one()
    assert not any(word in gate.get(f"/message-logs/{log_id}").text for word in WORDS)
    read = gate.get(f"/message-logs/{log_id}", headers={"X-Reason": "asked by Alice"})
    assert read.status_code == 200 and ASKED in read.text and CALLED in read.text
    assert gate.get(f"/message-logs?q={ASKED}", headers={"X-Reason": "asked"}).get_json()["items"] == []

    made = make_backup(operator_actor(), tmp_path / "one.zip", version="1")
    with zipfile.ZipFile(made.file) as archive:
        for name in archive.namelist():
            assert not any(word.encode() in archive.read(name) for word in WORDS), name
    db.session.commit()
    spool.close()
    assert places_of(*WORDS) == set(), "after all of it"

    with transaction():
        destroy_data_key(db.session.scalars(select(DataKey.user_id)).one())
    left = [alice.get("/account/conversations"), alice.get("/account/conversations?q=m-1")]
    left += [alice.get(link) for link in talks_of(left[0])]
    left.append(alice.send(alice.get("/account/exports/new"), {"format": "jsonl"}, to="/account/exports/new"))
    assert not any(word in page.text for page in left for word in WORDS)
    gone = gate.get(f"/message-logs/{log_id}", headers={"X-Reason": "asked by Alice"})
    assert gone.status_code == 200 and ASKED not in gone.text
    assert db.session.scalar(select(func.count()).select_from(SealedContent)) == 3, "sealed for ever"


def talks_of(page: SeenPage) -> list[str]:
    """Where the conversations of a list are read."""
    return sorted({link for link in page.links() if re.fullmatch(r"/account/conversations/[0-9a-f-]{36}", link)})


def sign_in(app: Any) -> Visitor:
    """Alice with a browser."""
    visitor = Visitor(app.test_client())
    assert visitor.sign_in("alice").status == 200
    return visitor


@SEALING
def test_a_first_push_makes_the_key_and_keeps_the_line_if_the_flush_comes_after_its_end(
    push: Push, spool: FileSpool, alice: Account
) -> None:
    push(talk_of(1))
    assert db.session.scalars(select(DataKey.user_id)).one() == alice.id
    with transaction():
        destroy_data_key(alice.id)
    done = flush()
    assert (done.stored, done.dropped, done.quarantined) == (0, 1, 0)
    assert db.session.scalar(select(func.count()).select_from(MessageLog)) == 0


class TestStream:
    """The same in a stream."""

    @pytest.fixture
    def valkey(self, tmp_path: Path) -> Iterator[Valkey]:
        """A server of its own."""
        with keeping_valkey(tmp_path / "valkey") as server:
            yield server

    @pytest.fixture
    def setting(self, valkey: Valkey) -> dict[str, Any]:
        """Sealed, and spooled there."""
        return {"encrypt_messages": True, "spool": "redis", "redis_url": valkey.url}

    def test_no_word_is_handed_to_the_server(self, push: Push, valkey: Valkey, settings: Settings) -> None:
        make_account("bob")
        push(talk_of(1), {**talk_of(2), "username": "bob"})
        client = valkey.client()
        kept = []
        for key in client.scan_iter("*"):
            kind = client.type(key)
            if kind in {b"stream", "stream"}:
                kept += client.xrange(key)
            elif kind in {b"hash", "hash"}:
                kept.append(client.hgetall(key))
        assert "r1" in repr(kept) and len(kept) >= 2
        assert not any(word in repr(kept) for word in WORDS)
        assert flush().stored == 2
        assert places_of(*WORDS) == set()
