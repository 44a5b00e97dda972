"""Who may do what: one table, and absent means denied."""

from __future__ import annotations

import pytest

from portal.core import access
from portal.core.access import Capability, needs, of_level, of_permissions, of_scopes, open_to_all, outranks
from portal.core.actor import Actor, ActorKind, nobody
from portal.core.errors import Forbidden


@needs(Capability.USER_WRITE, Capability.STAFF_MANAGE)
def verb(actor: Actor, word: str) -> str:
    return f"{actor.name} {word}"


def holding(*capabilities: Capability, rank: int = 0) -> Actor:
    return Actor(ActorKind.ADMIN, "ada", capabilities=frozenset(capabilities), rank=rank)


def test_a_verb_refuses_whoever_lacks_all_it_needs() -> None:
    for actor in (nobody(), holding(), holding(*(set(Capability) - {Capability.USER_WRITE, Capability.STAFF_MANAGE}))):
        with pytest.raises(Forbidden):
            verb(actor, "acts")


@pytest.mark.parametrize("one", [Capability.USER_WRITE, Capability.STAFF_MANAGE])
def test_one_of_what_it_needs_is_enough(one: Capability) -> None:
    assert verb(holding(one), "acts") == "ada acts"


def test_a_verb_for_all_says_why() -> None:
    @open_to_all("anybody may look")
    def look(actor: Actor) -> str:
        return actor.name

    assert look(nobody()) == "nobody"
    assert look.__access__ == "anybody may look"  # type: ignore[attr-defined]  # set by the decorator


def test_each_level_holds_what_the_one_below_holds() -> None:
    assert of_level(1) <= of_level(2) <= of_level(3)
    assert of_level(1) < of_level(2) < of_level(3)
    assert of_level(3) - of_level(2) == {
        Capability.LOG_CONTENT,
        Capability.USER_SUSPEND,
        Capability.CREDIT_ADJUST,
        Capability.PLAN_CHANGE,
        Capability.LIMIT_BOOST,
        Capability.USER_RESTORE,
        Capability.RECORD_EXPORT,
    }
    assert Capability.USER_CONTACT not in of_level(3)
    assert not of_level(0) and not of_level(4)


def test_names_that_do_not_exist_grant_nothing() -> None:
    assert of_permissions(["everything"]) == of_permissions([]) == access.ADMIN
    assert of_scopes(("admin:all",)) == frozenset()


def test_support_and_users_hold_nothing_of_the_console() -> None:
    # What admins may do to users some level of the desk may do too, in a case; of the house itself it sees nothing.
    console = frozenset().union(*access.PERMISSIONS.values()) - access.LEVEL_3
    for held in (access.USER, *access.LEVELS.values()):
        assert held.isdisjoint(console)
    assert console >= {
        Capability.USER_CONTACT,
        Capability.USER_WRITE,
        Capability.USER_DELETE,
        Capability.CREDIT_WRITE,
        Capability.PLAN_WRITE,
        Capability.STAFF_MANAGE,
        Capability.ADMIN_MANAGE,
        Capability.CLIENT_MANAGE,
        Capability.AUDIT_READ,
        Capability.JOB_RUN,
        Capability.SETTING_MANAGE,
    }


def test_every_capability_has_a_sentence_and_somebody_who_holds_it() -> None:
    tables = (access.LEVELS.values(), access.PERMISSIONS.values(), access.SCOPES.values(), [access.USER, access.ADMIN])
    held = frozenset().union(*(grants for table in tables for grants in table))
    assert held.isdisjoint(access.OPERATOR_ONLY)
    assert held | access.OPERATOR_ONLY == frozenset(Capability) == access.operator_actor().capabilities
    assert all(capability.sentence.endswith(".") for capability in Capability)


@pytest.mark.parametrize(
    ("actor_rank", "rank", "may"),
    [
        (access.RANK_USER, access.RANK_USER, False),
        (access.RANK_STAFF + 1, access.RANK_USER, True),
        (access.RANK_STAFF + 3, access.RANK_STAFF + 3, False),
        (access.RANK_STAFF + 3, access.RANK_ADMIN, False),
        (access.RANK_ADMIN, access.RANK_STAFF + 3, True),
        (access.RANK_ADMIN, access.RANK_ADMIN, False),
        (access.RANK_ADMIN, access.RANK_FULL_ADMIN, False),
        (access.RANK_FULL_ADMIN, access.RANK_ADMIN, True),
        (access.RANK_FULL_ADMIN, access.RANK_FULL_ADMIN, True),
        (access.RANK_OPERATOR, access.RANK_FULL_ADMIN, True),
    ],
)
def test_only_a_higher_rank_acts_on_a_lower_one(actor_rank: int, rank: int, may: bool) -> None:
    assert outranks(holding(rank=actor_rank), rank) is may


def test_a_reason_is_given_without_changing_the_actor() -> None:
    ada = holding(Capability.USER_WRITE)
    assert ada.because("asked by phone").reason == "asked by phone"
    assert ada.reason is None
