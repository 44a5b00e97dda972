"""How long conversations are kept: the user's choice, within the plan, within LOG_RETENTION_DAYS."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from portal.accounts.models import User
from portal.core.database import db, transaction
from portal.core.ids import new_id
from portal.messages.keeping import CHOICES, Keeping, keeping_by, kept_of
from portal.usage.models import Plan
from portal.web.frame import Doorward
from tests.people import make_account

NOTHING = Keeping(None, None)


@pytest.mark.parametrize("setting", [{"log_retention_days": 90}])
@pytest.mark.parametrize(
    ("choice", "plan_days", "kept"),
    [
        ("plan", 30, Keeping(30, 30)),
        ("plan", None, Keeping(90, 90)),
        ("plan", 0, NOTHING),
        ("nothing", 30, NOTHING),
        ("nothing", None, NOTHING),
        ("metadata", 30, Keeping(None, 30)),
        ("metadata", 0, NOTHING),
        ("7", 30, Keeping(7, 30)),
        ("30", 7, Keeping(7, 7)),
        ("365", None, Keeping(90, 90)),
        ("365", 1000, Keeping(365, 1000)),
        ("7", 0, NOTHING),
    ],
)
def test_a_choice_holds_within_the_plan(app: Doorward, choice: str, plan_days: int | None, kept: Keeping) -> None:
    assert keeping_by(choice, plan_days) == kept


def test_each_user_is_told_by_the_own_choice_and_plan(app: Doorward) -> None:
    plus = db.session.scalars(select(Plan.id).where(Plan.name == "plus")).one()
    alice = make_account("alice")
    bob = make_account("bob", plan_id=plus, keep_messages="7")
    carol = make_account("carol", keep_messages="nothing")
    dora = make_account("dora", plan_id=None, keep_messages="metadata")
    ada = make_account("ada")
    asked = [alice.id, bob.id, carol.id, dora.id, ada.id, new_id(), alice.id]
    assert kept_of(asked) == {
        alice.id: Keeping(30, 30),
        bob.id: Keeping(7, 365),
        carol.id: NOTHING,
        dora.id: Keeping(None, 365),
    }
    assert kept_of([]) == {}


def test_many_are_told_at_once(app: Doorward) -> None:
    alice = make_account("alice")
    assert kept_of([*(new_id() for _ in range(900)), alice.id]) == {alice.id: Keeping(30, 30)}


def test_a_user_has_one_of_the_choices(app: Doorward) -> None:
    alice = make_account("alice")
    for choice in CHOICES:
        with transaction():
            db.session.execute(update(User).where(User.account_id == alice.id).values(keep_messages=choice))
    with pytest.raises(IntegrityError), transaction():
        db.session.execute(update(User).where(User.account_id == alice.id).values(keep_messages="8"))
