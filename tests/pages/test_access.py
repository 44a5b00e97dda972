"""The table of who may open what: every route by everybody, and what belongs to others is not there."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from portal.core.ids import new_id
from tests.conftest import Machine
from tests.pages.conftest import House
from tests.visitor import SeenPage, Visitor

if TYPE_CHECKING:
    from portal.web.frame import Doorward

PEOPLE = ("nobody", "alice", "tess", "theo", "tara", "max", "ada", "machine")

# Status by person. Posts carry a good CSRF token and nothing else, so that a form let through answers 422 and a button
# 200 or 302. Max is an admin without a permission; machine shows a client's token with every scope on every door.
# An address names: the key, conversation and session of Alice; the user Bob where no line of OBJECTS says otherwise.
TABLE = """
@@TABLE@@
"""

OBJECTS = {
    "key_id": "alice's key",
    "conversation_id": "alice's conversation",
    "session_id": "alice's session",
    "user_id": "bob",
    "staff_id": "tim",
    "admin_id": "max",
    "client_id": "client",
    "plan_id": "plan",
    "name": "job",
    "filename": "file",
    "/admin/users/<uuid:user_id>/reactivate": "sid",
    "/admin/users/<uuid:user_id>/invite": "ivy",
    "/admin/deleted/<uuid:user_id>/restore": "dora",
    "/admin/staff/<uuid:staff_id>/reactivate": "tom",
    "/admin/staff/<uuid:staff_id>/invite": "ted",
    "/confirm/<token>": "confirm",
    "/reset/<token>": "reset",
    "/invitation/<token>": "invitation",
    "/setup/<token>": "setup",
}
LEAVING = ("POST", "/sign-out")


def table() -> dict[tuple[str, str], dict[str, int]]:
    """TABLE as {(method, route): {person: status}}."""
    rows = [line.split() for line in TABLE.strip().splitlines()]
    return {(row[0], row[1]): dict(zip(PEOPLE, map(int, row[2:]), strict=True)) for row in rows}


def routes_of(app: Doorward) -> list[tuple[str, str]]:
    """Every (method, route) of the url map; signing out comes last."""
    found = [
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]
    return sorted(found, key=lambda one: (one == LEAVING, one[1], one[0]))


def address_of(route: str, house: House) -> str:
    """The route with the object it is about."""

    def fill(found: re.Match[str]) -> str:
        name = OBJECTS.get(route) or OBJECTS[found[1]]
        return str(house.get(name, "nonsense"))

    return re.sub(r"<(?:\w+:)?(\w+)>", fill, route)


def token_of(visitor: Visitor) -> str:
    """A CSRF token of the visitor's session, from a form of a page."""
    for field in visitor.get("/forgotten").tree.iter("input"):
        if field.get("name") == "csrf_token":
            return field.get("value") or ""
    raise AssertionError("no form on the page")


def ask(visitor: Visitor, method: str, address: str) -> SeenPage:
    """Ask for an address, with the token where something is sent."""
    if method == "GET":
        return visitor.get(address, follow=False)
    return visitor.post(address, {"csrf_token": token_of(visitor)})


def test_every_route_has_its_row(app: Doorward) -> None:
    assert set(routes_of(app)) == set(table())


@pytest.mark.parametrize("name", PEOPLE)
def test_everybody_gets_what_the_table_says(
    name: str, app: Doorward, house: House, browser: Callable[[str], Visitor], machine: Callable[..., Machine]
) -> None:
    visitor = browser("nobody" if name == "machine" else name)
    if name == "machine":
        visitor.client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {machine(name='every scope').token}"
    wrong = {}
    for method, route in routes_of(app):
        answer = ask(visitor, method, address_of(route, house))
        if answer.status != table().get((method, route), {}).get(name):
            wrong[method, route] = answer.status
    assert wrong == {}


def test_whoever_is_not_signed_in_is_led_to_the_door_and_back(house: House, visitor: Visitor) -> None:
    for address in ("/account", "/account/keys", "/staff", "/admin/users?q=al", f"/admin/users/{house['bob']}"):
        asked = visitor.get(address, follow=False)
        wanted = address.replace("/", "%2F") if "?" in address else address
        assert asked.response.location.startswith("/sign-in?next=/"), wanted


PRIVATE = [
    ("GET", "/account/keys/{}", "bob's key"),
    ("POST", "/account/keys/{}", "bob's key"),
    ("GET", "/account/keys/{}/revoke", "bob's key"),
    ("POST", "/account/keys/{}/revoke", "bob's key"),
    ("GET", "/account/conversations/{}", "bob's conversation"),
    ("POST", "/account/sessions/{}/end", "bob's session"),
]


@pytest.mark.parametrize(("method", "address", "thing"), PRIVATE)
def test_what_belongs_to_another_is_not_there(
    method: str, address: str, thing: str, house: House, browser: Callable[[str], Visitor]
) -> None:
    alice = browser("alice")
    others, nothing = (ask(alice, method, address.format(which)) for which in (house[thing], new_id()))
    assert others.status == nothing.status == 404
    assert bare(others) == bare(nothing)
    own = house[thing.replace("bob", "alice")]
    assert ask(alice, method, address.format(own)).status != 404


def bare(page: SeenPage) -> str:
    """The page without the id of its request."""
    return page.html.replace(page.response.headers["X-Request-Id"], "")


USERS_ONLY = ["/admin/users/{}", "/admin/users/{}/days.json", "/admin/users/{}/edit"]
ACTS_ON_USERS = ["suspend", "reactivate", "reset", "invite", "plan", "credits", "delete"]


@pytest.mark.parametrize("name", ["tim", "ted", "tom", "max"])
def test_the_users_pages_do_not_reach_staff_or_admins(
    name: str, house: House, browser: Callable[[str], Visitor]
) -> None:
    ada = browser("ada")
    gets = {address: ada.get(address.format(house[name])).status for address in USERS_ONLY}
    posts = {act: ask(ada, "POST", f"/admin/users/{house[name]}/{act}").status for act in ACTS_ON_USERS}
    assert set(gets.values()) == {404}, gets
    assert set(posts.values()) == {404}, posts
