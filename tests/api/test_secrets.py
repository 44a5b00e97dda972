"""S062: each sort of secret at each place that takes another sort is as unknown there as one that was made up."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from portal.accounts.links import PATHS, Purpose, make_link
from portal.core.database import transaction
from portal.core.ids import new_secret
from portal.signin.steps import Step, begin_step
from portal.tokens.access_tokens import ACCOUNT_SCOPE, make_access_token
from portal.tokens.families import begin_family
from portal.web.identity import COOKIE_KEY
from tests.api.callers import bearer, client_id
from tests.conftest import Machine, make_key, signed_in
from tests.pages.test_access import token_of as form_token_of
from tests.people import make_account

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from portal.accounts.models import Account
    from portal.web.frame import Doorward
    from tests.visitor import Visitor

LINKS: dict[Purpose, dict[str, Any]] = {purpose: {} for purpose in (Purpose.RESET, Purpose.CONFIRM, Purpose.NOT_ME)}
LINKS |= {Purpose.NEW_EMAIL: dict.fromkeys(("email", "canonical"), "new@example.org")}
API = "/api/v1"
# Longer than any key can be, and told so.
LONG = {("verify", "access"), ("verify", "client's access")}


def secrets_of(app: Doorward, alice: Account, machine: Callable[..., Machine]) -> tuple[dict[str, str], Visitor]:
    """One of every sort, all of them good, and the browser that the cookie is of."""
    visitor = signed_in(app, "alice")
    with visitor.client.session_transaction() as cookie:
        found = {"session": cookie[COOKIE_KEY]}
    device = visitor.client.get_cookie("doorward-device")
    signed = visitor.client.get_cookie("doorward")
    assert device is not None
    assert signed is not None
    found |= {"device": device.value, "signed cookie": signed.value, "form": form_token_of(visitor)}
    with transaction():
        family, found["refresh"] = begin_family(
            alice, address="127.0.0.1", device="tests", method="password", proven=True
        )
        found |= {
            purpose.value: make_link(purpose, alice, facts).rpartition("/")[2] for purpose, facts in LINKS.items()
        }
        found["mfa"] = begin_step(Step.TOKEN_FACTOR, alice, {"method": "password"})
        found["step"] = begin_step(Step.FACTOR, alice, {"method": "password"})
    found["access"] = make_access_token(alice.id, kind="user", scope=ACCOUNT_SCOPE, family_id=family.id)
    found["client"] = machine("tokens:introspect", "status:read", "keys:verify", name="gate").token or ""
    found["key"] = make_key(alice)
    form = {"grant_type": "client_credentials", "client_id": client_id("gate"), "client_secret": found["client"]}
    found["client's access"] = app.test_client().post(f"{API}/auth/token", data=form).get_json()["access_token"]
    return found, visitor


def places(app: Doorward, gate: str) -> Iterator[tuple[str, set[str], Callable[[str], TestResponse]]]:
    """Every place that takes a secret: its name, which sorts it knows, and how one is shown there."""
    client = app.test_client(use_cookies=False)

    def token(**form: str) -> TestResponse:
        return client.post(f"{API}/auth/token", data=form)

    def by_cookie(secret: str) -> TestResponse:
        browser = app.test_client()
        with browser.session_transaction() as cookie:
            cookie[COOKIE_KEY] = secret
        return browser.get("/account/profile")

    def by_step(secret: str) -> TestResponse:
        browser = app.test_client()
        with browser.session_transaction() as cookie:
            cookie[f"step.{Step.FACTOR.value}"] = secret
        return browser.get("/sign-in/factor")

    def opened(path: str, secret: str) -> TestResponse:
        return client.get(path + secret)

    def form_of(secret: str) -> TestResponse:
        return app.test_client().post("/forgotten", data={"csrf_token": secret, "name": "nobody"})

    good = {"access", "client", "client's access"}
    yield "bearer", good, lambda one: client.get(f"{API}/status-checks", headers=bearer(one))
    # Before the refresh token is used up.
    worth: dict[str, Any] = {"path": f"{API}/auth/introspect", "headers": bearer(gate)}
    known = {"key", "access", "refresh", "client's access"}
    yield "introspect", known, lambda one: client.post(**worth, data={"token": one})
    yield "refresh", {"refresh"}, lambda one: token(grant_type="refresh_token", refresh_token=one)
    yield "mfa", {"mfa"}, lambda one: token(grant_type="urn:doorward:mfa", mfa_token=one, otp="000000")
    credentials = {"grant_type": "client_credentials", "client_id": client_id("gate")}
    yield "client", {"client"}, lambda one: token(**credentials, client_secret=one)
    yield "key", {"key"}, lambda one: client.get(f"{API}/keys/self", headers=bearer(one))
    yield "key by its header", {"key"}, lambda one: client.get(f"{API}/keys/self", headers={"X-API-Key": one})
    verify: dict[str, Any] = {"path": f"{API}/keys/verify", "headers": bearer(gate)}
    yield "verify", {"key"}, lambda one: client.post(**verify, json={"key": one})
    yield "session", {"session"}, by_cookie
    yield "step", {"step"}, by_step
    yield "form", set(), form_of
    for purpose in LINKS:
        yield f"{purpose.value} link", {purpose.value}, partial(opened, PATHS[purpose])


def said(answer: TestResponse) -> tuple[int, str]:
    """What is said, without what every answer says anew: its id, the decision's, the address, the form's token."""
    text = re.sub(
        r'("(?:request_id|instance|decision_id)":"[^"]*")|(Reference|value|href|action|content)[^>]*>', "", answer.text
    )
    return answer.status_code, re.sub(r"01[0-9a-f]{30}|/[\w./-]*", "", text)


def test_each_sort_of_secret_is_unknown_where_another_is_wanted(app: Doorward, machine: Callable[..., Machine]) -> None:
    found, visitor = secrets_of(app, make_account("alice"), machine)
    wrong = {}
    for place, known, show in places(app, found["client"]):
        unknown = said(show(new_secret()))
        for sort, secret in found.items():
            if (said(show(secret)) == unknown) == (sort in known) and (place, sort) not in LONG:
                wrong[place, sort] = (said(show(secret)), unknown)
    assert not wrong, "\n".join(f"{key}: {told}" for key, told in wrong.items())
    # Nor does any of it end what it is not: all but tokens of the one family are good still.
    gate = Machine(app.test_client(), found["client"])
    for sort in found.keys() - {"access", "refresh"}:
        gate.post("/auth/revoke", data={"token": found[sort]})
    assert visitor.get("/account/profile").status == 200
    assert gate.get("/keys/self", headers=bearer(found["key"])).status_code == 200
    assert gate.get("/status-checks").status_code == 200
    worth = gate.post("/auth/introspect", data={"token": found["access"]})
    assert worth.get_json()["active"] is True
