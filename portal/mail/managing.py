"""What the console shows and does of the outbox. To whom a mail goes is masked; what it says is shown to nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError

from portal.audit import events
from portal.audit.record import Target, record
from portal.core import clock
from portal.core.access import Capability, needs
from portal.core.crypto import BadSeal
from portal.core.database import db
from portal.core.errors import NotFound
from portal.core.masks import mask_email
from portal.core.pages import Page, page_of
from portal.mail.models import OutboxMail
from portal.mail.outbox import opened
from portal.mail.rendering import letter_names, render, sample_values
from portal.mail.transport import try_out

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor
    from portal.core.settings import Settings

MOST_COUNTED = 1000
STATES = ("waiting", "sent", "given_up")


@needs(Capability.SETTING_MANAGE)
def list_mails(actor: Actor, state: str = "", cursor: str | None = None) -> tuple[Page[OutboxMail], dict[UUID, str]]:
    """One page of mails, latest first, and of those that did not leave yet the masked address."""
    query = select(OutboxMail)
    if state in STATES:
        query = query.where(OutboxMail.state == state)
    page = page_of(query, [OutboxMail.id.desc()], cursor, purpose=f"mails-{state}")
    return page, {mail.id: _masked(mail) for mail in page.items if mail.sealed}


def _masked(mail: OutboxMail) -> str:
    try:
        return mask_email(opened(mail)[0])
    except BadSeal:
        return ""


@needs(Capability.SETTING_MANAGE)
def retry_mails(actor: Actor, mail_id: UUID | None = None) -> int:
    """Send a mail again that was given up, or all of them; answers how many. Raises NotFound for one that was not."""
    given_up = [OutboxMail.state == "given_up", OutboxMail.sealed.is_not(None)]
    if mail_id is not None:
        given_up.append(OutboxMail.id == mail_id)
    again = {"state": "waiting", "next_try_at": clock.now(), "attempts": 0, "refusals": 0, "unsure": 0}
    statement = update(OutboxMail).where(*given_up).values(**again).returning(OutboxMail.id)
    count = len(db.session.execute(statement.execution_options(synchronize_session=False)).all())
    if mail_id is not None and not count:
        raise NotFound
    if count:
        record(actor, events.MAIL_RETRIED, Target("mail", mail_id), {"count": count})
    return count


@needs(Capability.SETTING_MANAGE)
def list_letters(actor: Actor) -> dict[str, str]:
    """Every letter that is ever mailed, with its subject as it would be."""
    return {name: render(name, sample_values(name), "en")[0] for name in letter_names()}


@needs(Capability.SETTING_MANAGE)
def preview_letter(actor: Actor, name: str) -> tuple[str, str, str]:
    """(subject, text, html) of a letter with made-up values. Raises NotFound."""
    if name not in letter_names():
        raise NotFound
    return render(name, sample_values(name), "en")


def check_mail(now: Settings) -> list[tuple[str, str]]:
    """Whether mail can leave, and what waits too long: states (`ok`, `warning`) with words, for the command line."""
    if not now.mail_leaves:
        return [("warning", f"stays here ({now.smtp_url}): set SMTP_URL")]
    trouble = try_out(now)
    found = [("warning", f"the mail server does not let us in ({trouble})") if trouble else ("ok", "leaves by SMTP")]
    given_up = select(OutboxMail.id).where(OutboxMail.state == "given_up").limit(MOST_COUNTED)
    try:
        count = len(db.session.scalars(given_up).all())
    except SQLAlchemyError:  # the database has a line of its own
        db.session.rollback()
        return found
    if count:
        found.append(("warning", f"{count} given up: see /admin/mail"))
    return found
