"""What waits at the desk of a demo: a few users who asked for help, of whom one was handed up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from portal.accounts.models import Account
from portal.core.database import db, transaction
from portal.signin.sessions import actor_of
from portal.support.asking import ask_for_help
from portal.support.handing import claim_case, hand_to_level

if TYPE_CHECKING:
    from portal.core.actor import Actor

# The first listed users are left as they are, for whoever tries the demo begins with them.
SPARED = 3
ASKED = (
    ("help", "Since this morning my nightly job gets an error, and I changed nothing. Can you see why?"),
    ("more", "We launch on Monday and expect three times the traffic. Could we have a higher limit for two weeks?"),
    ("help", "How do I give a colleague a key that only works from our office?"),
    ("more", "Our credits ran out four days early. Is there a way to buy more before the month ends?"),
)
WHY = "They want a boost for two weeks; that takes level 3."


def make_cases(listed: list[dict[str, Any]], staff: list[str]) -> None:
    """Let some of the listed users ask; the second case is handed up by the first of the staff, who is level 1."""
    for number, ((subject, words), user) in enumerate(zip(ASKED, listed[SPARED:], strict=False)):
        with transaction():
            case = ask_for_help(_actor(user["username"]), subject=subject, words=words)
            if number == 1:
                first = _actor(staff[0])
                claim_case(first, case.id)
                hand_to_level(first, case.id, level=3, why=WHY)


def _actor(username: str) -> Actor:
    account = db.session.scalars(select(Account).where(Account.username == username)).one()
    return actor_of(account, address=None, request_id=None)
