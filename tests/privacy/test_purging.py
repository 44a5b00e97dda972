"""A deleted user whose time is over: nothing personal is left anywhere, and what was sealed opens for nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import ColumnElement, func, inspect, select, text
from sqlalchemy.orm.exc import StaleDataError

from portal.accounts import names
from portal.accounts.links import Purpose, make_link
from portal.accounts.models import Account, User
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.crypto import BadSeal
from portal.core.data_keys import find_data_key, make_data_key
from portal.core.database import db, transaction
from portal.core.errors import NotFound
from portal.core.ids import new_id
from portal.insight.reconcile import reconcile_credits
from portal.jobs.runner import run_job
from portal.keys.models import ApiKey, KeyUse
from portal.mail.outbox import write_mail
from portal.messages.export_files import exports_folder
from portal.messages.models import ContentOpening, Conversation, MessageContent, MessageLog, QuarantinedRecord
from portal.messages.opening import open_for_30_minutes
from portal.messages.quarantine import set_aside
from portal.messages.spool_protocol import line_of
from portal.outside.models import ExternalIdentity
from portal.privacy import purging
from portal.privacy.children import DROPPED
from portal.privacy.deletion import delete_user, list_deleted, restore_user
from portal.privacy.models import DeletedUser
from portal.privacy.purging import purge_deleted_users
from portal.repeats.models import KeptAnswer
from portal.signin.devices import Browser, note_device
from portal.signin.models import Authenticator, Passkey, RecoveryCode
from portal.signin.sessions import begin_session
from portal.signin.steps import Step, begin_step
from portal.support.asking import ask_for_help
from portal.support.models import Mention, Note, Reveal, Viewing
from portal.tokens.families import begin_family
from portal.usage.credits import grant_credits
from portal.usage.models import UsageDetail, UsageWarning
from portal.web.frame import Doorward
from tests.messages.stored import a_client, index_is_whole, keep, record_of, store
from tests.pages.conftest import ask_for_export, draw_picture, keep_prompt, refuse
from tests.people import actor_named, make_account

CANARY = "nightjar"
OVER = timedelta(days=31)


def furnish(name: str, key_of: Callable[..., str]) -> Account:
    """Somebody of whom there is a row in every table of the purge."""
    person = make_account(name, display_name=f"{name} {CANARY}", time_zone="Europe/Berlin")
    key_of(person, name=f"{CANARY} key")
    keep(person.id, f"a {CANARY} sang", clock.now(), conversation=f"of {name}")
    now, key_id = clock.now(), db.session.scalars(select(ApiKey.id).where(ApiKey.user_id == person.id)).one()
    seen = {"count": 1, "first_at": now, "last_at": now}
    aside = line_of(msgspec.json.encode(record_of(person.id, new_id(), "aside", f"a {CANARY}")))
    with transaction():
        db.session.add(KeyUse(key_id=key_id, client_name="gate", address="203.0.113.9", **seen))
        kept = {"fingerprint": b"f", "status": 201, "body": CANARY.encode(), "created_at": now}
        db.session.add(KeptAnswer(caller_id=person.id, key=CANARY, **kept))
        db.session.add(UsageDetail(user_id=person.id, day=now.date(), key_id=key_id, model="m-1", used=1, credits=0))
        db.session.add(UsageWarning(user_id=person.id, day=now.date(), mark=80, daily_limit=5, reached_at=now))
        begin_session(person, address="203.0.113.9", device=f"{CANARY} Linux")
        begin_family(person, address="203.0.113.9", device=f"{CANARY} phone", method="password", proven=True)
        make_link(Purpose.RESET, person)
        write_mail(f"{CANARY}@example.org", "reset", {"name": CANARY, "link": "x"}, account_id=person.id)
        grant_credits(operator_actor().because(f"for {CANARY}"), person.id, 50)
        make_data_key(person.id)
        open_for_30_minutes(actor_named("ada").because(CANARY), person.id)
        assert set_aside(f"of {name}", aside, "odd")
        db.session.add_all(ways_in(person))
        db.session.add_all(at_the_desk(person))
        note_device(person, Browser(f"{CANARY} Linux"), "203.0.113.9")
        begin_step(Step.FACTOR, person, {"method": CANARY})
    keep_prompt(person)
    draw_picture(person)
    refuse(person)
    (exports_folder() / f"{ask_for_export(person)}-1.csv").write_text(CANARY)
    return person


def at_the_desk(person: Account) -> list[Any]:
    """A case of a person with what they wrote in it, a note that names somebody, a reveal and a viewing."""
    now, same, own = clock.now(), new_id(), {"user_id": person.id}
    case = ask_for_help(actor_named(person.username), subject="help", words=f"My {CANARY} is gone.")
    shown = {"id": same, **own, "reason": CANARY, "case": case.number, "at": now, "until": now}
    db.session.add(Note(id=same, **own, author_id=same, at=now, words=f"Wants the {CANARY}."))
    db.session.flush()
    return [
        Mention(note_id=same, account_id=same),
        Reveal(**shown, reader_id=same, field="email"),
        Viewing(**shown, viewer_id=same),
    ]


def ways_in(person: Account) -> list[Any]:
    """An authenticator app, a passkey, a recovery code and a linked sign-in of a person."""
    now, own = clock.now(), {"account_id": person.id}
    passkey = {"credential_id": person.id.bytes, "public_key": b"x", "sign_count": 0, "transports": []}
    elsewhere = {"provider": "house", "issuer": "https://id.example.org", "subject": f"{CANARY} {person.username}"}
    return [
        Authenticator(**own, sealed_seed="x", created_at=now, confirmed_at=now),
        Passkey(**own, **passkey, id=new_id(), name=CANARY, created_at=now),
        RecoveryCode(**own, id=new_id(), digest=b"x", created_at=now),
        ExternalIdentity(**own, **elsewhere, id=new_id(), email=f"{CANARY}@example.org", created_at=now),
    ]


def remove(person: Account, name: str) -> None:
    with transaction():
        delete_user(operator_actor().because(f"asked for by {CANARY}"), person.id, typed_name=name)


def rows_of(person_id: UUID) -> dict[str, int]:
    """How many rows of each table speak of somebody; logs, conversations and so on with what hangs on them."""
    found = {table.__tablename__: rows(table, theirs(person_id)) for table, theirs in DROPPED.items()}
    for table in (MessageLog, Conversation, QuarantinedRecord, ContentOpening, DeletedUser, MessageContent):
        found[table.__tablename__] = rows(table, table.user_id == person_id)
    return found


def rows(table: Any, condition: ColumnElement[bool]) -> int:
    return db.session.scalar(select(func.count()).select_from(table).where(condition)) or 0


def tables_with(words: str) -> set[str]:
    """The tables in which these words stand."""
    found = set()
    for name in inspect(db.engine).get_table_names():
        if not name.startswith("message_search"):
            said = [str(tuple(row)) for row in db.session.execute(text(f"SELECT * FROM {name}"))]  # noqa: S608  # a table of ours
            found |= {name for row in said if words in row}
    return found


@pytest.fixture
def people(app: Doorward, key_of: Callable[..., str]) -> tuple[Account, Account]:
    """Alice, who is deleted, and Bob, who stays; of both there is everything."""
    make_account("ada")
    alice, bob = furnish("alice", key_of), furnish("bob", key_of)
    remove(alice, "alice")
    return alice, bob


def test_nothing_is_left_but_numbers_and_another_is_not_touched(people: tuple[Account, Account]) -> None:
    alice, bob = people
    before, bobs = rows_of(alice.id), rows_of(bob.id)
    missing = {name for name, count in before.items() if not count}
    assert missing == {"one_time_links"}, "of Alice there is a row everywhere; her links ended with the deletion"
    files = sorted(path.name for path in exports_folder().iterdir())
    assert len(files) == 2
    clock.shift(OVER)
    run = run_job("purge_deleted_users", by_hand=True)
    assert run is not None
    assert (run.outcome, run.summary) == ("done", "purged 1")
    assert {name for name, count in rows_of(alice.id).items() if count} == set()
    assert rows_of(bob.id) == bobs
    assert len(list(exports_folder().iterdir())) == 1
    account = db.session.get_one(User, alice.id)
    assert (account.state, account.username, account.email) == ("deleted", f"deleted:{alice.id.hex}", None)
    assert (account.display_name, account.search_text, account.time_zone) == ("", "", "UTC")
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "account.purged")).one()
    assert (entry.target_id, entry.target_name, entry.actor_name) == (alice.id, None, "purge_deleted_users")
    assert not reconcile_credits().count
    assert index_is_whole()


def test_no_word_of_theirs_stands_anywhere(people: tuple[Account, Account]) -> None:
    _, bob = people
    remove(bob, "bob")
    assert len(tables_with(CANARY)) > 5
    clock.shift(OVER)
    assert purge_deleted_users() == 2
    assert tables_with(CANARY) == set()
    assert list(exports_folder().iterdir()) == []
    assert purge_deleted_users() == 0


def test_nobody_is_purged_before_their_time(people: tuple[Account, Account]) -> None:
    clock.shift(timedelta(days=29))
    before = rows_of(people[0].id)
    assert purge_deleted_users() == 0
    assert rows_of(people[0].id) == before
    with transaction():
        restore_user(operator_actor(), people[0].id)
    clock.shift(OVER)
    assert purge_deleted_users() == 0
    assert db.session.get_one(User, people[0].id).username == "alice"


def test_the_name_is_free_again_and_the_key_is_not_made_anew(people: tuple[Account, Account]) -> None:
    assert names.username_taken("alice")
    clock.shift(OVER)
    purge_deleted_users()
    assert not names.username_taken("alice")
    for ask in (find_data_key, make_data_key):
        with pytest.raises(BadSeal):
            ask(people[0].id)
    make_data_key(people[1].id)


def test_what_comes_late_for_the_purged_is_not_kept(people: tuple[Account, Account]) -> None:
    clock.shift(OVER)
    purge_deleted_users()
    store(record_of(people[0].id, a_client(), "late", f"a {CANARY}"))
    assert rows_of(people[0].id)["message_logs"] == 0


class Dies(Exception):
    """As a process does."""


@pytest.mark.parametrize("step", range(5))
def test_a_purge_that_dies_is_final_and_gone_on_with(
    people: tuple[Account, Account], monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    drop, steps = purging._drop_all, iter(range(99))

    def die(table: Any, theirs: Any) -> None:
        if next(steps) == step * 2:
            raise Dies
        drop(table, theirs)

    clock.shift(OVER)
    monkeypatch.setattr(purging, "_drop_all", die)
    with pytest.raises(Dies):
        purge_deleted_users()
    db.session.rollback()
    assert list_deleted(operator_actor())[0].items == []
    with pytest.raises(NotFound):
        restore_user(operator_actor(), people[0].id)
    monkeypatch.setattr(purging, "_drop_all", drop)
    assert purge_deleted_users() == 1
    assert {name for name, count in rows_of(people[0].id).items() if count} == set()


def test_a_restore_that_began_before_the_purge_does_not_bring_half_of_somebody_back(
    app: Doorward, people: tuple[Account, Account]
) -> None:
    alice = people[0].id
    clock.shift(OVER)
    user, kept = db.session.get_one(User, alice), db.session.get_one(DeletedUser, alice)
    assert (user.state, bool(kept.sealed)) == ("deleted", True)

    def purge() -> None:
        with app.app_context():
            purge_deleted_users()

    other = threading.Thread(target=purge)
    other.start()
    other.join()
    with pytest.raises(StaleDataError), transaction():
        restore_user(operator_actor(), alice)
    db.session.expire_all()
    assert db.session.get_one(User, alice).username == f"deleted:{alice.hex}"
