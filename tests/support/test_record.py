"""What the desk and the console see of a user: by level, by permission, and it is written down that they looked."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import pytest
from sqlalchemy import select

from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core.database import db
from portal.core.errors import Forbidden, NotFound
from portal.core.ids import new_id
from portal.support.record import open_record
from portal.support.search import search_desk
from portal.web.frame import Doorward
from tests.people import actor_named, make_account
from tests.visitor import Visitor

WHOLE, MASKED = "liddell@wonder.example.org", "l•••@w•••.org"
LEVELS = ["tess", "theo", "tara"]


@pytest.fixture
def alice(app: Doorward) -> Account:
    """The user who calls."""
    return make_account("alice", email=WHOLE, email_canonical=WHOLE, search_text=f"alice {WHOLE}")


@pytest.fixture
def abroad(app: Doorward, alice: Account) -> None:
    """Alice is signed in somewhere."""
    visitor = Visitor(app.test_client())
    visitor.client.environ_base["REMOTE_ADDR"] = "203.0.113.77"
    assert visitor.sign_in("alice").status == 200


def hits(visitor: Visitor, alice: Account, search: str) -> bool:
    """Whether the desk's search box leads to Alice."""
    page = visitor.get(f"/staff?q={quote(search)}")
    assert page.status == 200
    return page.path.endswith(f"/staff/users/{alice.id}") or f"/staff/users/{alice.id}" in page.links()


@pytest.mark.parametrize("name", LEVELS)
def test_every_level_sees_the_record_masked(
    alice: Account, abroad: None, person: Callable[..., Visitor], name: str
) -> None:
    page = person(name).get(f"/staff/users/{alice.id}")
    assert page.status == 200
    assert MASKED in page.text
    assert "203.0.•••" in page.text
    for secret in ("liddell", "wonder", "113.77"):
        assert secret not in page.html


@pytest.mark.parametrize("permission", ["users.read", "users.write", "users.delete"])
def test_an_admin_who_may_see_users_sees_them_whole(
    alice: Account, abroad: None, person: Callable[..., Visitor], permission: str
) -> None:
    page = person("amy", permissions=[permission]).get(f"/admin/users/{alice.id}")
    assert page.status == 200
    assert WHOLE in page.text
    assert "203.0.113.77" in page.text


def test_an_admin_who_only_grants_credits_sees_them_masked(
    alice: Account, abroad: None, person: Callable[..., Visitor]
) -> None:
    page = person("carl", permissions=["credits.write"]).get(f"/admin/users/{alice.id}")
    assert page.status == 200
    assert MASKED in page.text
    for secret in ("liddell", "wonder", "113.77"):
        assert secret not in page.html


def test_nor_does_the_list_of_users_give_away_what_the_record_masks(
    alice: Account, person: Callable[..., Visitor]
) -> None:
    carl = person("carl", permissions=["credits.write"])
    everybody = carl.get("/admin/users")
    assert "/admin/users/" + str(alice.id) in everybody.html
    assert "liddell" not in everybody.html
    for part in ("liddell", "iddel", "wonder", "example.org"):
        assert str(alice.id) not in carl.get(f"/admin/users?q={part}").html, part
    for whole in ("alice", WHOLE, str(alice.id)):
        assert str(alice.id) in carl.get(f"/admin/users?q={quote(whole)}").html.replace(f"q={whole}", ""), whole
    assert WHOLE in person("amy", permissions=["users.read"]).get("/admin/users?q=liddel").text


@pytest.mark.parametrize("name", LEVELS)
def test_a_part_of_a_masked_address_finds_nobody(alice: Account, person: Callable[..., Visitor], name: str) -> None:
    desk = person(name)
    parts = ("liddell", "lidd", "wonder", "example.org", "liddell@", "@wonder.example.org", WHOLE[1:], WHOLE[:-1])
    for part in (*parts, "l%", "%", "_____", "l•••@w•••.org"):
        assert not hits(desk, alice, part), part


def test_the_whole_address_the_username_and_the_id_find(alice: Account, person: Callable[..., Visitor]) -> None:
    tess = person("tess")
    for search in (WHOLE, f"  {WHOLE.upper()} ", "ali", "ALICE", str(alice.id)):
        assert hits(tess, alice, search), search


def test_the_start_of_a_key_finds_its_owner(
    alice: Account, key_of: Callable[..., str], person: Callable[..., Visitor]
) -> None:
    key, other = key_of(alice), key_of(make_account("bob"))
    tess = person("tess")
    for shown in (key, key[:10], key[:9], key[:7]):
        assert hits(tess, alice, shown), len(shown)
    for nothing in (key[:6], "dw_", "dw_%%%%%", "dw_____", other[:10], key[:9] + "~"):
        assert not hits(tess, alice, nothing), nothing


def test_staff_and_admins_are_no_users_of_the_desk(app: Doorward, person: Callable[..., Visitor]) -> None:
    ada, tess = make_account("ada"), person("tess")
    assert tess.get(f"/staff/users/{ada.id}").status == 404
    assert search_desk(actor_named("tess"), "ada") == []
    for user_id in (ada.id, new_id()):
        with pytest.raises(NotFound):
            open_record(actor_named("tess"), user_id)


def test_who_looked_is_written_down(alice: Account, person: Callable[..., Visitor]) -> None:
    person("tess").get(f"/staff/users/{alice.id}")
    person("ada").get(f"/admin/users/{alice.id}")
    looks = db.session.scalars(
        select(AuditEntry).where(AuditEntry.event == "record.viewed").order_by(AuditEntry.at)
    ).all()
    assert [(look.actor_name, look.actor_kind, look.target_id) for look in looks] == [
        ("tess", "staff", alice.id),
        ("ada", "admin", alice.id),
    ]
    assert all("liddell" not in f"{look.target_name} {look.facts}" for look in looks)


def test_others_neither_search_nor_look(alice: Account, person: Callable[..., Visitor]) -> None:
    make_account("bob")
    make_account("max")
    for name in ("alice", "bob", "max"):
        with pytest.raises(Forbidden):
            open_record(actor_named(name), alice.id)
        with pytest.raises(Forbidden):
            search_desk(actor_named(name), "alice")
    assert db.session.scalars(select(AuditEntry).where(AuditEntry.event == "record.viewed")).all() == []
