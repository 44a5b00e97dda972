"""What waits in the outbox, opened."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from portal.core import crypto
from portal.core.database import db
from portal.mail.models import OutboxMail
from portal.mail.rendering import render


def letters(*templates: str) -> list[dict[str, Any]]:
    """The mails of these templates in the order of writing: template, to, values, and what the reader sees."""
    db.session.expire_all()
    found = []
    for mail in db.session.scalars(select(OutboxMail).order_by(OutboxMail.created_at, OutboxMail.id)):
        if mail.template in templates:
            opened = crypto.unseal(mail.sealed or "", place=f"outbox:{mail.id}")
            subject, text, html = render(mail.template, opened["values"], mail.language)
            found.append({**opened, "template": mail.template, "subject": subject, "text": text, "html": html})
    return found
