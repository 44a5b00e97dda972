"""One's own activity: what I did, what others did to my account, who looked and why; nothing of anybody else."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy import select

from portal.accounts.lifecycle import suspend
from portal.accounts.models import Account
from portal.audit import events
from portal.audit.models import AuditEntry
from portal.audit.own_data import export_of
from portal.audit.record import Target, record
from portal.core.database import db, transaction
from portal.core.errors import Forbidden, Malformed
from portal.insight.activity import looks_at_me, own_activity
from portal.keys.managing import revoke_key_of
from portal.keys.models import ApiKey
from portal.messages.opening import open_for_30_minutes
from portal.support.notes import add_note
from portal.web.frame import Doorward
from tests.people import acting, actor_named, make_account
from tests.visitor import Visitor

CANARY = "she lost her nightjar"


def id_of(name: str) -> UUID:
    return db.session.scalars(select(Account.id).where(Account.username_canonical == name)).one()


def test_who_looked_and_why_is_told_to_the_owner_and_to_nobody_else(person: Callable[..., Visitor]) -> None:
    people = {name: person(name) for name in ("alice", "bob", "tess", "tara", "max")}
    user = db.session.get_one(Account, id_of("alice"))
    tara = acting("tara", user)
    with transaction():
        open_for_30_minutes(tara.because(CANARY), user.id)
    owner = db.session.scalars(select(AuditEntry.target_name).where(AuditEntry.reason == CANARY)).one()
    assert owner is not None
    for name, browser in people.items():
        for address in ("/account/activity", "/account/activity/looks"):
            seen = CANARY in browser.get(address).text
            assert seen == (name == owner and address.endswith("looks")), (name, address)
    page = people[owner].get("/account/activity/looks")
    assert "Tara, support level 3" in page.text
    assert "opened conversations of a user for reading" in page.text


def test_a_look_at_the_record_is_told_with_whoever_it_was_and_no_address(person: Callable[..., Visitor]) -> None:
    alice, tess, ada = person("alice"), person("tess"), person("ada")
    user = id_of("alice")
    tess.get(f"/staff/users/{user}", environ_base={"REMOTE_ADDR": "198.51.100.77"})
    with transaction():
        theo = make_account("theo")
        for event, facts in ((events.FIELD_REVEALED, {"field": "address", "until": "u"}), (events.RECORD_EXPORTED, {})):
            record(actor_named(theo.username).because("They called."), event, Target("user", user, "alice"), facts)
    ada.get(f"/admin/users/{user}", environ_base={"REMOTE_ADDR": "198.51.100.78"})
    page = alice.get("/account/activity/looks")
    assert "Tess, support level 1" in page.text
    assert "Ada, admin" in page.text
    assert "198.51.100" not in page.html
    for said in ("Theo, support level 2", "They called.", "unmasked a field", "network addresses", "as a file"):
        assert said in page.text
    assert "looked at a record" not in alice.get("/account/activity").text


def test_my_sign_ins_and_failed_tries_and_changes_are_there(person: Callable[..., Visitor], app: Doorward) -> None:
    alice = person("alice")
    guest = Visitor(app.test_client())
    guest.sign_in("alice", "not her password")
    alice.send(alice.get("/account/profile"), {"display_name": "Al"})
    page = alice.get("/account/activity")
    for said in ("signed in", "failed to sign in", "edited the own profile", "Somebody who was not signed in"):
        assert said in page.text
    assert "127.0.0.1" in page.text


def test_what_others_change_of_me_and_my_keys_is_there_without_their_address(
    app: Doorward, key_of: Callable[..., str], person: Callable[..., Visitor]
) -> None:
    alice = make_account("alice")
    make_account("ada")
    key_of(alice, "deploy")
    key = db.session.scalars(select(ApiKey)).one()
    with transaction():
        revoke_key_of(actor_named("ada").because("a riddle"), alice.id, key.id)
        suspend(actor_named("ada").because("a riddle"), alice.id)
    deeds = own_activity(actor_named("alice")).items
    assert [deed.event for deed in deeds] == ["account.suspended", "key.revoked"]
    assert {deed.who for deed in deeds} == {"Ada, admin"}
    assert {deed.address for deed in deeds} == {None}
    assert [deed.reason for deed in deeds] == ["a riddle", "a riddle"]
    assert [deed.undone for deed in deeds] == [False, False]
    done = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "account.suspended")).one()
    with transaction():
        undo = {"entry": str(done.id), "event": done.event}
        record(actor_named("ada").because("A mistake."), events.ACT_UNDONE, Target("user", alice.id, "alice"), undo)
        add_note(actor_named("ada"), alice.id, "The house's own.", pinned=True)
        handed = Target("user", alice.id, "alice")
        record(actor_named("ada").because("An odd one."), events.CASE_HANDED_UP, handed, {"level": 3, "person": "tara"})
    archive = [row for part in export_of(alice.id) for batch in part.batches() for row in batch]
    assert "a riddle" in str(archive)
    assert "An odd one." not in str(archive) and "tara" not in str(archive)
    deeds = own_activity(actor_named("alice")).items
    assert [(deed.event, deed.reason, deed.undone) for deed in deeds] == [
        ("act.undone", "A mistake.", False),
        ("account.suspended", "a riddle", True),
        ("key.revoked", "a riddle", False),
    ]
    assert deeds[2].details == ["deploy", key.prefix]


def test_nothing_of_another_is_there(app: Doorward) -> None:
    for name in ("alice", "bob", "ada"):
        make_account(name)
    with transaction():
        for name in ("alice", "bob"):
            target = Target("user", id_of(name), name)
            record(actor_named("ada").because(name), events.RECORD_VIEWED, target)
            record(actor_named(name), events.PROFILE_EDITED, target, {"changed": [name]})
    for name in ("alice", "bob"):
        assert [deed.reason for deed in looks_at_me(actor_named(name)).items] == [name]
        assert [deed.details for deed in own_activity(actor_named(name)).items] == [[name]]
    assert [deed.event for deed in own_activity(actor_named("ada")).items] == ["record.viewed"] * 2
    assert looks_at_me(actor_named("ada")).items == []


def test_it_is_paged_and_a_cursor_of_another_list_is_refused(app: Doorward) -> None:
    make_account("alice")
    alice = actor_named("alice")
    target = Target("user", alice.id, "alice")
    with transaction():
        for number in range(120):
            record(alice, events.PROFILE_EDITED, target, {"changed": [str(number)]})
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        page = own_activity(alice, cursor)
        seen += [deed.details[0] for deed in page.items]
        cursor = page.next_cursor
    assert cursor is None
    assert sorted(map(int, seen)) == list(range(120))
    with pytest.raises(Malformed):
        looks_at_me(alice, own_activity(alice).next_cursor)


def test_a_bad_cursor_is_no_fault(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    assert alice.get("/account/activity?cursor=nonsense").status == 400
    assert alice.get("/account/activity").status == 200


def test_who_may_not_may_not(app: Doorward) -> None:
    make_account("alice")
    nobody = actor_named("alice").__class__(kind=actor_named("alice").kind, name="x")
    with pytest.raises(Forbidden):
        own_activity(nobody)
