"""Writing mails with the change that causes them, and sending what waits."""

from __future__ import annotations

from datetime import timedelta
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import select, update

from portal.core import clock, crypto, settings
from portal.core.database import db, transaction
from portal.core.ids import new_id
from portal.core.text import BadName, canonical_email
from portal.mail.models import OutboxMail
from portal.mail.rendering import render
from portal.mail.transport import transport_of

if TYPE_CHECKING:
    from uuid import UUID

log = structlog.get_logger()
MOST_ATTEMPTS = 10
CLAIM = timedelta(minutes=5)


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


def _message(mail: OutboxMail) -> EmailMessage:
    opened = crypto.unseal(mail.sealed or "", place=f"outbox:{mail.id}")
    subject, text, html = render(mail.template, opened["values"], mail.language)
    message = EmailMessage()
    message["From"] = settings.current().mail_from
    message["To"] = deliverable(opened["to"])
    message["Subject"] = subject
    message["Message-ID"] = f"<{mail.id}@{settings.current().mail_from.rpartition('@')[2]}>"
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
            transport.send(_message(mail))
        except Exception as error:  # whatever is wrong with one mail must not hold up the others
            failed += 1
            with transaction():
                mail.last_error = type(error).__name__
                mail.next_try_at = clock.now() + timedelta(seconds=min(3600, 15 * 2**mail.attempts))
                mail.state = "given_up" if mail.attempts >= MOST_ATTEMPTS else "waiting"
            log.warning("mail.failed", mail=str(mail.id), error=type(error).__name__)
        else:
            sent += 1
            with transaction():
                mail.state, mail.sent_at, mail.sealed, mail.last_error = "sent", clock.now(), None, None
    return sent, failed
