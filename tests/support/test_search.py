"""The desk's search: each thing that a caller can read out leads to them, for those who may know of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from portal.accounts.models import Account
from portal.accounts.names import search_text_of
from portal.audit import events
from portal.audit.record import Target, record
from portal.core.database import db, transaction
from portal.core.ids import new_hex, new_id
from portal.jobs.runner import run_job
from portal.messages.models import Conversation, MessageLog
from portal.support.search import Clue, search_desk
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.people import actor_named, make_account, open_case_for
from tests.usage.test_refusal_reading import keep_refusal

EMAIL = "liddell@wonder.example.org"
EVERYBODY = ("tess", "theo", "tara", "carl", "ada")


@pytest.fixture
def alice(app: Doorward) -> Account:
    """Who calls; around her a few others, and everybody who may search."""
    named = {"display_name": "Weiße Königin", "search_text": search_text_of("alice", EMAIL, "Weiße Königin")}
    person = make_account("alice", email=EMAIL, email_canonical=EMAIL, **named)
    make_account("bob")
    make_account("alicia", display_name="Red Knight", search_text=search_text_of("alicia", "a@b.example", "Red Knight"))
    for name in EVERYBODY:
        make_account(name, **({"permissions": ["credits.write"]} if name == "carl" else {}))
    return person


def led(name: str, typed: str) -> set[tuple[str, Clue]]:
    """Whom this person finds, and by what."""
    return {(hit.username, hit.clue) for hit in search_desk(actor_named(name), typed)}


def test_each_thing_that_can_be_read_out_leads_to_its_user(
    alice: Account, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    key, refusal = key_of(alice), str(keep_refusal(alice))
    gate = machine()
    spent = gate.post("/keys/verify", {"key": key}).get_json()["decision_id"]
    request_id, case = new_hex(), open_case_for("tess", alice)
    with transaction():
        acts = actor_named("ada")
        record(acts, events.RECORD_VIEWED, Target("user", alice.id, "alice"))
        acts = type(acts)(acts.kind, acts.name, request_id=request_id, credential="test")
        record(acts, events.RECORD_VIEWED, Target("user", alice.id, "alice"))
    for name in EVERYBODY:
        for typed, clue in (
            ("ALICE", Clue.NAME),
            (f" {EMAIL.upper()} ", Clue.EMAIL),
            (str(alice.id), Clue.ACCOUNT),
            (alice.id.hex, Clue.ACCOUNT),
            (key, Clue.KEY),
            (key[:7], Clue.KEY),
            (f"Authorization: Bearer {key}", Clue.KEY),
            (refusal, Clue.REFUSAL),
            (spent, Clue.SPENT),
            (request_id, Clue.REQUEST),
        ):
            assert led(name, typed) == {("alice", clue)}, (name, typed)
        cases = {("alice", Clue.CASE)} if name in {"tess", "theo", "tara"} else set()
        assert led(name, case) == led(name, case.lower()) == cases, name


def test_parts_of_names_find_and_parts_of_what_is_masked_do_not(alice: Account, key_of: Callable[..., str]) -> None:
    key = key_of(alice)
    for name in EVERYBODY:
        assert led(name, "ali") == {("alice", Clue.NAME), ("alicia", Clue.NAME)}
        for part in ("lice", "königin", "KÖNIG", "WEISSE k", "weiße"):
            assert led(name, part) == {("alice", Clue.NAME)}, (name, part)
        assert led(name, "knight") == {("alicia", Clue.NAME)}
        for nothing in ("%", "___", "l•••@w•••.org", key[:6], "dw_", "dw_%%%%%", key[4:], "\0", "a" * 1_001, "C-ZZZZ"):
            assert led(name, nothing) == set(), (name, nothing)
    masked = [name for name in EVERYBODY if name != "ada"]
    for part in ("liddell", "iddel", "wonder", "example.org", "liddell@", "@wonder.example.org", EMAIL[1:], EMAIL[:-1]):
        assert [led(name, part) for name in masked] == [set()] * 4, part
    assert led("ada", "iddel") == {("alice", Clue.NAME)}


def test_logs_are_known_to_those_who_may_see_that_there_are_any(
    alice: Account, machine: Callable[..., Machine]
) -> None:
    said = {"username": "alice", "model": "m", "prompt": "p", "response": "r"}
    given = {"id": str(new_id()), "conversation_id": "talk-42"}
    assert machine().post("/message-logs", {**said, **given}).status_code == 202
    assert run_job("flush_message_logs", by_hand=True)
    log = db.session.scalars(select(MessageLog)).one()
    assert db.session.scalars(select(Conversation.source_id)).one() == "talk-42"
    for typed, clue in (("talk-42", Clue.CONVERSATION), (given["id"], Clue.LOG), (str(log.id), Clue.LOG)):
        assert [led(name, typed) for name in ("tess", "carl")] == [set(), set()]
        for name in ("theo", "tara", "ada"):
            assert led(name, typed) == {("alice", clue)}
        assert search_desk(actor_named("theo"), typed)[0].thing == (given["id"] if clue is Clue.LOG else "talk-42")
