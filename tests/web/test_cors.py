"""Which pages of other origins may call the API, and what their browsers are told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from werkzeug.test import TestResponse

from portal.core.settings import BadSetting, load
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.people import make_account

APP = "https://app.example.org"
NEIGHBOURS = ("https://app.example.org.evil.example", "http://app.example.org", "https://app.example.org:8443")
STRANGERS = (*NEIGHBOURS, "https://APP.example.org", "https://app.example.org/", "null", "", "*")
LISTED = pytest.mark.parametrize("setting", [{"cors_origins": [APP, "http://localhost:3000"], "max_body_bytes": 2048}])
VERIFY = "/api/v1/keys/verify"


def told(answer: TestResponse) -> dict[str, str]:
    """What the answer says to browsers."""
    return {name: value for name, value in answer.headers if name.startswith("Access-Control-")}


def ask(app: Doorward, path: str, origin: str, method: str = "POST") -> TestResponse:
    """What a browser asks beforehand."""
    headers = {"Origin": origin, "Access-Control-Request-Method": method}
    return app.test_client().options(path, headers={**headers, "Access-Control-Request-Headers": "authorization"})


@LISTED
def test_a_listed_origin_reads_answers_and_refusals_and_no_other_does(
    app: Doorward, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, key = machine(), key_of(make_account("alice"))
    plain = {"Content-Type": "application/json; charset=utf-8"}
    for origin, allowed in [(APP, True), ("http://localhost:3000", True), *((one, False) for one in STRANGERS)]:
        here = {"Origin": origin}
        answers = {
            200: gate.post("/keys/verify", {"key": key}, headers=here),
            201: gate.post("/status-checks", {"client_name": "gate"}, headers={**here, **plain}),
            400: gate.client.post(
                VERIFY, data=b"{", headers={**gate.headers(), **here}, content_type="application/json"
            ),
            401: app.test_client().post(VERIFY, json={}, headers=here),
            404: gate.get("/nothing", headers=here),
            405: gate.get("/keys/verify", headers=here),
            413: gate.post("/keys/verify", {"key": "x" * 3000}, headers=here),
            415: gate.client.post(VERIFY, data=b"x", headers={**gate.headers(), **here}),
        }
        for status, answer in answers.items():
            assert answer.status_code == status
            assert answer.headers["Vary"] == "Origin"
            said = told(answer)
            assert said.pop("Access-Control-Allow-Origin", None) == (origin if allowed else None)
            assert set(said) == ({"Access-Control-Expose-Headers"} if allowed else set())
    keys = app.test_client().get("/.well-known/jwks.json")
    assert (keys.headers["Vary"], told(keys)) == ("Origin", {})


@LISTED
def test_a_browser_is_told_beforehand_what_a_route_takes(app: Doorward) -> None:
    asked = ask(app, VERIFY, APP)
    assert (asked.status_code, asked.data, asked.headers["Vary"]) == (204, b"", "Origin")
    said = told(asked)
    assert said["Access-Control-Allow-Origin"] == APP
    assert set(said["Access-Control-Allow-Methods"].split(", ")) == {"POST", "OPTIONS"}
    assert "Idempotency-Key" in said["Access-Control-Allow-Headers"] and "*" not in str(said)
    assert "Access-Control-Allow-Credentials" not in said
    prompt = "/api/v1/users/{0}/prompts/{0}".format("0" * 8 + "-0000-0000-0000-" + "0" * 12)
    assert {"GET", "PATCH", "DELETE"} <= set(told(ask(app, prompt, APP))["Access-Control-Allow-Methods"].split(", "))
    assert ask(app, "/api/v1/nothing", APP).status_code == 404
    for origin in STRANGERS:
        assert told(ask(app, VERIFY, origin)) == {}
    for page in ("/", "/sign-in", "/account", "/health"):
        assert told(ask(app, page, APP)) == {}
        assert told(app.test_client().get(page, headers={"Origin": APP})) == {}


def test_where_nobody_is_listed_nobody_is_told_anything(app: Doorward) -> None:
    answer = app.test_client().post(VERIFY, json={}, headers={"Origin": APP})
    assert (answer.status_code, told(answer), "Vary" in answer.headers) == (401, {}, False)
    assert told(ask(app, VERIFY, APP)) == {}


def test_what_no_browser_sends_is_refused_at_the_start_by_name(tmp_path: object) -> None:
    for wrong in ("*", "null", "app.example.org", "https://app.example.org/", "https://app.example.org/path", "https://",
                  "https://*.example.org", "https://App.example.org", "https://app.example.org:443", "http://a.example:80",
                  "https://user@app.example.org", "https://app.example.org?x", "https://a.example:99999", "//a.example",
                  "https://bücher.example", "https://a.example https://b.example"):  # fmt: skip
        with pytest.raises(BadSetting, match="CORS_ORIGINS"):
            load({"CORS_ORIGINS": f"{APP},{wrong}"}, data_dir=tmp_path)
    fine = "https://xn--bcher-kva.example,http://[::1]:8080,tauri://localhost"
    assert load({"CORS_ORIGINS": fine}, data_dir=tmp_path).cors_origins == fine.split(",")
