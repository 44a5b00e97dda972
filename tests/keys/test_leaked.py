"""A key found in the open: whoever hands it in ends it; nobody learns anything by trying."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.actor import nobody
from portal.core.database import db, transaction
from portal.core.errors import LimitReached
from portal.keys.leaked import MOST_A_MINUTE, report_leaked
from portal.keys.models import ApiKey
from portal.keys.secrets import make_secret
from portal.keys.service import NewKey, create_key, lately_leaked, revoke_key
from portal.mail.models import OutboxMail
from portal.usage.rates import forget_rates
from portal.web.frame import Doorward
from tests.keys.letters import letters
from tests.people import actor_named, make_account
from tests.races import race

FINDER = nobody("198.51.100.4", "req-1")


@pytest.fixture(autouse=True)
def people(app: Doorward) -> None:
    """Alice; and nobody has handed in anything yet."""
    make_account("alice")
    forget_rates()


def make(**terms: Any) -> NewKey:
    """Alice makes a key."""
    with transaction():
        return create_key(actor_named("alice"), name="laptop", **terms)


def report(secret: str) -> None:
    """Somebody hands a key in."""
    with transaction():
        report_leaked(FINDER, secret)
    db.session.expire_all()


def written() -> tuple[int, int]:
    """How many entries and mails there are."""
    return len(db.session.scalars(select(AuditEntry)).all()), len(db.session.scalars(select(OutboxMail)).all())


def test_a_living_key_is_revoked_and_its_owner_is_told() -> None:
    made, other = make(), make()
    report(made.secret)
    assert (made.key.state, made.key.revoked_why, made.key.version) == ("revoked", "leaked", 2)
    assert other.key.state == "active"
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "key.leaked")).one()
    assert (entry.target_id, entry.address, entry.actor_kind) == (made.key.id, "198.51.100.4", "nobody")
    (told,) = letters("key_leaked")
    assert told["to"] == "alice@example.org"
    assert made.key.prefix in told["text"] and "laptop" in told["html"]
    assert made.secret[10:] not in told["text"] + told["html"]
    assert [key.id for key in lately_leaked(actor_named("alice"))] == [made.key.id]


def test_a_replaced_key_that_is_good_still_is_revoked() -> None:
    made = make()
    with transaction():
        made.key.replaced_by, made.key.expires_at = made.key.id, clock.now() + timedelta(hours=1)
    report(made.secret)
    assert made.key.revoked_why == "leaked"


def test_anything_else_does_nothing() -> None:
    alive, revoked, expired = make(), make(), make(expires_at=clock.now() + timedelta(minutes=1))
    with transaction():
        revoke_key(actor_named("alice"), revoked.key.id)
    clock.shift(timedelta(minutes=2))
    before = written()
    whole = alive.secret
    for secret in (
        make_secret(), revoked.secret, expired.secret, "", "dw_", "nonsense", whole[:-1], whole + "x", f" {whole}",
        f"{whole}\n", whole.upper(), whole[:10], "\0", "é" * 52, "\ud800", "x" * 100_000,
    ):  # fmt: skip
        report(secret)
    assert written() == before
    assert (alive.key.state, revoked.key.revoked_why, expired.key.state) == ("active", "owner", "expired")


def test_a_key_is_handed_in_once_however_many_find_it(app: Doorward) -> None:
    made = make()

    def work(_number: int) -> None:
        with app.app_context():
            report(made.secret)

    race(4, work)
    db.session.expire_all()
    assert len(letters("key_leaked")) == 1
    assert len(db.session.scalars(select(AuditEntry).where(AuditEntry.event == "key.leaked")).all()) == 1


@contextmanager
def statements() -> Iterator[list[str]]:
    """The sort and table of each statement that is run."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        words = statement.replace("\n", " ").split()
        seen.append(" ".join(words[:3] if words[0] != "SELECT" else ["SELECT", words[words.index("FROM") + 1]]))

    event.listen(db.engine, "before_cursor_execute", note)
    yield seen
    event.remove(db.engine, "before_cursor_execute", note)


def test_what_is_done_does_not_tell_a_key_from_none() -> None:
    made = make()
    ran = []
    for secret in (make_secret(), made.secret, "nonsense", made.secret):
        db.session.remove()
        with statements() as seen:
            report(secret)
        ran.append([one.split(" sa_savepoint")[0].replace("RELEASE", "ROLLBACK TO") for one in seen])
    assert ran[0] == ran[1] == ran[2] == ran[3]
    assert {"UPDATE api_keys SET", "INSERT INTO audit_entries", "INSERT INTO outbox"} <= set(ran[0])


def test_one_address_hands_in_so_many_a_minute() -> None:
    for _ in range(MOST_A_MINUTE):
        report(make_secret())
    made = make()
    with pytest.raises(LimitReached):
        report(made.secret)
    with transaction():
        report_leaked(nobody("203.0.113.77"), made.secret)
    db.session.expire_all()
    assert made.key.revoked_why == "leaked"


def test_the_notice_goes_after_a_while() -> None:
    report(make().secret)
    clock.shift(timedelta(days=31))
    assert lately_leaked(actor_named("alice")) == []


def test_an_owner_without_an_address_loses_the_key_all_the_same() -> None:
    made = make()
    with transaction():
        owner = make_account("bob", email=None, email_canonical=None)
        made.key.user_id = owner.id
    report(made.secret)
    key = db.session.get_one(ApiKey, made.key.id)
    assert key.revoked_why == "leaked"
    assert letters("key_leaked") == []
