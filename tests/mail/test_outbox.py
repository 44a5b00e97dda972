"""A mail leaves once, after the change that caused it, and outlives a server that is away."""

from __future__ import annotations

import threading
from datetime import timedelta
from email.utils import parsedate_to_datetime
from itertools import pairwise

import pytest
from sqlalchemy import select

from portal.core import clock
from portal.core.database import db, transaction
from portal.mail.models import OutboxMail
from portal.mail.outbox import GIVEN_UP_AFTER, MOST_REFUSALS, forget_mails, send_waiting, write_mail
from portal.web.frame import Doorward
from tests.mail.catcher import Catcher

LINK = "https://desk.example.org/reset/a-secret-token"


def write_reset(to: str = "alice@example.org", name: str = "Alice") -> None:
    with transaction():
        write_mail(to, "reset", {"name": name, "link": LINK})


def the_mail() -> OutboxMail:
    db.session.expire_all()
    return db.session.scalars(select(OutboxMail)).one()


def test_a_mail_arrives_in_both_shapes(app: Doorward, catcher: Catcher) -> None:
    write_reset()
    assert send_waiting() == (1, 0)
    (caught,) = catcher.mails
    assert (caught.sender, caught.recipients) == ("desk@example.org", ["alice@example.org"])
    assert caught.message["Subject"] == "Choose a new password for Doorward"
    for sort in ("plain", "html"):
        part = caught.message.get_body((sort,))
        assert part is not None
        assert LINK in part.get_content()


def test_a_mail_is_sealed_while_it_waits_and_wiped_once_sent(app: Doorward, catcher: Catcher) -> None:
    write_reset()
    waiting = the_mail().sealed
    assert waiting
    assert "alice" not in waiting and "a-secret-token" not in waiting
    send_waiting()
    sent = the_mail()
    assert (sent.state, sent.sealed, sent.last_error) == ("sent", None, None)
    assert sent.sent_at is not None


def test_a_change_that_is_undone_sends_nothing(app: Doorward, catcher: Catcher) -> None:
    with pytest.raises(RuntimeError), transaction():
        write_mail("alice@example.org", "reset", {"name": "Alice", "link": LINK})
        db.session.flush()
        raise RuntimeError
    assert send_waiting() == (0, 0)
    assert catcher.mails == []


