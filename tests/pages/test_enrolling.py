"""S011: whoever must have a second factor reaches nothing before it, by whatever route, in whatever order."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from portal.core.ids import new_id
from portal.web.gates import Standing
from tests.pages.test_access import ask, routes_of
from tests.signin.phones import make_enrolled, set_up
from tests.visitor import SeenPage, Visitor

if TYPE_CHECKING:
    from portal.web.frame import Doorward

REQUIRED = [{"require_factor": "user,staff,admin"}]
SECURITY = "/account/security"
# What nobody needs to be signed in for answers as it does to anybody.
ANYBODY = {"public", "machine", "ops"}


def filled(route: str) -> str:
    """The route with ids of nothing."""
    return re.sub(r"<uuid:\w+>", str(new_id()), re.sub(r"<(?!uuid)[^>]+>", "nonsense", route))


def closed_routes(app: Doorward) -> list[tuple[str, str]]:
    """Every route behind signing in that is not open to somebody who is enrolling."""
    found = []
    adapter = app.url_map.bind("localhost")
    for method, route in routes_of(app):
        endpoint, _ = adapter.match(filled(route), method=method)
        audience = app.extensions["audiences"].get(endpoint.split(".")[0], "public")
        opened: frozenset[Standing] = getattr(app.view_functions[endpoint], "__open_while__", frozenset())
        if audience not in ANYBODY and Standing.ENROLLING not in opened:
            found.append((method, route))
    return found


def leads_to(page: SeenPage) -> str:
    """Where a redirect leads, without its query."""
    return page.response.headers.get("Location", "").partition("?")[0]


@pytest.mark.parametrize("setting", REQUIRED)
@pytest.mark.parametrize("name", ["alice", "tess", "ada"])
def test_an_enrolling_account_is_led_to_enrolling_and_nowhere_else(
    name: str, app: Doorward, person: Callable[..., Visitor]
) -> None:
    visitor = person(name)
    own = {"alice": "/account", "tess": "/staff", "ada": "/admin"}[name]
    wrong = {}
    closed = closed_routes(app)
    for method, route in closed:
        answer = ask(visitor, method, filled(route))
        foreign = not route.startswith(("/account", own))
        if leads_to(answer) != SECURITY and not (foreign and answer.status == 404):
            wrong[method, route] = (answer.status, leads_to(answer))
    assert wrong == {}
    assert len(closed) > 100


@pytest.mark.parametrize("setting", REQUIRED)
def test_what_is_open_while_enrolling_is_what_it_takes(app: Doorward) -> None:
    views = app.view_functions.items()
    opened = {name for name, view in views if Standing.ENROLLING in getattr(view, "__open_while__", ())}
    ways = r"security\.index|authenticator\.\w+|passkeys\.\w+|recovery_codes\.file"
    proofs = r"reauth\.\w+|providers\.prove"
    allowed = re.compile(rf"account\.({ways}|{proofs}|picture\.show)")  # and the own picture, at the top of each page
    assert [name for name in sorted(opened) if not allowed.fullmatch(name)] == []
    assert "account.authenticator.remove" not in opened


@pytest.mark.parametrize("setting", REQUIRED)
def test_half_a_sign_in_opens_nothing_whatever_comes_first(app: Doorward) -> None:
    make_enrolled("ada")
    visitor = Visitor(app.test_client())
    assert visitor.sign_in("ada").path == "/sign-in/factor"
    wrong = {}
    for method, route in routes_of(app):
        endpoint, _ = app.url_map.bind("localhost").match(filled(route), method=method)
        audience = app.extensions["audiences"].get(endpoint.split(".")[0], "public")
        if audience in ANYBODY:
            continue
        answer = ask(visitor, method, filled(route))
        told = answer.status == 401 if method == "POST" else leads_to(answer) == "/sign-in"
        if not told:
            wrong[method, route] = (answer.status, leads_to(answer))
    assert wrong == {}


@pytest.mark.parametrize("setting", REQUIRED)
def test_after_enrolling_one_lands_where_one_wanted_to_go(person: Callable[..., Visitor]) -> None:
    tess = person("tess")
    stopped = tess.get("/staff?q=alice")
    assert stopped.path == SECURITY
    assert "needs a second factor" in stopped.text
    link = next(link for link in stopped.links() if "/authenticator" in link)
    _, codes = set_up(tess, next_to=f"?{link.partition('?')[2]}")
    onward = next(link for link in codes.links() if link.startswith("/staff?"))
    landed = tess.get(onward)
    assert (landed.path, landed.response.request.query_string) == ("/staff", b"q=alice")


@pytest.mark.parametrize("setting", REQUIRED)
def test_enrolling_without_a_wish_leads_home_from_the_security_page(person: Callable[..., Visitor]) -> None:
    ada = person("ada")
    _, codes = set_up(ada)
    assert codes.status == 201
    assert ada.get("/admin").path == "/admin"


@pytest.mark.parametrize("setting", REQUIRED)
def test_while_enrolling_one_may_sign_out_and_choose_a_theme(person: Callable[..., Visitor]) -> None:
    tess = person("tess")
    assert tess.send(tess.get(SECURITY), to="/sign-out").path == "/"
