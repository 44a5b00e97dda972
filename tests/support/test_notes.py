"""Notes on a record: written, pinned, removed and naming colleagues, by staff of each level and admins alike."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.database import db, transaction
from portal.core.errors import Conflict, Forbidden, Invalid, Malformed, NotFound
from portal.mail.models import OutboxMail
from portal.mail.outbox import opened
from portal.support.models import Mention, Note
from portal.support.notes import MOST_PINNED, add_note, list_mentionable, mentions_of, notes_of, pin_note, remove_note
from portal.support.notes import unseen_mentions as unseen
from portal.web.frame import Doorward
from tests.conftest import signed_in
from tests.people import actor_named, make_account, open_case_for
from tests.races import race


@pytest.fixture
def alice(app: Doorward) -> Account:
    """On whose record they are."""
    for name in ("tess", "theo", "tara", "ada", "max"):
        make_account(name)
    return make_account("alice")


def write(name: str, user: Account, words: str, **how: bool) -> Note:
    """A note by somebody."""
    with transaction():
        add_note(actor_named(name), user.id, words, **how)
    return db.session.scalars(select(Note).order_by(Note.at.desc(), Note.id.desc())).first()  # type: ignore[return-value]  # it is there


def test_a_note_carries_its_case_and_names_who_is_told(alice: Account) -> None:
    assert write("tess", alice, "No case.").case is None
    number = open_case_for("theo", alice)
    words = "Ask @Tara. or @ada, not @max, @alice, @theo, @nobody or tess@tess.example\r\nthen call <b>back</b>."
    note = write("theo", alice, words)
    assert (note.case, note.words) == (number, words.replace("\r\n", "\n"))
    told = {mention.account_id for mention in db.session.scalars(select(Mention))}
    assert told == {actor_named("tara").id, actor_named("ada").id}, "whoever reads notes, and not oneself"
    mails = db.session.scalars(select(OutboxMail).where(OutboxMail.template == "mention")).all()
    sent = dict(map(opened, mails))
    assert set(sent) == {"tara@example.org", "ada@example.org"}
    assert "call" not in str(sent) and alice.username not in str(sent)
    assert sent["tara@example.org"]["link"].endswith(f"/staff/notes/{alice.id}")
    assert sent["ada@example.org"]["link"].endswith(f"/admin/notes/{alice.id}")
    entry = db.session.scalars(
        select(AuditEntry).where(AuditEntry.event == "note.added", AuditEntry.case == number)
    ).one()
    assert (entry.target_name, entry.facts) == ("alice", {"pinned": False})
    assert [one.username for one in list_mentionable(actor_named("tess"))] == ["ada", "tara", "tess", "theo"]
    # Seen once it was shown, by whoever it was shown to.
    assert (unseen(actor_named("tara")), unseen(actor_named("theo"))) == (1, 0)
    assert [one.note.names_me for one in mentions_of(actor_named("tara")).items] == [True]
    assert [one.names_me for one in notes_of(actor_named("ada"), alice.id).page.items] == [True, False]
    assert (unseen(actor_named("tara")), unseen(actor_named("ada"))) == (0, 0)
    assert [one.note.names_me for one in mentions_of(actor_named("tara")).items] == [False]


def test_who_may_write_pin_and_remove(alice: Account) -> None:
    for words in (" ", "x" * 2001, "a\0b", "a\x1bb"):
        with pytest.raises(Invalid) as told:
            add_note(actor_named("tess"), alice.id, words)
        assert set(told.value.fields) == {"words"}
    for name in ("max", "alice"):
        with pytest.raises(Forbidden):
            add_note(actor_named(name), alice.id, "x")
    with pytest.raises(NotFound):
        add_note(actor_named("tess"), actor_named("theo").id or alice.id, "x")
    note = write("tess", alice, "x" * 2000)
    with pytest.raises(Forbidden):
        remove_note(actor_named("theo"), alice.id, note.id)
    with pytest.raises(NotFound):
        remove_note(actor_named("tess"), make_account("bob").id, note.id)
    clock.shift(timedelta(minutes=15, seconds=2))
    with pytest.raises(Forbidden):
        remove_note(actor_named("tess"), alice.id, note.id)
    with transaction():
        remove_note(actor_named("ada"), alice.id, note.id)
    own = write("tess", alice, "Ask @theo.")
    with transaction():
        remove_note(actor_named("tess"), alice.id, own.id)
    assert db.session.scalars(select(Note)).all() == [] == db.session.scalars(select(Mention)).all()
    assert len(db.session.scalars(select(AuditEntry).where(AuditEntry.event == "note.removed")).all()) == 2


def test_no_more_than_three_are_pinned_however_many_pin_at_once(alice: Account, app: Doorward) -> None:
    notes = [write("tess", alice, f"note {number}").id for number in range(6)]
    theo = actor_named("theo")

    def pin(number: int) -> bool:
        with app.app_context():
            try:
                with transaction():
                    pin_note(theo, alice.id, notes[number], pinned=True)
            except Conflict:
                return False
            finally:
                db.session.remove()
        return True

    assert race(6, pin).count(True) == MOST_PINNED
    db.session.expire_all()
    seen = notes_of(theo, alice.id, size=2)
    assert (len(seen.pinned), len(seen.page.items)) == (3, 2)
    older = notes_of(theo, alice.id, seen.page.next_cursor, size=2)
    assert (len(older.pinned), len(older.page.items), older.page.next_cursor) == (0, 1, None)
    with pytest.raises(Conflict):
        add_note(theo, alice.id, "one more", pinned=True)
    with transaction():
        pin_note(theo, alice.id, seen.pinned[0].id, pinned=False)
    assert write("tess", alice, "one more", pinned=True).pinned
    with pytest.raises(Malformed):
        notes_of(theo, make_account("bob").id, seen.page.next_cursor)


def test_at_the_desk_and_in_the_console_with_and_without_scripts(alice: Account, app: Doorward) -> None:
    tess, ada = signed_in(app, "tess"), signed_in(app, "ada")
    record, notes = f"/staff/users/{alice.id}", f"/staff/notes/{alice.id}"
    page = tess.send(tess.get(record), {"note-words": "<b>Call</b>\nafter six, @ada"}, to=notes)
    assert (page.path, page.status) == (record, 200)
    assert "The note is written; ada is told." in page.text
    assert "&lt;b&gt;Call&lt;/b&gt;\nafter six" in page.html
    wrong = tess.send(page, {"note-words": "  "}, to=notes)
    assert (wrong.status, "Write something." in wrong.text) == (422, True)
    token = next(form for form in page.forms() if form.get("action") == notes).find(".//input[@name='csrf_token']")
    sent = {"csrf_token": token.get("value") if token is not None else ""}
    scripted = {"HX-Request": "true"}
    swapped = tess.client.post(notes, data={**sent, "note-words": " "}, headers=scripted)
    assert (swapped.status_code, 'id="notes"' in swapped.text) == (200, True), "scripts show no answer of 422"
    swapped = tess.client.post(notes, data={**sent, "note-words": "Two", "next": record}, headers=scripted)
    assert swapped.headers["Location"] == f"{notes}?short=1"
    assert f"{record}#notes" in tess.client.get(f"{notes}?short=1").text
    assert "looked at a record" not in tess.client.get(notes, headers=scripted).text
    assert "Names you" in ada.get(f"/admin/notes/{alice.id}").text
    first = db.session.scalars(select(Note.id).where(Note.words.like("%Call%"))).one()
    assert "Alice" in ada.get("/admin/notes").text
    pinned = ada.get(f"/admin/notes/{alice.id}")
    page = ada.send(pinned, to=f"/admin/notes/{alice.id}/{first}/pin")
    assert page.text.index("after six") < page.text.index("Two")
    page = ada.send(page, to=f"/admin/notes/{alice.id}/{first}/remove")
    assert ("The note is removed." in page.text, "after six" in page.text) == (True, False)
    assert "after six" not in signed_in(app, "alice").get("/account/activity").text
