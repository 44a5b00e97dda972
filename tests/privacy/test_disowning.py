"""The mail about a new sign-in, and its link: who gets one when, that it shuts everything and opens nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from portal.accounts.links import Purpose, make_link
from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core import clock, crypto
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import NotFound
from portal.core.ids import new_id
from portal.keys.models import ApiKey
from portal.mail.models import OutboxMail
from portal.outside.models import ExternalIdentity
from portal.privacy.disowning import disown
from portal.signin.models import KnownDevice, Passkey, SignInSession
from portal.web.frame import Doorward
from tests.people import PASSWORD, make_account
from tests.races import race
from tests.signin.phones import enrol
from tests.signin.test_sessions import cookie, is_in, thief
from tests.visitor import SeenPage, Visitor

OTHER = "other quiet lanterns"


def browser(app: Doorward, agent: str = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0") -> Visitor:
    """A browser nobody has seen."""
    client = app.test_client()
    client.environ_base["HTTP_USER_AGENT"] = agent
    return Visitor(client)


@dataclass(frozen=True)
class Letter:
    """A mail that waits in the outbox."""

    to: str
    about: UUID | None
    values: dict[str, str]


def mails(template: str) -> list[Letter]:
    """The mails of this sort, oldest first."""
    db.session.expire_all()
    query = select(OutboxMail).where(OutboxMail.template == template).order_by(OutboxMail.created_at, OutboxMail.id)
    found = []
    for row in db.session.scalars(query):
        letter = crypto.unseal(row.sealed or "", place=f"outbox:{row.id}")
        found.append(Letter(letter["to"], row.account_id, letter["values"]))
    return found


def path_in(letter: Letter) -> str:
    """The path of the link in a mail."""
    return "/" + letter.values["link"].split("/", 3)[3]


def alice() -> Account:
    """Her record as it is now."""
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalars(select(Account).where(Account.username == "alice")).one()


@pytest.fixture
def stolen(app: Doorward) -> tuple[Visitor, Visitor, str]:
    """Alice's browser, a thief's, and the path of the link she was mailed."""
    make_account("alice")
    hers, his = browser(app), browser(app, "Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36")
    hers.sign_in("alice")
    clock.shift(timedelta(hours=1))
    his.sign_in("alice")
    assert is_in(hers)
    assert is_in(his)
    return hers, his, path_in(mails("new_device")[-1])


def test_only_a_browser_that_is_new_to_an_account_that_is_not_is_told(app: Doorward) -> None:
    make_account("alice")
    make_account("bob")
    hers, other = browser(app), browser(app)
    hers.sign_in("alice")
    assert mails("new_device") == []  # the first sign-in ever
    hers.sign_out()
    hers.sign_in("alice")
    assert mails("new_device") == []  # known
    hers.sign_out()
    hers.sign_in("bob")
    assert mails("new_device") == []  # the first of Bob
    other.sign_in("alice")
    (told,) = mails("new_device")
    assert told.to == "alice@example.org"
    assert "Firefox" in told.values["device"]
    other.sign_out()
    other.sign_in("bob")
    assert [mail.to for mail in mails("new_device")] == ["alice@example.org", "bob@example.org"]
    other.sign_out()
    other.sign_in("alice", "wrong")
    assert len(mails("new_device")) == 2


def test_whoever_registers_is_not_told_of_it(app: Doorward) -> None:
    visitor = browser(app)
    fields = {"username": "carol", "email": "carol@example.org", "password": OTHER, "again": OTHER}
    page = visitor.get("/register")
    visitor.send(page, {name: value for name, value in fields.items() if f'name="{name}"' in page.html})
    assert is_in(visitor)
    assert mails("new_device") == []


def test_a_get_changes_nothing(stolen: tuple[Visitor, Visitor, str]) -> None:
    hers, his, path = stolen
    page = hers.get(path)
    assert page.status == 200
    assert "Chrome on Windows" in page.text
    assert is_in(his)
    assert alice().locked_at is None


def test_the_button_locks_and_ends_everything(app: Doorward, stolen: tuple[Visitor, Visitor, str]) -> None:
    hers, his, path = stolen
    kept = [cookie(hers), cookie(his)]
    stranger = browser(app)
    done = stranger.send(stranger.get(path))
    assert "The account is locked" in done.text
    assert not any(is_in(thief(app, value)) for value in kept)
    assert not is_in(stranger)
    assert alice().locked_at is not None
    assert db.session.scalars(select(KnownDevice)).all() == []
    assert all(row.ended_at for row in db.session.scalars(select(SignInSession)))
    refused = his.sign_in("alice")
    assert refused.status == 422
    assert refused.text == said_to_a_wrong_password(app)
    events = [row.event for row in db.session.scalars(select(AuditEntry).order_by(AuditEntry.id))]
    assert {"sign_in.disowned", "account.locked"} <= set(events)
    notice = mails("notice")[-1]
    assert "not yours" in notice.values["what"]


def said_to_a_wrong_password(app: Doorward) -> str:
    """What a wrong password hears."""
    make_account("bob")
    page = browser(app).sign_in("bob", "wrong")
    return page.text.replace("bob", "alice")


def test_a_reset_by_the_mailed_link_opens_it_again(app: Doorward, stolen: tuple[Visitor, Visitor, str]) -> None:
    hers, his, path = stolen
    hers.send(hers.get(path))
    (mail,) = mails("reset")
    assert mail.to == "alice@example.org"
    assert reset(hers, path_in(mail)).path == "/sign-in"
    assert alice().locked_at is None
    assert his.sign_in("alice", PASSWORD).status == 422
    assert hers.sign_in("alice", OTHER).path == "/account"


def reset(visitor: Visitor, path: str) -> SeenPage:
    """Choose a new password with this link."""
    return visitor.send(visitor.get(path), {"password": OTHER, "again": OTHER})


def test_used_twice_or_run_out_it_says_so(app: Doorward, stolen: tuple[Visitor, Visitor, str]) -> None:
    hers, _his, path = stolen
    page = hers.get(path)
    offset = clock.offset()
    clock.shift(offset + timedelta(days=7, seconds=1))
    for gone in (hers.get(path), hers.send(page)):
        assert gone.status in {404, 400}
    assert "does not work any more" in hers.get(path).text
    assert alice().locked_at is None
    clock.shift(offset + timedelta(days=6))
    page = hers.get(path)
    assert hers.send(page).status == 200
    assert hers.get(path).status == 404
    assert hers.post(path, {"csrf_token": "x"}).status in {400, 404}


def test_of_twenty_at_once_one_locks(app: Doorward, stolen: tuple[Visitor, Visitor, str]) -> None:
    token = stolen[2].rpartition("/")[2]
    db.session.rollback()

    def lock(_: int) -> bool:
        with app.app_context(), suppress(NotFound):
            with transaction():
                disown(operator_actor(), token)
            return True
        return False

    assert sum(race(20, lock)) == 1
    assert len(mails("reset")) == 1


def test_a_link_of_another_purpose_locks_nobody(app: Doorward, stolen: tuple[Visitor, Visitor, str]) -> None:
    hers, _his, path = stolen
    with transaction():
        other = make_link(Purpose.RESET, alice()).rpartition("/")[2]
    assert hers.get(f"/not-me/{other}").status == 404
    assert hers.get(path.replace("not-me", "reset")).status == 404
    assert hers.get("/not-me/nonsense").status == 404


def test_a_change_of_the_password_by_the_thief_does_not_kill_the_link(stolen: tuple[Visitor, Visitor, str]) -> None:
    hers, _his, path = stolen
    with transaction():
        alice().epoch += 1
    assert hers.send(hers.get(path)).status == 200
    assert alice().locked_at is not None


def test_an_address_the_thief_put_in_is_put_back_and_gets_no_link(stolen: tuple[Visitor, Visitor, str]) -> None:
    hers, _his, path = stolen
    with transaction():
        account = alice()
        account.email = account.email_canonical = "thief@evil.example"
        stale = make_link(Purpose.RESET, account)
    hers.send(hers.get(path))
    assert alice().email == alice().email_canonical == "alice@example.org"
    assert [mail.to for mail in mails("reset")] == ["alice@example.org"]
    assert hers.get(stale).status == 404
    hers.send(hers.get("/forgotten"), {"name": "thief@evil.example"})
    assert {mail.to for mail in mails("reset")} - {"alice@example.org"} <= {"thief@evil.example"}
    assert all(mail.about is None for mail in mails("reset") if mail.to == "thief@evil.example")


def test_an_address_that_was_not_confirmed_gets_nobody_an_account(app: Doorward) -> None:
    make_account("alice", email_verified_at=None)
    browser(app).sign_in("alice")
    browser(app).sign_in("alice")
    path = path_in(mails("new_device")[-1])
    with transaction():
        account = alice()
        account.email = account.email_canonical = "right@example.org"
    stranger = browser(app)
    stranger.send(stranger.get(path))
    assert alice().email == "right@example.org"
    assert [mail.to for mail in mails("reset")] == ["right@example.org"]


def test_what_was_added_since_to_come_in_by_is_gone_and_what_was_there_stays(
    app: Doorward, stolen: tuple[Visitor, Visitor, str], key_of: Callable[..., str]
) -> None:
    hers, _his, path = stolen
    before, since = clock.now() - timedelta(days=1), clock.now()
    account = alice()
    with transaction():
        for at, name in ((before, "hers"), (since, "his")):
            db.session.add(passkey(account, name, at))
            db.session.add(identity(account, name, at))
    for name, at in (("hers", before), ("his", since)):
        key_of(alice(), name)
        with transaction():
            db.session.scalars(select(ApiKey).where(ApiKey.name == name)).one().created_at = at
    _phone, codes = enrol("alice")
    hers.send(hers.get(path))
    assert [row.name for row in db.session.scalars(select(Passkey))] == ["hers"]
    assert [row.subject for row in db.session.scalars(select(ExternalIdentity))] == ["hers"]
    keys = {key.name: key.revoked_at is None for key in db.session.scalars(select(ApiKey))}
    assert keys == {"hers": True, "his": False}
    assert alice().has_factor
    reset(hers, path_in(mails("reset")[-1]))
    half_done = hers.sign_in("alice", OTHER)
    assert half_done.path == "/sign-in/factor"  # the mailbox alone is not enough
    assert codes
    assert not is_in(hers)


def passkey(account: Account, name: str, at: datetime) -> Passkey:
    """A passkey as a row."""
    return Passkey(
        id=new_id(), account_id=account.id, credential_id=name.encode(), public_key=b"key", sign_count=0, name=name,
        transports=[], created_at=at,
    )  # fmt: skip


def identity(account: Account, name: str, at: datetime) -> ExternalIdentity:
    """A linked outside sign-in as a row."""
    return ExternalIdentity(
        id=new_id(), account_id=account.id, provider="acme", issuer="https://acme.example", subject=name, created_at=at
    )
