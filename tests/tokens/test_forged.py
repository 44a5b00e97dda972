"""What is no good access token opens nothing, whatever it looks like, and every one is answered alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from portal.accounts.links import Purpose, make_link
from portal.core.database import db, transaction
from portal.signin.steps import Step, begin_step
from portal.tokens.access_tokens import ACCOUNT_SCOPE, make_access_token, read_access_token
from portal.tokens.families import begin_family
from tests.people import make_account
from tests.tokens.forging import Forger

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.test import TestResponse

    from portal.web.frame import Doorward
    from tests.conftest import Machine
    from tests.visitor import Visitor

REFUSED = (401, "application/problem+json", "Bearer", "UNAUTHENTICATED", "no-store")


def told(answer: TestResponse) -> tuple[Any, ...]:
    """What of a refusal must be the same each time, and then all its words."""
    body = answer.get_json()
    head = (answer.status_code, answer.mimetype, answer.headers["WWW-Authenticate"].split()[0], body["code"])
    words = {name: value for name, value in body.items() if name != "request_id"}
    return (*head, answer.headers["Cache-Control"], words)


def test_the_table_of_forged_tokens(caller: Callable[..., Machine]) -> None:
    machine = caller("ada")
    assert machine.get("/audit").status_code == 200
    good = read_access_token(machine.token or "")
    assert good is not None
    forger = Forger(good)
    for tried in (forger.signed(), forger.saying(exp=good.exp - 1), forger.saying(nbf=good.nbf + 20)):
        machine.token = tried
        assert machine.get("/audit").status_code == 200, "what the forger makes is refused for what is wrong with it"
    bare = told(machine.client.get("/api/v1/audit"))
    assert bare[:-1] == REFUSED
    strange = list(forger.of_strangers())
    assert [what for what, token in strange if read_access_token(token) is not None] == []
    accepted = []
    for what, token in [*strange, *forger.of_the_key()]:
        if "\n" not in token and token.isascii():  # no header holds it
            machine.token = token
            if told(machine.get("/audit")) != bare:
                accepted.append(what)
    assert accepted == []


def test_what_opens_one_thing_opens_no_other(app: Doorward, person: Callable[..., Visitor]) -> None:
    visitor = person("ada")
    with visitor.client.session_transaction() as cookie:
        session = str(cookie["sid"])
    with transaction():
        account = make_account("alice")
        family, refresh = begin_family(account, address=None, device="", method="password", proven=True)
        step = begin_step(Step.TOKEN_FACTOR, account, {"method": "password"})
        links = [make_link(purpose, account).rpartition("/")[2] for purpose in Purpose]
    access = make_access_token(account.id, kind="user", scope=ACCOUNT_SCOPE, family_id=family.id)
    client = app.test_client()
    for other in (session, refresh, step, *links):
        answer = client.get("/api/v1/audit", headers={"Authorization": f"Bearer {other}"})
        assert (answer.status_code, answer.get_json()["code"]) == (401, "UNAUTHENTICATED")
    for other in (session, access, step, *links, refresh[4:], refresh.swapcase(), "dwr_"):
        answer = client.post("/api/v1/auth/token", data={"grant_type": "refresh_token", "refresh_token": other})
        assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_grant")
    for other in (session, access, refresh, *links):
        form = {"grant_type": "urn:doorward:mfa", "mfa_token": other, "otp": "123456"}
        assert client.post("/api/v1/auth/token", data=form).get_json()["error"] == "invalid_grant"
    for other in (access, refresh, step):
        assert client.get(f"/reset/{other}").status_code in {302, 404, 410}
        client.set_cookie("doorward", other)
        assert client.get("/account").status_code == 302
        client.delete_cookie("doorward")
    db.session.expire_all()


def test_a_bearer_opens_no_page_and_a_cookie_nothing_else(
    caller: Callable[..., Machine], person: Callable[..., Visitor]
) -> None:
    visitor, machine = person("ada"), caller("ada")
    for path in ("/account", "/admin", "/admin/users", "/admin/audit"):
        answer = machine.client.get(path, headers=machine.headers())
        assert (answer.status_code, "/sign-in" in answer.headers["Location"]) == (302, True)
    for path in ("/api/v1/audit", "/api/v1/status-checks"):
        answer = visitor.client.get(path)
        assert (answer.status_code, "Set-Cookie" in answer.headers) == (401, False)
        # Beside a token the cookie says nothing: who acts is whose the token is, and a wrong one is not mended by it.
        wrong = visitor.client.get(path, headers={"Authorization": "Bearer x"})
        assert wrong.status_code == 401
    alice = caller("alice")
    alice.client = visitor.client
    assert alice.get("/audit").status_code == 403
    answer = visitor.client.post("/api/v1/auth/token", data={"grant_type": "refresh_token", "refresh_token": "x"})
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (400, False)
