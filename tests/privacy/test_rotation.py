"""Rotation of the encryption key: after it nothing needs the former one, and until then everything opens."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet
from sqlalchemy import select, update

from portal.audit.models import AuditEntry
from portal.cli import main
from portal.core import crypto, settings
from portal.core.access import operator_actor
from portal.core.data_keys import DataKey, check_encryption_keys, destroy_data_key, find_data_key, make_data_key
from portal.core.database import db, transaction
from portal.core.errors import Conflict, Forbidden
from portal.core.ids import new_id
from portal.core.own_secrets import kept_keys
from portal.core.settings import BadSetting
from portal.mail.models import OutboxMail
from portal.mail.outbox import write_mail
from portal.messages.models import QuarantinedRecord
from portal.messages.quarantine import set_aside
from portal.messages.sealing import open_content, open_quarantined, seal_content
from portal.messages.spool_protocol import line_of
from portal.privacy import rotation
from portal.privacy.deletion import delete_user, list_deleted, restore_user
from portal.privacy.models import DeletedUser
from portal.privacy.rotation import STORES, begin_rotation, finish_rotation
from portal.web.frame import Doorward
from tests.core.test_data_keys import under
from tests.people import actor_named, make_account

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
CONTENT = {"messages": [{"role": "user", "content": "a lantern"}], "extra": None}
Doorwards = Callable[..., Result]
SEALING = pytest.mark.parametrize("setting", [{"encrypt_messages": True}])


@pytest.fixture
def doorward(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doorwards:
    """Run the command on the database of the test."""
    monkeypatch.chdir(tmp_path)
    given = {"DATA_DIR": str(tmp_path / "data"), "DATABASE_URL": database_url, "BCRYPT_COST": "4"}

    def run(*words: str, **env: str) -> Result:
        db.session.remove()
        return CliRunner().invoke(main, list(words), env={**given, **env})

    return run


def fill() -> Callable[[], None]:
    """Seal one of everything, and say how to see that it is all there."""
    make_account("ada")
    alice, bob, gone = make_account("alice").id, make_account("bob").id, make_account("gone").id
    log = new_id()
    with transaction():
        check_encryption_keys()
        sealed = seal_content(alice, log, CONTENT)
        make_data_key(gone)
        destroy_data_key(gone)
        delete_user(actor_named("ada").because("asked"), bob, typed_name="bob")
        write_mail("alice@example.org", "reset", {"link": "here"})
        for key in ("1", "2"):
            set_aside(key, b"damaged lantern", "damaged line")
        set_aside("3", line_of(json.dumps({"user_id": str(alice)}).encode()), "damaged line")

    def look() -> None:
        assert open_content(alice, log, sealed) == CONTENT
        assert list(list_deleted(actor_named("ada"))[1].values()) == ["bob"]
        for mail in db.session.scalars(select(OutboxMail)):
            assert crypto.unseal(mail.sealed or "", place=f"outbox:{mail.id}")["to"]
        lines = []
        for row in db.session.scalars(select(QuarantinedRecord)):
            lines.append(open_quarantined(row.user_id, row.id, row.sealed or b"")[:7])
        assert sorted(lines) == ["damaged", "damaged", '{"user_']

    look()
    return look


def turn_all() -> int:
    """Turn every store once, each batch in a transaction."""
    done = 0
    for store in STORES:
        last = None
        while True:
            with transaction():
                step = store.turn(last)
            if step.last is None:
                break
            last, done = step.last, done + step.done
            assert step.lost == 0
    return done


@SEALING
def test_after_it_nothing_needs_the_former_key(app: Doorward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "BATCH", 1)
    under(app, OLD)
    look = fill()
    with pytest.raises(Conflict, match="no new key"), transaction():
        begin_rotation(operator_actor())
    under(app, NEW, OLD)
    look()
    with transaction():
        assert not begin_rotation(operator_actor())
    assert sum(store.count() for store in STORES) == turn_all() == 1 + 1 + 1 + 2
    with transaction():
        finish_rotation(operator_actor(), count=5)
    assert turn_all() == 0
    under(app, NEW)
    db.session.expire_all()
    check_encryption_keys()
    look()
    with transaction():
        bob = db.session.scalars(select(DeletedUser.user_id)).one()
        assert restore_user(actor_named("ada").because("asked"), bob).username == "bob"
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "encryption_key.rotated")).one()
    assert entry.facts == {"count": 5}


@SEALING
def test_everything_opens_wherever_it_was_ended(app: Doorward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "BATCH", 1)
    under(app, OLD)
    look = fill()
    under(app, NEW, OLD)
    for store in STORES:
        with transaction():
            store.turn(None)
        db.session.expire_all()
        look()
        with pytest.raises(ZeroDivisionError), transaction():
            store.turn(None)
            raise ZeroDivisionError
        db.session.expire_all()
        look()
    with transaction():
        assert not begin_rotation(operator_actor())
    turn_all()
    under(app, NEW)
    with pytest.raises(BadSetting):  # it was not finished: nobody can know that the other is not needed
        check_encryption_keys()


@SEALING
def test_what_no_key_opens_is_left_as_it_is(app: Doorward, doorward: Doorwards) -> None:
    under(app, OLD)
    fill()
    alice = db.session.scalars(select(DataKey.user_id).where(DataKey.wrapped_by != "")).one()
    with transaction():
        db.session.execute(update(DeletedUser).values(sealed="nothing like a seal"))
        db.session.execute(update(DataKey).where(DataKey.user_id == alice).values(wrapped=b"\x01damaged"))
    done = doorward("rotate", "encryption-key", ENCRYPTION_KEYS=f"{NEW},{OLD}")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert {name: count for name, count in told["unreadable"].items() if count} == {"data keys": 1, "deleted users": 1}
    assert db.session.scalars(select(DeletedUser.sealed)).one() == "nothing like a seal"
    assert bytes(db.session.scalars(select(DataKey.wrapped).where(DataKey.user_id == alice)).one()) == b"\x01damaged"


@SEALING
def test_a_key_made_meanwhile_by_a_former_key_is_noticed(app: Doorward) -> None:
    under(app, OLD)
    fill()
    under(app, NEW, OLD)
    turn_all()
    under(app, OLD)
    make_data_key(make_account("late").id)
    under(app, NEW, OLD)
    with pytest.raises(Conflict, match="meanwhile"), transaction():
        finish_rotation(operator_actor(), count=1)


def test_only_whoever_owns_the_machine_rotates(app: Doorward) -> None:
    make_account("ada")
    for verb in (begin_rotation, lambda actor: finish_rotation(actor, count=0)):
        with pytest.raises(Forbidden):
            verb(actor_named("ada"))


@SEALING
def test_in_development_the_command_makes_the_key_itself(app: Doorward, doorward: Doorwards) -> None:
    now = settings.current()
    look = fill()
    first = kept_keys(now.data_dir)
    done = doorward("rotate", "encryption-key")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    anew = {name: count for name, count in told["sealed_anew"].items() if count}
    assert anew == {"data keys": 1, "mails": 1, "deleted users": 1, "records set aside": 2}
    assert "mails: 1 sealed anew" in done.stderr and "a new key comes first" in done.stderr
    keys = kept_keys(now.data_dir)
    assert keys[1:] == first and keys[0] not in done.output
    db.session.expire_all()
    look()  # as a server does that was started before
    under(app, keys[0])
    (now.data_dir / "secrets.json").unlink()
    db.session.expire_all()
    look()
    find_data_key(db.session.scalars(select(DataKey.user_id).where(DataKey.wrapped_by != "")).one())


@SEALING
def test_where_keys_are_given_the_command_wants_the_new_one_first(app: Doorward, doorward: Doorwards) -> None:
    under(app, OLD)
    look = fill()
    refused = doorward("rotate", "encryption-key", ENCRYPTION_KEYS=OLD)
    assert refused.exit_code == 1 and refused.stderr.startswith("doorward: There is no new key. Put one first in ENC")
    wrong = doorward("rotate", "encryption-key", ENCRYPTION_KEYS=NEW)
    assert wrong.exit_code == 2 and "ENCRYPTION_KEYS: did not seal" in wrong.stderr
    look()
    done = doorward("rotate", "encryption-key", ENCRYPTION_KEYS=f"{NEW},{OLD}")
    assert done.exit_code == 0, done.output
    assert "take it out of ENCRYPTION_KEYS" in done.stdout
    under(app, NEW)
    db.session.expire_all()
    look()
    again = doorward("rotate", "encryption-key", ENCRYPTION_KEYS=f"{NEW},{OLD}")
    assert again.exit_code == 1 and "There is no new key" in again.stderr
    assert "ok       keys: " in doorward("check", ENCRYPTION_KEYS=NEW).stdout
