"""Plans: what they grant, who may change them, and that two do not overwrite each other."""

from __future__ import annotations

from typing import Any

import pytest

from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import Conflict, Forbidden, Invalid, NotFound
from portal.core.ids import new_id
from portal.usage.models import Plan
from portal.usage.plans import PlanTerms, change_plan, create_plan, default_plan, edit_plan, list_plans, plan_of
from portal.web.frame import Doorward
from tests.people import actor_named, make_account


def test_free_and_plus_are_there_to_begin_with(app: Doorward) -> None:
    plans = {plan.name: (plan.daily_limit, plan.rate_per_minute) for plan in list_plans(operator_actor())}
    assert plans == {"free": (100, None), "plus": (1000, None)}
    assert default_plan().name == "free"


@pytest.mark.parametrize(
    "terms",
    [
        {"name": ""}, {"name": "x"}, {"name": "Big"}, {"name": "1st"}, {"name": "a b"}, {"name": "x" * 41},
        {"name": "ünique"}, {"daily_limit": -1}, {"daily_limit": 1_000_001}, {"credits_per_month": -1},
        {"key_count": -1}, {"key_count": 1_000_001}, {"rate_per_minute": -1}, {"retention_days": 2_000_000},
        {"name": "free"},
    ],
    ids=str,
)  # fmt: skip
def test_terms_out_of_bounds_are_refused(app: Doorward, terms: dict[str, Any]) -> None:
    with pytest.raises(Invalid), transaction():
        create_plan(operator_actor(), PlanTerms(**{"name": "team", "daily_limit": 5, **terms}))
    assert len(list_plans(operator_actor())) == 2


def test_of_two_who_change_a_plan_the_second_is_told(app: Doorward) -> None:
    plan = default_plan()
    version = plan.version
    with transaction():
        edit_plan(operator_actor(), plan.id, PlanTerms("free", 7), version=version)
    with pytest.raises(Conflict), transaction():
        edit_plan(operator_actor(), plan.id, PlanTerms("free", 8), version=version)
    db.session.expire_all()
    assert db.session.get_one(Plan, plan.id).daily_limit == 7


def test_a_plan_cannot_take_the_name_of_another(app: Doorward) -> None:
    plan = default_plan()
    with pytest.raises(Invalid), transaction():
        edit_plan(operator_actor(), plan.id, PlanTerms("plus", 7), version=plan.version)


def test_a_user_gets_only_plans_that_exist(app: Doorward) -> None:
    alice = make_account("alice")
    with pytest.raises(Invalid), transaction():
        change_plan(operator_actor(), alice.id, new_id())
    with pytest.raises(NotFound), transaction():
        change_plan(operator_actor(), new_id(), default_plan().id)


def test_who_may_not_write_plans_writes_none(app: Doorward) -> None:
    alice = make_account("alice")
    for name in ("max", "tara"):
        make_account(name)
    for name in ("alice", "max", "tara"):
        actor = actor_named(name)
        with pytest.raises(Forbidden):
            create_plan(actor, PlanTerms("mine", None))
        with pytest.raises(Forbidden):
            edit_plan(actor, default_plan().id, PlanTerms("free", None), version=1)
        with pytest.raises(Forbidden):
            change_plan(actor, alice.id, default_plan().id)
    assert plan_of(alice).daily_limit == 100  # type: ignore[arg-type]  # what only a caller without types could pass
