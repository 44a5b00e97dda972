"""Writing mails with the change that causes them, and sending what waits.

A server that is away, or refuses for now, is tried again and again for days. A mail it refuses for good is given up
soon. One of which nobody knows whether it was kept is sent once more, so that it comes twice at most.
"""

from __future__ import annotations

from datetime import timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import delete, select, update

from portal.core import clock, crypto, settings
from portal.core.database import db, transaction
from portal.core.ids import new_id
from portal.core.text import BadName, canonical_email
from portal.mail.models import OutboxMail
from portal.mail.rendering import render
from portal.mail.transport import Refused, Unsure, transport_of

if TYPE_CHECKING:
    from uuid import UUID

log = structlog.get_logger()
GIVEN_UP_AFTER = timedelta(days=3)
MOST_REFUSALS = 3
MOST_UNSURE = 2
LONGEST_PAUSE_S = 3600
CLAIM = timedelta(minutes=5)
KEPT_FOR = timedelta(days=30)
BATCH = 500


def write_mail(
    to: str, template: str, values: dict[str, Any], *, language: str = "en", account_id: UUID | None = None
) -> None:
    """Put a mail into the outbox, in the transaction of the change. `values` must be JSON."""
    mail_id = new_id()
    db.session.add(
        OutboxMail(
            id=mail_id,
            template=template,
            language=language,
            account_id=account_id,
            sealed=crypto.seal({"to": to, "values": values}, place=f"outbox:{mail_id}"),
            state="waiting",
            created_at=clock.now(),
            next_try_at=clock.now(),
        )
    )


def mail_is_due() -> bool:
    """Whether a mail waits to be sent."""
    due = select(OutboxMail.id).where(OutboxMail.state == "waiting", OutboxMail.next_try_at <= clock.now()).limit(1)
    return db.session.scalar(due) is not None


def deliverable(address: str) -> str:
    """The address with its domain in ASCII, which every server takes; what is no address stays as it is."""
    local, at, _ = address.rpartition("@")
    try:
        return f"{local}{at}{canonical_email(address).rpartition('@')[2]}"
    except BadName:
        return address


def opened(mail: OutboxMail) -> tuple[str, dict[str, Any]]:
    """To whom a mail goes and its values, while it has them."""
    held = crypto.unseal(mail.sealed or "", place=f"outbox:{mail.id}")
    return held["to"], held["values"]


def _message(mail: OutboxMail) -> EmailMessage:
    to, values = opened(mail)
    subject, text, html = render(mail.template, values, mail.language)
    name, sender = parseaddr(settings.current().mail_from)
    message = EmailMessage()
    message["From"] = Address(name or settings.current().site_name, addr_spec=sender)
    local, _, domain = deliverable(to).rpartition("@")
    message["To"] = Address(username=local, domain=domain)
    message["Subject"] = subject
    message["Date"] = format_datetime(mail.created_at)
    message["Message-ID"] = f"<{mail.id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no machine answers it
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    return message


def _claim_next() -> OutboxMail | None:
    """Take one due mail for CLAIM, so that two senders never send the same."""
    due = (
        select(OutboxMail.id)
        .where(OutboxMail.state == "waiting", OutboxMail.next_try_at <= clock.now())
        .order_by(OutboxMail.next_try_at)
        .limit(1)
    )
    with transaction():
        mail_id = db.session.scalar(due)
        if mail_id is None:
            return None
        taken = db.session.execute(
            update(OutboxMail)
            .where(OutboxMail.id == mail_id, OutboxMail.state == "waiting", OutboxMail.next_try_at <= clock.now())
            .values(next_try_at=clock.now() + CLAIM, attempts=OutboxMail.attempts + 1)
            .returning(OutboxMail.id)
            .execution_options(synchronize_session=False)
        ).scalar()
    return db.session.get(OutboxMail, mail_id, populate_existing=True) if taken else None


def send_waiting(*, most: int = 100) -> tuple[int, int]:
    """Send up to `most` due mails, each in a frame of its own. Answers (sent, failed)."""
    transport, sent, failed = transport_of(settings.current()), 0, 0
    for _ in range(most):
        mail = _claim_next()
        if mail is None:
            break
        try:
            message = _message(mail)
        except Exception as error:  # whatever is wrong with one mail must not hold up the others
            failed += 1
            _note_failure(mail, error)
            continue
        try:
            transport.send(message)
        except Exception as error:
            failed += 1
            _note_failure(mail, error)
            if isinstance(error, OSError):  # the server is away: the others need not find that out one by one
                break
        else:
            sent += 1
            with transaction():
                mail.state, mail.sent_at, mail.sealed, mail.last_error = "sent", clock.now(), None, None
    return sent, failed


def _note_failure(mail: OutboxMail, error: Exception) -> None:
    with transaction():
        mail.last_error = _told(mail, error)
        pause = timedelta(seconds=min(LONGEST_PAUSE_S, 15 * 2 ** min(mail.attempts, 20)))
        mail.next_try_at = clock.now() + pause
        if isinstance(error, Refused) and error.for_good:
            mail.refusals += 1
        elif isinstance(error, Unsure):
            mail.unsure += 1
        over = clock.now() - mail.created_at >= GIVEN_UP_AFTER
        hopeless = mail.refusals >= MOST_REFUSALS or mail.unsure >= MOST_UNSURE
        mail.state = "given_up" if over or hopeless else "waiting"
    log.warning("mail.failed", mail=str(mail.id), error=type(error).__name__, state=mail.state)


def _told(mail: OutboxMail, error: Exception) -> str:
    """What went wrong, for the console: with the server's words where it had any, without the address in them."""
    if not isinstance(error, Refused):
        return type(error).__name__
    to, _ = opened(mail)
    said = str(error)
    for part in (to, deliverable(to), to.rpartition("@")[0]):
        said = said.replace(part, "…") if len(part) > 1 else said
    return "".join(char if char.isprintable() else " " for char in said)[:200]


def forget_mails() -> int:
    """Delete a batch of mails that left, or were given up, over KEPT_FOR ago. Answers how many were."""
    old = select(OutboxMail.id).where(
        OutboxMail.state.in_(("sent", "given_up")), OutboxMail.next_try_at < clock.now() - KEPT_FOR
    )
    gone = db.session.execute(
        delete(OutboxMail)
        .where(OutboxMail.id.in_(old.limit(BATCH)))
        .returning(OutboxMail.id)
        .execution_options(synchronize_session=False)
    )
    return len(gone.all())
