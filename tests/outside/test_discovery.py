"""Providers that are away, slow or untrue about themselves: said in plain words, and nobody else waits for them."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from portal.core import clock
from portal.outside import discovery
from portal.outside.discovery import forget_discoveries
from tests.outside.conftest import Traveller
from tests.outside.liar import Liar, dripping, endless
from tests.people import make_account

if TYPE_CHECKING:
    from portal.web.frame import Doorward
    from tests.visitor import SeenPage

AWAY = "does not answer just now"
ABOUT = "/.well-known/openid-configuration"


def press(traveller: Traveller) -> SeenPage:
    """Press the button of `acme`."""
    return traveller.send(traveller.get("/sign-in"), to="/sign-in/with/acme")


LIES: dict[str, Any] = {
    "500": (500, {}, b"{}"),
    "404": (404, {}, b"{}"),
    "no JSON": (200, {}, b"<html>"),
    "a list": (200, {}, b"[]"),
    "no UTF-8": (200, {}, b"\xff\xfe"),
    "nested without end": (200, {}, b"[" * 100_000),
    "endless": endless,
    "not HTTP": lambda talk: talk.wfile.write(b"\0\0\0\0"),
    "hangs up": lambda talk: None,
}


@pytest.mark.parametrize("lie", LIES)
def test_whatever_it_answers_the_words_are_plain_and_the_password_works(
    traveller: Traveller, liar: Liar, lie: str
) -> None:
    make_account("alice")
    liar.answers[ABOUT] = LIES[lie]
    page = press(traveller)
    assert page.path == "/sign-in"
    assert AWAY in page.text
    assert traveller.sign_in("alice").path == "/account"


def test_a_redirect_is_not_followed(traveller: Traveller, liar: Liar, other: Liar) -> None:
    liar.answers[ABOUT] = (302, {"Location": other.issuer + ABOUT}, b"")
    assert AWAY in press(traveller).text
    assert other.asked == []


def test_one_that_trickles_is_given_up(traveller: Traveller, liar: Liar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.core.outgoing.WITHIN_S", 0.5)
    liar.answers[ABOUT] = dripping
    assert AWAY in press(traveller).text


SAID: dict[str, dict[str, Any]] = {
    "another issuer": {"issuer": "https://accounts.example"},
    "no issuer": {"issuer": None},
    "no authorization endpoint": {"authorization_endpoint": None},
    "a script for an endpoint": {"authorization_endpoint": "javascript:alert(1)"},
    "data for an endpoint": {"authorization_endpoint": "data:text/html,x"},
    "quotes in an endpoint": {"authorization_endpoint": 'http://127.0.0.1/"><script>'},
    "a file for the token endpoint": {"token_endpoint": "file:///etc/passwd"},
    "a number for the keys": {"jwks_uri": 7},
    "a name with a password for the keys": {"jwks_uri": "http://a:b@127.0.0.1/keys"},
}


@pytest.mark.parametrize("lie", SAID)
def test_what_it_says_of_itself_is_checked(traveller: Traveller, liar: Liar, lie: str) -> None:
    liar.metadata = SAID[lie]
    assert AWAY in press(traveller).text


@pytest.mark.parametrize("body", [b"{}", b'{"keys": 7}', b"[]", b'{"keys": ["x"]}'])
def test_without_keys_nothing_is_believed(traveller: Traveller, liar: Liar, body: bytes) -> None:
    liar.answers["/keys"] = (200, {}, body)
    page = traveller.travel(liar)
    assert page.path == "/sign-in"
    assert AWAY in page.text or "not one to believe" in page.text


def test_it_is_asked_about_itself_once_an_hour(app: Doorward, liar: Liar) -> None:
    for _ in range(3):
        Traveller.of(app).travel(liar)
    assert (liar.asked.count(ABOUT), liar.asked.count("/keys")) == (1, 1)
    clock.shift(clock.offset() + timedelta(minutes=61))
    Traveller.of(app).travel(liar)
    assert (liar.asked.count(ABOUT), liar.asked.count("/keys")) == (2, 2)


def test_one_that_was_away_is_left_alone_for_some_seconds(app: Doorward, liar: Liar) -> None:
    liar.answers[ABOUT] = (503, {}, b"")
    for _ in range(5):
        assert AWAY in press(Traveller.of(app)).text
    assert liar.asked.count(ABOUT) == 1
    del liar.answers[ABOUT]
    clock.shift(clock.offset() + timedelta(seconds=11))
    assert Traveller.of(app).travel(liar).path == "/account"


def test_one_that_goes_away_on_the_way_back_is_told_too(traveller: Traveller, liar: Liar) -> None:
    for path in ("/token", "/keys"):
        forget_discoveries()
        liar.answers = {path: (500, {}, b"")}
        page = traveller.travel(liar)
        assert page.path == "/sign-in"
        assert AWAY in page.text, path


def test_nothing_is_kept_of_what_failed(traveller: Traveller, liar: Liar) -> None:
    liar.answers[ABOUT] = (200, {}, json.dumps({"issuer": liar.issuer}).encode())
    press(traveller)
    assert all(kept.metadata is None for kept in discovery._kept.values())


def test_thirty_who_want_a_slow_one_leave_room_for_the_others(
    app: Doorward, liar: Liar, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_account("alice")
    monkeypatch.setattr("portal.core.outgoing.WITHIN_S", 30.0)
    monkeypatch.setattr("portal.outside.discovery.WITHIN_S", 30.0)
    go, told = threading.Event(), threading.Semaphore(0)
    liar.answers[ABOUT] = lambda talk: (go.wait(30), talk.reply(200, json.dumps(liar.about()).encode()))
    seen: list[int] = []

    def want(_: int) -> None:
        page = press(Traveller.of(app))
        seen.append(page.status)
        told.release()

    with ThreadPoolExecutor(30) as pool:
        wanting = [pool.submit(want, number) for number in range(30)]
        # One asks, eight wait for it; everybody else is told at once.
        for _ in range(21):
            assert told.acquire(timeout=25)
        assert Traveller.of(app).sign_in("alice").path == "/account"
        assert len(seen) == 21
        go.set()
        for one in wanting:
            one.result(30)
    assert seen == [200] * 30
    assert liar.asked.count(ABOUT) == 1
