"""What waits in the outbox, opened: for tests that follow what was mailed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import delete, select

from portal.core import crypto
from portal.core.database import db, transaction
from portal.mail.models import OutboxMail


@dataclass(frozen=True)
class Letter:
    """One mail that waits: its template, to whom it goes, and its values."""

    template: str
    to: str
    values: dict[str, Any]

    @property
    def path(self) -> str:
        """Where its link leads on this site."""
        return urlsplit(str(self.values["link"])).path


def letters(template: str = "", *, to: str = "") -> list[Letter]:
    """Those that wait, oldest first; of one template or to one address."""
    db.session.expire_all()
    rows = db.session.scalars(select(OutboxMail).where(OutboxMail.state == "waiting").order_by(OutboxMail.id)).all()
    opened = [(row.template, crypto.unseal(row.sealed or "", place=f"outbox:{row.id}")) for row in rows]
    found = [Letter(name, letter["to"], letter["values"]) for name, letter in opened]
    return [one for one in found if template in {"", one.template} and to in {"", one.to}]


def the_letter(template: str, *, to: str = "") -> Letter:
    """The only one of this template."""
    (found,) = letters(template, to=to)
    return found


def forget_letters() -> None:
    """Empty the outbox."""
    with transaction():
        db.session.execute(delete(OutboxMail))
