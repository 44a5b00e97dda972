"""Deleting, restoring, registering and spending at the same moment: one name, one owner, and books that agree."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import func, select
from sqlalchemy.orm.exc import StaleDataError

from portal.accounts.models import Account
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import PortalError
from portal.privacy.deletion import delete_user, restore_user
from portal.signin.registration import NewPerson, invite_user
from portal.usage.models import UsageDay
from portal.usage.plans import default_plan
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.people import make_account
from tests.races import race

BOSS = operator_actor().because("a test")


def attempt(app: Doorward, act: Callable[[], object]) -> str:
    """What came of it, in a thread of its own."""
    with app.app_context():
        try:
            with transaction():
                act()
            return "done"
        except (PortalError, StaleDataError) as error:  # the frame tells the latter as a clash
            return type(error).__name__
        finally:
            db.session.remove()


def test_of_restoring_and_registering_the_name_again_at_once_only_restoring_succeeds(app: Doorward) -> None:
    dora = make_account("dora").id
    with transaction():
        delete_user(BOSS, dora, typed_name="dora")
    plan, again = default_plan().id, NewPerson("dora", "dora@example.org")

    def act(number: int) -> str:
        if number % 2:
            return attempt(app, lambda: restore_user(BOSS, dora))
        return attempt(app, lambda: invite_user(BOSS, again, plan_id=plan))

    outcomes = race(8, act)
    assert set(outcomes[::2]) == {"Invalid"}
    assert sum(one == "done" for one in outcomes[1::2]) == 1
    named = select(Account.id).where(Account.username_canonical == "dora")
    assert db.session.scalars(named).all() == [dora]


def test_who_is_deleted_while_spending_spends_nothing_after(
    app: Doorward, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    alice = make_account("alice")
    user_id, key, token = alice.id, key_of(alice), machine().token

    def act(number: int) -> str:
        if number == 3:
            return attempt(app, lambda: delete_user(BOSS, user_id, typed_name="alice"))
        gate = Machine(app.test_client(), token)
        return "".join(str(gate.post("/keys/verify", {"key": key}).get_json()["code"])[:1] for _ in range(4))

    outcomes = race(8, act)
    assert outcomes.pop(3) == "done"
    spent = sum(one.count("V") for one in outcomes)
    assert all("V" not in one.lstrip("V") for one in outcomes), outcomes
    assert (db.session.scalar(select(func.sum(UsageDay.used))) or 0) == spent
    last = Machine(app.test_client(), token).post("/keys/verify", {"key": key}).get_json()
    assert last["code"] != "VALID"