def test_several_senders_at_once_send_each_mail_once(app: Doorward, catcher: Catcher) -> None:
    for number in range(12):
        write_reset(f"user{number}@example.org")
    begin = threading.Barrier(3)

    def send() -> None:
        with app.app_context():
            begin.wait()
            for _ in range(12):
                send_waiting()

    senders = [threading.Thread(target=send) for _ in range(3)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    reached = sorted(caught.recipients[0] for caught in catcher.mails)
    assert reached == sorted(f"user{number}@example.org" for number in range(12))


@pytest.mark.parametrize("answer", ["451 later", "550 no such box", "421 too busy"])
def test_a_refused_mail_waits_and_goes_later(app: Doorward, catcher: Catcher, answer: str) -> None:
    catcher.refuse = answer
    write_reset()
    assert send_waiting() == (0, 1)
    assert send_waiting() == (0, 0)
    assert the_mail().state == "waiting"
    catcher.refuse = ""
    clock.shift(timedelta(seconds=31))
    assert send_waiting() == (1, 0)
    assert len(catcher.mails) == 1


def test_waiting_grows_and_ends_in_giving_up_after_days(app: Doorward, catcher: Catcher) -> None:
    catcher.refuse = "451 later"
    write_reset()
    begun = clock.now()
    waits = []
    while the_mail().state == "waiting":
        assert send_waiting() == (0, 1)
        waits.append(the_mail().next_try_at - clock.now())
        clock.shift(clock.offset() + timedelta(hours=1, minutes=1))
    assert all(earlier < later for earlier, later in pairwise(waits[:7]))
    assert max(waits) <= timedelta(hours=1)
    assert GIVEN_UP_AFTER <= clock.now() - begun < GIVEN_UP_AFTER + timedelta(hours=3)
    catcher.refuse = ""
    assert send_waiting() == (0, 0)


@pytest.mark.parametrize("where", ["refuse", "refuse_content"])
def test_a_mail_refused_for_good_is_given_up_soon(app: Doorward, catcher: Catcher, where: str) -> None:
    setattr(catcher, where, "550 5.1.1 <alice@example.org>: no such box")
    write_reset()
    for _ in range(MOST_REFUSALS):
        assert the_mail().state == "waiting"
        assert send_waiting() == (0, 1)
        clock.shift(clock.offset() + timedelta(hours=1))
    assert (the_mail().state, the_mail().attempts) == ("given_up", MOST_REFUSALS)
    assert the_mail().last_error == "550 5.1.1 <…>: no such box", "who it was for stays sealed"


def test_a_sender_that_is_refused_gives_no_mail_up(app: Doorward, catcher: Catcher) -> None:
    catcher.refuse_sender = "550 you are not known here"
    write_reset()
    for _ in range(5):
        send_waiting()
        clock.shift(clock.offset() + timedelta(hours=1))
    assert (the_mail().state, the_mail().attempts) == ("waiting", 5)
    catcher.refuse_sender = ""
    assert send_waiting() == (1, 0)


def test_a_connection_lost_after_the_content_doubles_a_mail_at_most_once(app: Doorward, catcher: Catcher) -> None:
    catcher.drops = 1
    write_reset()
    assert send_waiting() == (0, 1)
    clock.shift(timedelta(minutes=1))
    assert send_waiting() == (1, 0)
    assert len(catcher.mails) == 2
    assert len({caught.message["Message-ID"] for caught in catcher.mails}) == 1, "which mailboxes can tell as one"


def test_a_connection_lost_again_and_again_doubles_it_no_more(app: Doorward, catcher: Catcher) -> None:
    catcher.drops = 100
    write_reset()
    for _ in range(6):
        send_waiting()
        clock.shift(clock.offset() + timedelta(hours=1))
    assert len(catcher.mails) == 2
    assert (the_mail().state, the_mail().last_error) == ("given_up", "Unsure")


def test_a_server_that_is_away_is_asked_once_a_round(app: Doorward, catcher: Catcher) -> None:
    catcher.refuse = "421 going down"
    for number in range(5):
        write_reset(f"user{number}@example.org")
    assert send_waiting() == (0, 1)
    assert catcher.greetings == 1
    catcher.refuse = ""
    assert send_waiting() == (4, 0)


def test_what_left_is_forgotten_after_thirty_days_and_what_waits_is_not(app: Doorward, catcher: Catcher) -> None:
    write_reset("alice@example.org")
    send_waiting()
    catcher.refuse = "550 no"
    write_reset("bob@example.org")
    for _ in range(MOST_REFUSALS):
        send_waiting()
        clock.shift(clock.offset() + timedelta(hours=1))
    with transaction():
        assert forget_mails() == 0
    clock.shift(clock.offset() + timedelta(days=30))
    write_reset("carol@example.org")
    with transaction():
        assert forget_mails() == 2
    assert the_mail().state == "waiting"


def test_the_headers_say_what_it_is_and_when_it_was_written(app: Doorward, catcher: Catcher) -> None:
    write_reset()
    written = the_mail().created_at
    catcher.refuse = "451 later"
    send_waiting()
    catcher.refuse = ""
    clock.shift(timedelta(hours=2))
    send_waiting()
    message = catcher.mails[0].message
    assert message["Auto-Submitted"] == "auto-generated"
    assert parsedate_to_datetime(message["Date"]) == written.replace(microsecond=0)
    assert str(message["From"]) == "Doorward <desk@example.org>"
    assert message["To"] == "alice@example.org"


def test_a_line_that_begins_with_a_dot_arrives_as_it_was(app: Doorward, catcher: Catcher) -> None:
    with transaction():
        write_mail("alice@example.org", "notice", {"name": "Alice", "what": ".\n..\n.one"})
    send_waiting()
    part = catcher.mails[0].message.get_body(("plain",))
    assert part is not None
    assert ".\n..\n.one\n" in part.get_content().replace("\r\n", "\n")


def test_letters_beyond_ascii_arrive_and_the_wire_carries_ascii(app: Doorward, catcher: Catcher) -> None:
    write_reset(name="Zoë Ærø 雪")
    send_waiting()
    message = catcher.mails[0].message
    assert message.as_bytes().isascii()
    part = message.get_body(("plain",))
    assert part is not None
    assert "Hello Zoë Ærø 雪," in part.get_content()


def test_an_address_beyond_ascii_goes_only_where_the_server_takes_it(app: Doorward, catcher: Catcher) -> None:
    write_reset(to="zoë@example.org")
    assert send_waiting() == (0, 1)
    assert the_mail().last_error == "553 the mail server takes no addresses beyond ASCII"
    catcher.utf8 = True
    clock.shift(timedelta(minutes=1))
    assert send_waiting() == (1, 0)
    assert catcher.mails[0].recipients == ["zoë@example.org"]


@pytest.mark.parametrize("setting", [{"smtp_url": "smtp://127.0.0.1:1"}])
def test_a_server_that_is_down_loses_nothing(app: Doorward) -> None:
    write_reset()
    assert send_waiting() == (0, 1)
    assert (the_mail().state, the_mail().last_error) == ("waiting", "ConnectionRefusedError")


def test_a_sender_that_died_midway_does_not_keep_the_mail(app: Doorward, catcher: Catcher) -> None:
    write_reset()
    with transaction():
        mail = the_mail()
        mail.attempts, mail.next_try_at = 1, clock.now() + timedelta(minutes=5)  # claimed, never sent
    assert send_waiting() == (0, 0)
    clock.shift(timedelta(minutes=5, seconds=1))
    assert send_waiting() == (1, 0)


def test_one_mail_that_cannot_be_made_holds_up_no_other(app: Doorward, catcher: Catcher) -> None:
    with transaction():
        write_mail("bob@example.org", "no-such-letter", {})
    clock.shift(timedelta(seconds=1))
    write_reset()
    assert send_waiting() == (1, 1)
    assert [caught.recipients for caught in catcher.mails] == [["alice@example.org"]]


@pytest.mark.parametrize("wicked", ["Alice\r\nBcc: all@example.org", "Alice\nBcc: all@example.org"])
def test_a_name_adds_no_header_and_no_recipient(app: Doorward, catcher: Catcher, wicked: str) -> None:
    write_reset(name=wicked)
    send_waiting()
    (caught,) = catcher.mails
    assert caught.message["Bcc"] is None
    assert caught.recipients == ["alice@example.org"]


def test_an_address_with_a_line_break_goes_nowhere(app: Doorward, catcher: Catcher) -> None:
    write_reset(to="alice@example.org\r\nBcc: all@example.org")
    assert send_waiting() == (0, 1)
    assert catcher.mails == []


def test_a_domain_with_umlauts_is_reached_by_its_ascii_name(app: Doorward, catcher: Catcher) -> None:
    write_reset(to="Alice@b\u00fccher.example")
    assert send_waiting() == (1, 0)
    assert catcher.mails[0].recipients == ["Alice@xn--bcher-kva.example"]
