"""Finding accounts: by any part of a name for the console, by whole ones for the desk, never a deleted one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from portal.accounts.directory import UserFilter, account_named, count_users, find_users, list_users, user_record
from portal.accounts.models import State
from portal.accounts.names import search_text_of
from portal.core import clock
from portal.core.errors import Forbidden, NotFound
from portal.core.ids import new_id
from portal.usage.plans import plan_named
from portal.web.frame import Doorward
from tests.people import actor_named, make_account


def named(username: str, email: str, display_name: str) -> dict[str, object]:
    """The columns of these names."""
    canonical = email.lower()
    searched = search_text_of(username, canonical, display_name)
    return {"email": email, "email_canonical": canonical, "display_name": display_name, "search_text": searched}


@pytest.fixture
def people(app: Doorward) -> None:
    """Ada and Tess look for Alice, Albert, Bob and the rest."""
    plus = plan_named("plus")
    make_account("ada")
    make_account("tess")
    make_account("alice", **named("alice", "alice@example.org", "Alice \u00d6zt\u00fcrk"))
    clock.shift(timedelta(seconds=1))
    make_account("albert", **named("albert", "Bertie@other.example", "Albert"), state="suspended")
    clock.shift(timedelta(seconds=2))
    bob = named("bob_100", "bob_100@example.org", "Bob 100% \\o/")
    make_account("bob_100", **bob, plan_id=plus.id if plus else None)
    make_account("deleted-0", state=State.DELETED.value)


def listed(search: str = "", **wanted: object) -> list[str]:
    found = list_users(actor_named("ada"), UserFilter(search=search, **wanted))  # type: ignore[arg-type]  # by the test
    return [account.username for account in found.items]


PARTS: list[tuple[str, list[str]]] = [
    ("alice", ["alice"]),
    ("LIC", ["alice"]),
    ("  alice ", ["alice"]),
    ("\u00f6zt", ["alice"]),
    ("\u00d6ZT\u00dcRK", ["alice"]),
    ("al", ["albert", "alice"]),
    ("b", ["bob_100"]),
    ("other.exam", ["albert"]),
    ("bertie@other.example", ["albert"]),
    ("BERTIE@OTHER.EXAMPLE", ["albert"]),
    ("tie@other", ["albert"]),
    ("100%", ["bob_100"]),
    ("b_1", ["bob_100"]),
    ("b_", []),
    ("%", []),
    ("lic%", []),
    ("\\o/", ["bob_100"]),
    ('"quoted"', []),
    ("al* OR bob", []),
    ("x" * 200, []),
    ("@", []),
    ("deleted-0", []),
    ("tess", []),
    ("nobody-here", []),
]


def test_the_console_finds_by_any_part_of_a_name(people: None) -> None:
    ada = actor_named("ada")
    for search, found in PARTS:
        assert sorted(listed(search)) == found, search
        assert count_users(ada, UserFilter(search=search)) == len(found), search


def test_filters_narrow_together(people: None) -> None:
    plus = plan_named("plus")
    assert plus is not None
    assert sorted(listed()) == ["albert", "alice", "bob_100"]
    assert listed(state="suspended") == ["albert"]
    assert listed(plan_id=plus.id) == ["bob_100"]
    assert listed("alice", plan_id=plus.id) == []
    assert sorted(listed(state="nonsense")) == ["albert", "alice", "bob_100"]


def test_a_deleted_user_is_in_no_list(people: None) -> None:
    assert "deleted-0" not in listed(state="deleted") + listed("deleted-0")
    assert count_users(actor_named("ada"), UserFilter(state="deleted")) == 3


ORDERS = [
    ("-created", ["bob_100", "albert", "alice"]),
    ("created", ["alice", "albert", "bob_100"]),
    ("username", ["albert", "alice", "bob_100"]),
    ("-username", ["bob_100", "alice", "albert"]),
    ("nonsense", ["bob_100", "albert", "alice"]),
]


def test_each_order_holds(people: None) -> None:
    for sort, names in ORDERS:
        assert listed(sort=sort) == names, sort


WHOLE: list[tuple[str, str | None]] = [
    ("alice", "alice"),
    (" ALICE ", "alice"),
    ("alice@example.org", "alice"),
    ("Alice@EXAMPLE.org", "alice"),
    ("bertie@other.example", "albert"),
    ("ada", "ada"),
    ("tess@example.org", "tess"),
    ("albert@example.org", None),
    ("deleted-0", None),
    ("ali", None),
    ("", None),
    ("@", None),
    ("a" * 400, None),
    ("ali\0ce", None),
    ("alice\0@example.org", None),
]


def test_an_account_is_known_by_either_whole_name(people: None) -> None:
    for typed, name in WHOLE:
        found = account_named(typed)
        assert (found.username if found else None) == name, typed


MASKED: list[tuple[str, list[str]]] = [
    ("ali", ["alice"]),
    ("AL", ["albert", "alice"]),
    ("bertie@other.example", ["albert"]),
    ("bertie", []),
    ("bertie@other", []),
    ("other.example", []),
    ("@other.example", []),
    ("example.org", []),
    ("deleted-0", []),
    ("", []),
    ("  ", []),
    ("\0", []),
]


def test_who_sees_masks_finds_nothing_by_part_of_an_address(people: None) -> None:
    tess = actor_named("tess")
    for search, found in MASKED:
        assert [account.username for account in find_users(tess, search)] == found, search


def test_an_id_finds_its_user_for_both(people: None) -> None:
    alice = account_named("alice")
    assert alice is not None
    assert listed(str(alice.id)) == ["alice"]
    assert [account.username for account in find_users(actor_named("tess"), str(alice.id))] == ["alice"]
    assert listed(str(new_id())) == []


def test_a_record_is_of_a_living_user_only(people: None) -> None:
    tess = actor_named("tess")
    ada, gone = account_named("ada"), new_id()
    assert ada is not None
    for wrong in (ada.id, gone, actor_named("deleted-0").id):
        assert wrong is not None
        with pytest.raises(NotFound):
            user_record(tess, wrong)


def test_the_list_is_not_for_the_desk(people: None) -> None:
    with pytest.raises(Forbidden):
        list_users(actor_named("tess"), UserFilter())
