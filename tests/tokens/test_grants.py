"""Tokens by a password and a second factor: as on the sign-in page, and told as RFC 6749 tells it."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from portal.accounts.models import State
from portal.audit.models import AuditEntry
from portal.clients.service import create_client, disable_client
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from tests.letters import the_letter
from tests.people import PASSWORD, make_account
from tests.signin.phones import enrol
from tests.tokens.programs import TOKEN, Program, program_of

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from portal.web.frame import Doorward
    from tests.visitor import Visitor

MFA = "urn:doorward:mfa"
WRONG = "The name or the password is not right."


def told(answer: TestResponse) -> tuple[int, str, str, str]:
    """Status and members of a refusal."""
    body = answer.get_json()
    assert body.keys() == {"error", "error_description", "code", "request_id"}
    assert (answer.mimetype, answer.headers["Cache-Control"]) == ("application/json", "no-store")
    return answer.status_code, body["error"], body["error_description"], body["code"]


def password(app: Doorward, name: str, given: str = PASSWORD) -> TestResponse:
    """Ask with a name and a password."""
    return Program(app).ask("password", username=name, password=given)


def test_who_is_refused_is_told_no_more_than_on_the_page(app: Doorward) -> None:
    make_account("alice")
    make_account("bob", state=State.SUSPENDED.value)
    make_account("carl", locked_at=clock.now())
    make_account("dora", state=State.INVITED.value, password_hash=None)
    make_account("emil", password_hash=None)
    make_account("fred", state=State.CLOSING.value)
    same = (400, "invalid_grant", WRONG, "INVALID")
    tries = [("nobody", PASSWORD), ("alice", "wrong"), ("bob", "wrong"), ("carl", PASSWORD), ("dora", PASSWORD)]
    for name, given in [*tries, ("emil", PASSWORD), ("fred", "wrong"), ("alice ", "wrong"), ("a" * 5000, "b" * 8000)]:
        assert told(password(app, name, given)) == same, name[:20]
    assert told(password(app, "bob"))[1:3] == ("invalid_grant", "This account is suspended. Ask support for help.")
    assert "is being closed" in told(password(app, "fred"))[2]
    good = password(app, "ALICE@example.org")
    assert good.get_json().keys() == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
    # What is asked for wrongly.
    for form, error in (
        ({}, "invalid_request"),
        ({"grant_type": "password", "username": "alice"}, "invalid_request"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": "password", "username": "alice", "password": PASSWORD, "scope": "x"}, "invalid_scope"),
        ({"grant_type": "password", "username": ["alice", "bob"], "password": PASSWORD}, "invalid_request"),
        ({"grant_type": "password", "username": "al\0ice", "password": PASSWORD}, "invalid_request"),
        ({"grant_type": "password", "username": "alice", "password": "x" * 9000}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "\udcff".encode("utf-8", "replace")}, "invalid_grant"),
        ({"grant_type": MFA, "mfa_token": "x"}, "invalid_request"),
        ({"grant_type": MFA, "mfa_token": "x", "otp": "123456"}, "invalid_grant"),
    ):
        assert told(app.test_client().post(TOKEN, data=form))[:2] == (400, error), form
    for kind in ("application/json", "text/plain", "multipart/form-data", ""):
        answer = app.test_client().post(TOKEN, data=b"{}", content_type=kind)
        assert told(answer)[:2] == (400, "invalid_request")
    # Guessing is slowed down, and it is said for how long.
    answers = [password(app, "alice", f"guess {number}") for number in range(12)]
    late = answers[-1]
    assert (late.status_code, told(late)[1], late.get_json()["code"]) == (
        429,
        "temporarily_unavailable",
        "RATE_LIMITED",
    )
    assert int(late.headers["Retry-After"]) > 0
    assert password(app, "alice").status_code == 429, "the right one waits too"


def test_a_second_factor_is_asked_for_and_taken_once(app: Doorward) -> None:
    make_account("alice")
    phone, codes = enrol("alice")
    owed = password(app, "alice")
    body = owed.get_json()
    assert (owed.status_code, body["error"], body["code"]) == (403, "mfa_required", "FORBIDDEN")
    assert body.keys() == {"error", "error_description", "code", "request_id", "mfa_token"}
    program, half = Program(app), body["mfa_token"]
    assert told(program.ask(MFA, mfa_token=half, otp=phone.wrong_code()))[1] == "invalid_grant"
    code = phone.code(1)
    assert program.ask(MFA, mfa_token=half, otp=code).status_code == 200
    assert program.is_in()
    assert told(Program(app).ask(MFA, mfa_token=half, otp=code))[1] == "invalid_grant", "the first half is spent"
    again = password(app, "alice").get_json()["mfa_token"]
    assert told(Program(app).ask(MFA, mfa_token=again, otp=code))[1] == "invalid_grant", "and so is the code"
    assert Program(app).ask(MFA, mfa_token=again, recovery_code=codes[0]).status_code == 200
    again = password(app, "alice").get_json()["mfa_token"]
    assert Program(app).ask(MFA, mfa_token=again, recovery_code=codes[0]).status_code == 400
    # Five wrong ones end the first half, whatever comes after; one that is too old is none.
    clock.shift(timedelta(hours=1))
    spent = password(app, "alice").get_json()["mfa_token"]
    for _ in range(5):
        assert Program(app).ask(MFA, mfa_token=spent, otp=phone.wrong_code()).status_code == 400
    clock.shift(timedelta(hours=1, minutes=2))
    assert told(Program(app).ask(MFA, mfa_token=spent, otp=phone.code()))[1] == "invalid_grant"
    clock.shift(timedelta(hours=3))
    old = password(app, "alice").get_json()["mfa_token"]
    clock.shift(timedelta(hours=4))
    assert told(Program(app).ask(MFA, mfa_token=old, otp=phone.code()))[1] == "invalid_grant"
    methods = [entry.facts["method"] for entry in entries("token.granted")]
    assert methods == ["authenticator app", "recovery code"]
    assert all(entry.target_name == "alice" for entry in entries("sign_in.halfway"))


def entries(event: str) -> list[AuditEntry]:
    """The audit entries of this event, earliest first."""
    return list(db.session.scalars(select(AuditEntry).where(AuditEntry.event == event).order_by(AuditEntry.id)))


@pytest.mark.parametrize("setting", [{"password_grant": False, "require_factor": "staff", "confirm_email": True}])
def test_what_the_settings_forbid(app: Doorward) -> None:
    make_account("alice")
    answer = password(app, "alice")
    assert told(answer)[:2] == (400, "unauthorized_client")
    grants = app.test_client().get("/.well-known/oauth-authorization-server").get_json()["grant_types_supported"]
    assert grants == ["refresh_token", "client_credentials"]
    program, _ = program_of(app, make_account("bob"))
    assert (program.refresh(), program.is_in()) == ("ok", True)


@pytest.mark.parametrize("setting", [{"require_factor": "staff", "confirm_email": True}])
def test_who_owes_a_factor_or_a_confirmation_gets_none(app: Doorward) -> None:
    make_account("tess")
    make_account("alice", email_verified_at=None)
    assert "Set up a second factor" in told(password(app, "tess"))[2]
    assert "Confirm your e-mail address" in told(password(app, "alice"))[2]
    assert told(password(app, "alice", "wrong"))[2] == WRONG


def test_a_service_client_comes_with_its_id_and_its_token(app: Doorward) -> None:
    with transaction():
        gate, secret = create_client(operator_actor(), name="gate", scopes=["status:read", "users:read"])
        _, other = create_client(operator_actor(), name="other", scopes=["status:read"])

    def ask(header: str | None = None, **form: str) -> TestResponse:
        sent = {"Authorization": header} if header else {}
        return app.test_client().post(TOKEN, data={"grant_type": "client_credentials", **form}, headers=sent)

    def basic(text: Any) -> str:
        raw = text if isinstance(text, bytes) else text.encode()
        return f"Basic {base64.b64encode(raw).decode()}"

    mine = str(gate.id)
    for header, form in ((basic(f"{mine}:{secret}"), {}), (None, {"client_id": mine, "client_secret": secret})):
        body = ask(header, **form).get_json()
        assert (body["scope"], body.keys()) == ("status:read users:read", body.keys() - {"refresh_token"})
    narrow = ask(basic(f"{mine}:{secret}"), scope="status:read").get_json()
    headers = {"Authorization": f"Bearer {narrow['access_token']}"}
    client = app.test_client()
    assert client.get("/api/v1/status-checks", headers=headers).status_code == 200
    assert client.post("/api/v1/status-checks", headers=headers, json={}).status_code == 403
    assert told(ask(basic(f"{mine}:{secret}"), scope="status:read audit:read"))[:2] == (400, "invalid_scope")
    for header in (basic(f"{mine}:{other}"), basic(f"x:{secret}"), basic(f":{secret}"), basic(mine), basic(f"{mine}:"),
                   basic(b"\xff:\xff"), basic(f"{mine}:\0"), "Basic é", "Basic !", "Basic "):  # fmt: skip
        answer = ask(header)
        assert (told(answer)[:2], answer.headers["WWW-Authenticate"].split()[0]) == (
            (401, "invalid_client"),
            "Basic",
        ), header
    assert told(ask())[:2] == (401, "invalid_client")
    with transaction():
        disable_client(operator_actor(), gate.id)
    assert told(ask(basic(f"{mine}:{secret}")))[:2] == (401, "invalid_client")
    assert client.get("/api/v1/status-checks", headers=headers).status_code == 401


def test_a_program_that_is_new_is_told_by_mail_whose_link_ends_its_tokens(app: Doorward, visitor: Visitor) -> None:
    make_account("alice")
    program = Program(app, agent="Ledger/3.1")
    assert program.ask("password", username="alice", password=PASSWORD).status_code == 200
    Program(app, agent="Ledger/3.1").ask("password", username="alice", password=PASSWORD)
    letter = the_letter("new_device")
    assert letter.values["device"] == "Ledger/3.1"
    assert visitor.send(visitor.get(letter.path)).status == 200
    assert (program.is_in(), program.refresh()) == (False, "invalid_grant")
