"""The console's mail: what waits and why, sending again, a test mail, every letter as it looks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal.accounts.models import Account
from portal.accounts.notices import notify
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.database import db, transaction
from portal.core.ids import new_id
from portal.mail.models import OutboxMail
from portal.mail.outbox import MOST_REFUSALS, send_waiting
from portal.mail.rendering import letter_names
from tests.letters import the_letter
from tests.mail.catcher import Catcher, catching
from tests.people import make_account
from tests.visitor import Visitor


@pytest.fixture
def catcher() -> Any:
    """A server that keeps what it is sent."""
    with catching() as caught:
        yield caught


@pytest.fixture
def setting(catcher: Catcher) -> dict[str, Any]:
    """Mail leaves to the catcher."""
    return {"smtp_url": catcher.url, "mail_from": "desk@example.org"}


def write(account: Account, count: int = 1) -> None:
    """Some mails to somebody."""
    with transaction():
        for _ in range(count):
            notify(account, "Something was changed.")


def give_up(catcher: Catcher) -> None:
    """Let all that waits be refused for good."""
    catcher.refuse = "550 no such box"
    for _ in range(MOST_REFUSALS):
        send_waiting()
        clock.shift(clock.offset() + timedelta(minutes=4))
    catcher.refuse = ""


def test_a_mail_is_followed_from_writing_to_leaving(person: Callable[..., Visitor], catcher: Catcher) -> None:
    ada, alice = person("ada"), make_account("alice")
    write(alice)
    catcher.refuse = "451 <alice@example.org> is busy"
    send_waiting()
    page = ada.get("/admin/mail")
    assert "a•••@e•••.org Waiting 1" in page.text
    assert "451 <…> is busy" in page.text
    assert "alice@example.org" not in page.text
    catcher.refuse = ""
    clock.shift(timedelta(minutes=1))
    send_waiting()
    page = ada.get("/admin/mail?state=sent")
    assert " Left 2" in page.text
    assert "a•••@" not in page.text
    assert "No mails here" in ada.get("/admin/mail?state=waiting").text


def test_what_was_given_up_is_sent_again(person: Callable[..., Visitor], catcher: Catcher) -> None:
    ada = person("ada")
    write(make_account("alice"), 2)
    give_up(catcher)
    mails = db.session.scalars(select(OutboxMail)).all()
    assert {mail.state for mail in mails} == {"given_up"}
    page = ada.get("/admin/mail?state=given_up")
    page = ada.send(page, to=f"/admin/mail/{mails[0].id}/retry")
    assert "1 mail is sent again." in page.text
    assert send_waiting() == (1, 0)
    page = ada.send(page, to="/admin/mail/retry")
    assert "1 mail is sent again." in page.text
    assert send_waiting() == (1, 0)
    assert len(catcher.mails) == 2
    told = db.session.scalars(select(AuditEntry.facts).where(AuditEntry.event == "mail.retried")).all()
    assert told == [{"count": 1}, {"count": 1}]


def test_what_left_or_waits_is_not_sent_again(person: Callable[..., Visitor], catcher: Catcher) -> None:
    ada = person("ada")
    write(make_account("alice"))
    page = ada.get("/admin/mail")
    mail_id = db.session.scalars(select(OutboxMail.id)).one()
    form = page.form_to("/admin/mail/retry")
    token = {field.get("name") or "": field.get("value") for field in form.iter("input")}
    assert ada.post(f"/admin/mail/{mail_id}/retry", token).status == 404
    send_waiting()
    assert ada.post(f"/admin/mail/{mail_id}/retry", token).status == 404
    assert ada.post(f"/admin/mail/{new_id()}/retry", token).status == 404
    assert ada.post("/admin/mail/retry", token).status == 302
    assert send_waiting() == (0, 0)


def test_a_test_mail_goes_to_oneself_and_is_slowed(person: Callable[..., Visitor], catcher: Catcher) -> None:
    ada = person("ada")
    page = ada.send(ada.get("/admin/mail"), to="/admin/mail/test")
    assert "A test mail to ada@example.org is in the outbox." in page.text
    assert the_letter("trial").to == "ada@example.org"
    send_waiting()
    assert catcher.mails[0].message["Subject"] == "A test mail from Doorward"
    assert "Left" in ada.get("/admin/mail").text
    statuses = [ada.send(ada.get("/admin/mail"), to="/admin/mail/test").status for _ in range(5)]
    assert statuses == [200] * 4 + [429]
    assert len(db.session.scalars(select(AuditEntry).where(AuditEntry.event == "mail.tested")).all()) == 5


def test_why_a_test_mail_does_not_leave_is_seen(person: Callable[..., Visitor], catcher: Catcher) -> None:
    ada = person("ada")
    ada.send(ada.get("/admin/mail"), to="/admin/mail/test")
    catcher.refuse_sender = "530 sign in first"
    send_waiting()
    assert "530 sign in first" in ada.get("/admin/mail").text


@pytest.mark.parametrize("setting", [{"smtp_url": "none"}])
def test_a_site_from_which_no_mail_leaves_says_so(person: Callable[..., Visitor]) -> None:
    assert "No mail leaves this site" in person("ada").get("/admin/mail").text


def test_the_list_is_paged(person: Callable[..., Visitor]) -> None:
    ada = person("ada")
    write(make_account("alice"), 60)
    first = ada.get("/admin/mail")
    onward = next(link for link in first.links() if "cursor=" in link)
    assert first.text.count("Waiting 0") == 50
    assert ada.get(onward).text.count("Waiting 0") == 10


def test_every_letter_can_be_looked_at(person: Callable[..., Visitor]) -> None:
    ada = person("ada")
    page = ada.get("/admin/mail/letters")
    for name in letter_names():
        assert f"/admin/mail/letters/{name}" in page.links()
        shown = ada.get(f"/admin/mail/letters/{name}")
        assert shown.status == 200, name
        (frame,) = shown.tree.iter("iframe")
        assert frame.get("sandbox") == "", "nothing in it runs or is sent"
        assert "<html" in (frame.get("srcdoc") or "")
    for name in ("no-such-letter", "_letter", "..%2Freset", "reset.txt"):
        assert ada.get(f"/admin/mail/letters/{name}").status == 404


def test_an_admin_without_the_permission_sees_nothing_of_it(person: Callable[..., Visitor]) -> None:
    max_ = person("max")
    assert max_.get("/admin/mail").status == 403
    assert "/admin/mail" not in max_.get("/admin").links()
