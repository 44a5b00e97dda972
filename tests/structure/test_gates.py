"""Every route belongs to an audience that its blueprint declared, and the gate stands at each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from flask import Blueprint, Flask

from portal.web.gates import Audience, guard

if TYPE_CHECKING:
    from collections.abc import Callable

    from portal.web.frame import Doorward
    from tests.visitor import Visitor

# Flask's own: files that everybody may have.
NO_GATE = {"static"}
SOMEWHERE = {"uuid": UUID(int=1), "default": "x"}


def ungated_routes(app: Flask) -> list[str]:
    """Each route whose blueprint has not declared an audience, or declared one without keeping its gate."""
    audiences = app.extensions.get("audiences", {})
    faults = []
    for rule in app.url_map.iter_rules():
        top, dot, _ = rule.endpoint.partition(".")
        if rule.endpoint in NO_GATE:
            continue
        kept = any(check.__module__ == guard.__module__ for check in app.before_request_funcs.get(top, ()))
        if not dot or not isinstance(audiences.get(top), Audience) or not kept:
            faults.append(f"{rule.rule} ({rule.endpoint}) has no audience")
    return faults


def planted(blueprint: Blueprint) -> Flask:
    """A site of one route in this blueprint."""
    app = Flask("planted")
    blueprint.add_url_rule("/secret", "secret", lambda: "secret")
    app.register_blueprint(blueprint)
    return app


def addresses(app: Flask, audience: str, method: str) -> list[str]:
    """The address of every route of an audience, with something made up for what it names."""
    adapter = app.url_map.bind("localhost")
    found = []
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith(f"{audience}.") and method in (rule.methods or ()):
            given = {name: SOMEWHERE["uuid" if name.endswith("_id") else "default"] for name in rule.arguments}
            found.append(adapter.build(rule.endpoint, given, method=method))
    assert found, f"no {method} for {audience}"
    return found


def test_every_route_has_an_audience(site: Doorward) -> None:
    assert ungated_routes(site) == []


def test_a_route_without_an_audience_is_reported() -> None:
    assert ungated_routes(planted(Blueprint("open", "planted"))) == ["/secret (open.secret) has no audience"]
    guarded = Blueprint("shut", "planted")
    guard(guarded, Audience.ADMIN)
    assert ungated_routes(planted(guarded)) == []


def test_an_audience_without_its_gate_is_reported() -> None:
    app = planted(Blueprint("open", "planted"))
    app.extensions["audiences"] = {"open": Audience.ADMIN}
    assert ungated_routes(app) == ["/secret (open.secret) has no audience"]


def test_a_route_of_no_blueprint_is_reported() -> None:
    app = Flask("planted")
    app.add_url_rule("/secret", "secret", lambda: "secret")
    assert ungated_routes(app) == ["/secret (secret) has no audience"]


def test_each_audience_goes_by_its_own_name(site: Doorward) -> None:
    audiences = site.extensions["audiences"]
    assert {top: str(audience) for top, audience in audiences.items()} == {
        **{name: name for name in ("public", "account", "staff", "admin", "ops")},
        "api": "machine",
        "open_api": "public",
        "told": "public",
    }


@pytest.mark.parametrize("audience", [Audience.ACCOUNT, Audience.STAFF, Audience.ADMIN])
def test_nobody_is_led_to_sign_in_from_every_page(visitor: Visitor, app: Doorward, audience: Audience) -> None:
    for address in addresses(app, audience, "GET"):
        page = visitor.get(address, follow=False)
        assert (page.status, page.response.headers.get("Location", "").split("?")[0]) == (302, "/sign-in"), address


@pytest.mark.parametrize(("name", "audience"), [("bob", Audience.STAFF), ("bob", Audience.ADMIN), ("tara", "admin")])
def test_for_whom_a_page_is_not_it_is_not_there(
    person: Callable[..., Visitor], app: Doorward, name: str, audience: Audience
) -> None:
    somebody = person(name)
    for address in addresses(app, audience, "GET"):
        assert somebody.get(address, follow=False).status == 404, address


def test_no_page_takes_a_form_without_its_token(person: Callable[..., Visitor], app: Doorward) -> None:
    ada = person("ada")
    for audience in (Audience.PUBLIC, Audience.ACCOUNT, Audience.ADMIN):
        for address in addresses(app, audience, "POST"):
            assert ada.post(address).status == 400, address


def test_a_cookie_opens_no_machine_route(person: Callable[..., Visitor], app: Doorward) -> None:
    ada = person("ada")
    for method in ("GET", "POST"):
        for address in addresses(app, "api", method):
            assert ada.client.open(address, method=method, json={}).status_code == 401, address
