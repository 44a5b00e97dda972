"""Plans: what they grant, who may change them, that two do not overwrite each other, and which can go."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from portal.accounts.models import User
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import CaseNeeded, Conflict, Forbidden, Invalid, NotFound
from portal.core.ids import new_id
from portal.privacy.deletion import delete_user
from portal.usage.models import Plan
from portal.usage.plan_changes import change_plan
from portal.usage.plans import (
    PlanTerms,
    create_plan,
    default_plan,
    delete_plan,
    edit_plan,
    list_plans,
    plan_named,
    plan_of,
    plan_record,
    terms_of,
)
from portal.web.frame import Doorward
from tests.people import actor_named, make_account

TEAM = PlanTerms("team", 500, 1000, 60, 20, 90, {"m-1": 5, "m-2": 0})


def make_plan(terms: PlanTerms = TEAM) -> Plan:
    """A plan besides free and plus."""
    with transaction():
        return create_plan(operator_actor(), terms)


def make_user(name: str) -> User:
    """A user on the default plan."""
    user = make_account(name)
    assert isinstance(user, User)
    return user


def test_free_and_plus_are_there_to_begin_with(app: Doorward) -> None:
    plans = {plan.name: (plan.daily_limit, plan.rate_per_minute) for plan in list_plans(operator_actor())}
    assert plans == {"free": (100, None), "plus": (1000, None)}
    assert default_plan().name == "free"


def test_a_plan_keeps_all_its_terms_with_prices_under_canonical_names(app: Doorward) -> None:
    made = make_plan(replace(TEAM, prices={" M-2 ": 0, "m-1": 5}))
    db.session.expire_all()
    assert terms_of(plan_record(operator_actor(), made.id)) == TEAM
    with transaction():
        edit_plan(operator_actor(), made.id, replace(TEAM, prices={"m-3": 7}), version=made.version)
    db.session.expire_all()
    assert plan_record(operator_actor(), made.id).prices == {"m-3": 7}
    edited = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "plan.edited")).one()
    assert edited.facts == {"changed": ["prices"]}


@pytest.mark.parametrize(
    "terms",
    [
        {"name": ""}, {"name": "x"}, {"name": "Big"}, {"name": "1st"}, {"name": "a b"}, {"name": "x" * 41},
        {"name": "ünique"}, {"daily_limit": -1}, {"daily_limit": 1_000_001}, {"credits_per_month": -1},
        {"key_count": -1}, {"key_count": 1_000_001}, {"rate_per_minute": -1}, {"retention_days": 2_000_000},
        {"credits_per_month": 2**63}, {"daily_limit": 1.5}, {"daily_limit": True}, {"rate_per_minute": 2**53},
        {"credits_per_month": None}, {"prices": {"m-1": -1}}, {"prices": {"m-1": 1_000_001}}, {"name": "free"},
    ],
    ids=str,
)  # fmt: skip
def test_terms_out_of_bounds_are_refused_at_their_field(app: Doorward, terms: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused, transaction():
        create_plan(operator_actor(), PlanTerms(**{"name": "team", "daily_limit": 5, **terms}))
    assert refused.value.fields.keys() == terms.keys()
    assert len(list_plans(operator_actor())) == 2


def test_every_wrong_term_is_told_at_once(app: Doorward) -> None:
    with pytest.raises(Invalid) as refused:
        create_plan(operator_actor(), PlanTerms("X", -1, -1, -1, -1, -1, {"m": -1}))
    assert refused.value.fields.keys() == PlanTerms.__dataclass_fields__.keys()


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
    plan = make_plan()
    with pytest.raises(Invalid), transaction():
        edit_plan(operator_actor(), plan.id, PlanTerms("plus", 7), version=plan.version)


def test_the_plan_of_new_users_keeps_its_name_and_stays(app: Doorward) -> None:
    plan = default_plan()
    with pytest.raises(Invalid) as refused, transaction():
        edit_plan(operator_actor(), plan.id, replace(terms_of(plan), name="gratis"), version=plan.version)
    assert "DEFAULT_PLAN" in str(refused.value.fields["name"])
    with pytest.raises(Conflict, match="DEFAULT_PLAN"), transaction():
        delete_plan(operator_actor(), plan.id)


def test_a_plan_that_nobody_has_can_be_deleted(app: Doorward) -> None:
    plan = make_plan()
    with transaction():
        delete_plan(operator_actor(), plan.id)
    assert plan_named("team") is None
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "plan.deleted")).one()
    assert entry.facts == {"name": "team"}
    with pytest.raises(NotFound):
        delete_plan(operator_actor(), plan.id)


@pytest.mark.parametrize("starts", ["now", "next_day", "next_month"])
def test_a_plan_that_somebody_has_or_is_about_to_get_stays(app: Doorward, starts: str) -> None:
    alice, plan = make_user("alice"), make_plan()
    with transaction():
        change_plan(operator_actor(), alice.id, plan.id, starts=starts)
    with pytest.raises(Conflict), transaction():
        delete_plan(operator_actor(), plan.id)
    assert plan_named("team") is not None


def test_a_plan_of_a_user_who_may_be_restored_stays(app: Doorward) -> None:
    alice, plan = make_user("alice"), make_plan()
    with transaction():
        change_plan(operator_actor(), alice.id, plan.id)
    with transaction():
        delete_user(operator_actor().because("gone"), alice.id, typed_name="alice")
    with pytest.raises(Conflict), transaction():
        delete_plan(operator_actor(), plan.id)


def test_a_plan_given_away_while_it_is_deleted_stays(app: Doorward, monkeypatch: pytest.MonkeyPatch) -> None:
    alice, plan = make_user("alice"), make_plan()
    with transaction():
        change_plan(operator_actor(), alice.id, plan.id)
    monkeypatch.setattr("portal.usage.plans._is_held", lambda plan_id: False)
    with pytest.raises(Conflict), transaction():
        delete_plan(operator_actor(), plan.id)
    assert plan_named("team") is not None


def test_who_may_not_write_plans_writes_none(app: Doorward) -> None:
    alice, plan = make_user("alice"), make_plan()
    for name in ("max", "tara"):
        make_account(name)
    for name in ("alice", "max", "tara"):
        actor = actor_named(name)
        with pytest.raises(Forbidden):
            create_plan(actor, PlanTerms("mine", None))
        with pytest.raises(Forbidden):
            edit_plan(actor, default_plan().id, PlanTerms("free", None), version=1)
        with pytest.raises(Forbidden):
            delete_plan(actor, plan.id)
        # Level 3 may, but in a case about this user only.
        with pytest.raises(CaseNeeded if name == "tara" else Forbidden):
            change_plan(actor, alice.id, default_plan().id)
    assert plan_of(alice).daily_limit == 100


def test_a_user_whose_plan_was_never_set_has_the_default_one(app: Doorward) -> None:
    alice = make_user("alice")
    alice.plan_id = None
    assert plan_of(alice).name == "free"
    alice.next_plan_id, alice.next_plan_from = make_plan().id, clock.now()
    assert plan_of(alice).name == "team"


def test_a_plan_that_is_not_there_is_not_found(app: Doorward) -> None:
    for look in (plan_record, delete_plan):
        with pytest.raises(NotFound):
            look(operator_actor(), new_id())


def test_an_edit_of_nothing_leaves_no_entry(app: Doorward) -> None:
    plan = default_plan()
    with transaction():
        edit_plan(operator_actor(), plan.id, terms_of(plan), version=plan.version)
    assert db.session.scalars(select(AuditEntry)).all() == []


@pytest.mark.parametrize("setting", [{"default_plan": "unheard-of"}])
def test_a_default_plan_that_is_not_there_is_told(app: Doorward, setting: dict[str, Any]) -> None:
    with pytest.raises(NotFound, match="default plan"):
        default_plan()
