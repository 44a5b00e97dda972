"""What every answer carries, and who is believed about host and address."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from portal.core.database import db
from portal.signin.models import SignInSession
from portal.web.frame import Doorward
from portal.web.logs import set_up_logs
from tests.people import PASSWORD, make_account
from tests.visitor import SeenPage, Visitor

PROD = {"site_url": "https://desk.example.org"}
HTTPS = {"base_url": "https://desk.example.org"}
WANTED = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
PAGES = ["/", "/sign-in", "/nothing-here", "/account", "/health", "/api/v1/message-logs", "/static/icon.svg"]


@pytest.mark.parametrize("path", PAGES)
def test_every_answer_carries_the_headers_and_an_id(path: str, app: Doorward) -> None:
    client = app.test_client()
    with client.get(path) as first, client.get(path) as second:
        for name, value in WANTED.items():
            assert first.headers[name] == value
        policy = first.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        ids = {first.headers["X-Request-Id"], second.headers["X-Request-Id"]}
    assert len(ids) == 2
    assert {len(one) for one in ids} == {32}


def test_a_request_id_from_outside_is_not_taken_over(visitor: Visitor) -> None:
    page = visitor.get("/nothing-here", headers={"X-Request-Id": "forged\u00e9"})
    assert page.response.headers["X-Request-Id"] != "forged\u00e9"
    assert page.response.headers["X-Request-Id"] in page.text


def test_pages_are_stored_nowhere_and_static_files_for_long(app: Doorward) -> None:
    client = app.test_client()
    assert client.get("/sign-in").headers["Cache-Control"] == "no-store"
    with client.get("/static/icon.svg") as file:
        assert "max-age=31536000" in file.headers["Cache-Control"]


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "desk.example.org.evil.example"])
def test_an_unknown_host_is_refused(host: str, visitor: Visitor) -> None:
    page = visitor.get("/sign-in", headers={"Host": host})
    assert page.status == 400
    assert host not in page.html


def test_no_host_is_too_strange_to_be_refused_with_a_page(app: Doorward) -> None:
    client = app.test_client()
    strange = [
        "",
        "a b",
        "[::1",
        "a\0b",
        "localhost:99999999",
        "localhost:x",
        "\u00e9.example",
        "me@localhost",
        "a" * 300,
    ]
    for host in strange:
        for path in ("/sign-in", "/nothing-here", "/api/v1/message-logs"):
            assert client.get(path, headers={"Host": host}).status_code == 400, host
        assert client.get("/health/live", headers={"Host": host}).status_code == 200, host


@pytest.mark.parametrize("setting", [{**PROD, "trusted_hosts": "Inner.Example"}])
def test_a_host_is_known_in_capitals_too(visitor: Visitor) -> None:
    for host in ("LOCALHOST", "DESK.example.org:443", "inner.example", "INNER.EXAMPLE", "[::1]:8000"):
        assert visitor.get("/sign-in", headers={"Host": host}).status == 200, host


@pytest.mark.parametrize("setting", [{**PROD, "trusted_hosts": "inner.example"}])
def test_hosts_of_the_settings_are_known_with_any_port(visitor: Visitor) -> None:
    for host in ("desk.example.org", "desk.example.org:8443", "inner.example", "localhost:8000", "127.0.0.1"):
        assert visitor.get("/sign-in", headers={"Host": host}).status == 200, host


@pytest.mark.parametrize("setting", [PROD])
def test_over_https_the_cookie_is_bound_to_the_host(app: Doorward) -> None:
    make_account("alice")
    answer = app.test_client().get("/sign-in", **HTTPS)
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-doorward=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")


def test_over_http_the_cookie_is_still_out_of_reach_of_scripts(app: Doorward) -> None:
    answer = app.test_client().get("/sign-in")
    assert {"HttpOnly", "SameSite=Lax"} <= set(answer.headers["Set-Cookie"].split("; "))
    assert "Strict-Transport-Security" not in answer.headers


@pytest.mark.parametrize("setting", [{**PROD, "trusted_proxies": 1}])
def test_plain_http_behind_a_proxy_is_led_to_https(app: Doorward) -> None:
    client, host = app.test_client(), {"Host": "desk.example.org"}
    led = client.get("/status?a=1", headers={**host, "X-Forwarded-Proto": "http"})
    assert (led.status_code, led.location) == (308, "https://desk.example.org/status?a=1")
    assert client.get("/status", headers={**host, "X-Forwarded-Proto": "https"}).status_code == 200


def seen_address(visitor: Visitor, headers: dict[str, str]) -> str:
    """The address that the sessions page shows after signing in with these headers."""
    make_account("alice")
    page = visitor.get("/sign-in")
    token = next(field.get("value") for field in page.tree.iter("input") if field.get("name") == "csrf_token")
    typed = {"csrf_token": token, "name": "alice", "password": PASSWORD}
    assert visitor.client.post("/sign-in", data=typed, headers=headers).status_code == 302
    return first_code(visitor.get("/account/sessions"))


def first_code(page: SeenPage) -> str:
    """The first words written as code."""
    return "".join(next(page.tree.iter("code")).itertext())


FORGED = {
    "X-Forwarded-For": "203.0.113.1, 203.0.113.2, 203.0.113.3",
    "X-Real-IP": "198.51.100.1",
    "Forwarded": "for=198.51.100.2",
    "X-Original-URL": "/admin",
}


@pytest.mark.parametrize(
    ("setting", "wanted"),
    [
        ({"trusted_proxies": 0}, "127.0.0.1"),
        ({"trusted_proxies": 1}, "203.0.113.3"),
        ({"trusted_proxies": 2}, "203.0.113.2"),
    ],
)
def test_the_address_is_counted_from_the_right(wanted: str, visitor: Visitor) -> None:
    assert seen_address(visitor, FORGED) == wanted


@pytest.mark.parametrize("setting", [{"trusted_proxies": 1}])
def test_an_address_has_one_form_and_nonsense_is_none(app: Doorward) -> None:
    make_account("alice")
    told = {
        "203.0.113.9:4711": "203.0.113.9",
        "[2001:DB8::1]:443": "2001:db8::1",
        "2001:db8:0::1": "2001:db8::1",
        "::ffff:203.0.113.9": "203.0.113.9",
        "fe80::1%eth0": "fe80::1",
        "nonsense": None,
        "203.0.113.9.evil": None,
        "x" * 300: None,
    }
    for header, kept in told.items():
        visitor = Visitor(app.test_client())
        visitor.client.environ_base["HTTP_X_FORWARDED_FOR"] = header
        assert visitor.sign_in("alice").path == "/account", header
        latest = select(SignInSession.address).order_by(SignInSession.id.desc()).limit(1)
        assert db.session.scalars(latest).one() == kept, header


@pytest.mark.parametrize("setting", [{"log_level": "info", "log_format": "json"}])
def test_a_mailed_token_is_not_in_the_log(capsys: pytest.CaptureFixture[str], app: Doorward) -> None:
    set_up_logs(app.extensions["settings"])  # to what capsys reads
    app.test_client().get("/reset/canary-token")
    printed = capsys.readouterr().err
    with capsys.disabled():
        set_up_logs(app.extensions["settings"])
    assert "/reset/…" in printed or "/reset/\\u2026" in printed
    assert "canary-token" not in printed


def test_the_machine_door_gets_and_gives_no_cookie(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    answer = alice.client.get("/api/v1/message-logs")
    assert answer.status_code == 401
    assert "Set-Cookie" not in answer.headers
