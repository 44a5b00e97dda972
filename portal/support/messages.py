"""What the user and the desk say to each other in a case, and the mails that tell of it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from portal.accounts.models import Account
from portal.audit import events
from portal.audit.record import Target, record
from portal.core import clock
from portal.core.access import Capability, needs
from portal.core.database import db
from portal.core.errors import Invalid
from portal.core.ids import new_id
from portal.core.text import gettext
from portal.mail.outbox import write_mail
from portal.mail.rendering import site_link
from portal.support.cases import can_be_kept, case_of_id, change_held, plain_words, within_case
from portal.support.models import CaseMessage, SupportCase

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor

MOST_WORDS = 4_000
MOST_SHOWN = 200
# Answers that follow each other within so long are told of by one mail.
TOLD_FOR = timedelta(minutes=10)


def checked_words(typed: str) -> str:
    """What was written, as it is kept. Raises Invalid at "message"."""
    said = plain_words(typed)
    if not can_be_kept(said, MOST_WORDS):
        raise Invalid({"message": gettext("Write between 1 and %(most)s characters.", most=MOST_WORDS)})
    return said


def say_in(case: SupportCase, author_id: UUID, said: str, *, by_user: bool) -> None:
    """Add words to the talk of a case."""
    message = CaseMessage(
        id=new_id(), case_id=case.id, author_id=author_id, by_user=by_user, at=clock.now(), words=said
    )
    db.session.add(message)


def messages_in(case_id: UUID) -> list[CaseMessage]:
    """The talk of a case, oldest first; of a very long one the latest part."""
    latest = select(CaseMessage).where(CaseMessage.case_id == case_id)
    latest = latest.order_by(CaseMessage.at.desc(), CaseMessage.id.desc()).limit(MOST_SHOWN)
    return list(db.session.scalars(latest))[::-1]


@needs(Capability.CASE_WORK)
def answer_case(actor: Actor, case_id: UUID, *, words: str) -> SupportCase:
    """Write to the user in a case that the actor holds; a mail tells them that there is an answer, not what it says.

    Raises Conflict, Invalid, NotFound.
    """
    said, case = checked_words(words), case_of_id(case_id)
    change_held(actor, case, waiting_since=None, used_at=clock.now())
    told = _told_lately(case_id)
    if actor.id is not None:
        say_in(case, actor.id, said, by_user=False)
    record(within_case(actor, case), events.CASE_ANSWERED, Target("user", case.user_id))
    user = db.session.get(Account, case.user_id)
    if user is not None and user.email and not told:
        link = site_link(f"/account/help/{case.number}")
        values = {"name": user.shown_name, "number": case.number, "link": link}
        write_mail(user.email, "case_answer", values, language=user.language, account_id=user.id)
    return case


def _told_lately(case_id: UUID) -> bool:
    """Whether the last words in a case are the desk's own of a moment ago, of which a mail has told."""
    latest = select(CaseMessage).where(CaseMessage.case_id == case_id)
    last = db.session.scalars(latest.order_by(CaseMessage.at.desc(), CaseMessage.id.desc()).limit(1)).first()
    return last is not None and not last.by_user and last.at > clock.now() - TOLD_FOR


def mail_handed(case: SupportCase, member: Account, by: Actor) -> None:
    """Tell a staff member that a case was handed to them. About whom it is stands on the page, not in the mail."""
    if member.email:
        values = {
            "name": member.shown_name,
            "by": by.name,
            "number": case.number,
            "link": site_link(f"/staff/cases/{case.number}"),
        }
        write_mail(member.email, "case_handed", values, language=member.language, account_id=member.id)
