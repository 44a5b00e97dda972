"""A record as a file: all that the desk sees and nothing more, for a reason, and the user is told."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from sqlalchemy import select

from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import CaseNeeded, Forbidden, Invalid, NotFound
from portal.core.ids import new_id
from portal.signin.sessions import begin_session
from portal.support.exporting import export_record, masked_facts
from portal.support.models import Note
from portal.usage.credits import grant_credits
from portal.web.frame import Doorward
from tests.conftest import signed_in
from tests.messages.stored import keep
from tests.pages.conftest import keep_prompt, refuse
from tests.people import acting, actor_named, make_account


def test_the_file_holds_what_the_desk_sees(app: Doorward, key_of: Callable[..., str]) -> None:
    for name in ("theo", "tara", "ada"):
        make_account(name)
    alice = make_account("alice")
    key, now = key_of(alice), clock.now()
    keep(alice.id, "a nightjar sang", now, conversation="of alice")
    keep_prompt(alice)
    refuse(alice)
    with transaction():
        grant_credits(operator_actor().because("for her patience"), alice.id, 50)
        begin_session(alice, address="203.0.113.77", device="Firefox/140.0 Linux")
        db.session.add(Note(id=new_id(), user_id=alice.id, author_id=alice.id, at=now, words="calls often"))
    for who, error in ((acting("theo", alice), Forbidden), (actor_named("tara"), CaseNeeded)):
        with pytest.raises(error):
            export_record(who, alice.id)
    with pytest.raises(Invalid):
        export_record(actor_named("ada"), alice.id)
    with pytest.raises(NotFound):
        export_record(actor_named("ada").because("x"), actor_named("tara").id or alice.id)
    files = {}
    for name, door in (("tara", "staff"), ("ada", "admin")):
        acting(name, alice)
        visitor, address = signed_in(app, name), f"/{door}/users/{alice.id}/record"
        assert visitor.send(visitor.get(address), {"reason": "x" * 501}).status == 422
        answer = visitor.send(visitor.get(address), {"reason": "She asks for it."})
        assert answer.response.headers["Content-Disposition"].startswith('attachment; filename="record-')
        text = answer.response.get_data(as_text=True)
        for secret in ("nightjar", key, alice.password_hash, "a prompt"):
            assert secret is not None
            assert secret not in text
        files[name] = json.loads(text)
    desk, console = files["tara"], files["ada"]
    assert (desk["masked"], console["masked"]) == (["email", "address"], [])
    assert (desk["made_by"], desk["reason"], console["case"]) == ("tara", "She asks for it.", None)
    assert (desk["account"][0]["email"], console["account"][0]["email"]) == ("a•••@e•••.org", "alice@example.org")
    assert [one["address"] for one in desk["sessions"]] == ["203.0.•••"]
    assert [one["address"] for one in console["sessions"]] == ["203.0.113.77"]
    assert [(one["amount"], one["reason"]) for one in desk["credit_ledger"]] == [(50, "for her patience")]
    assert [one["prefix"] for one in desk["api_keys"]] == [key[:10]]
    assert [one["words"] for one in desk["notes"]] == ["calls often"]
    assert [one["code"] for one in desk["refusals"]] == ["DAILY_LIMIT_REACHED"]
    assert desk["case"] in {one["number"] for one in desk["cases"]}
    assert {"credits.granted", "case.opened"} <= {one["event"] for one in desk["audit"]}
    looks = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "record.exported")).all()
    assert [(one.actor_name, one.target_id, one.reason) for one in looks] == [
        ("tara", alice.id, "She asks for it."),
        ("ada", alice.id, "She asks for it."),
    ]
    assert "took a record away as a file" in signed_in(app, "alice").get("/account/activity/looks").text


def test_addresses_in_facts_are_masked_too() -> None:
    facts = {"address": "203.0.113.77", "from": "a@b.example", "to": "bob", "count": 3, "changed": ["email"]}
    masked = {"address": "203.0.•••", "from": "a•••@b•••.example", "to": "bob", "count": 3, "changed": ["email"]}
    assert masked_facts(facts) == masked
