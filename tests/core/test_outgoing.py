"""Asking other servers: nothing of an inside network is asked, whatever its name or form; nothing goes on for ever."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from portal import create_app
from portal.core import outgoing
from portal.core.database import db, transaction
from portal.core.outgoing import Unreachable, fetch, is_inside
from portal.core.settings import load
from portal.prompts.models import Prompt
from portal.web.frame import Doorward
from tests.outside.liar import Liar, dripping, endless, lying

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

INSIDE = """
127.0.0.1 127.1.2.3 0.0.0.0 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254 100.64.0.1 192.0.0.1
192.0.2.1 198.18.0.1 203.0.113.7 224.0.0.1 240.0.0.1 255.255.255.255 ::1 :: fe80::1 fe80::1%eth0 fc00::1 fd12::1 ff02::1
fec0::1 2001:db8::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1 64:ff9b::7f00:1
2002:7f00:1:: 2002:a00:1:: 2001:0:7f00:1:: nonsense
"""
OUTSIDE = "1.1.1.1 8.8.8.8 93.184.216.34 172.32.0.1 2606:4700::1111 ::ffff:8.8.8.8 2002:808:808::1"


@pytest.mark.parametrize("address", INSIDE.split())
def test_inside(address: str) -> None:
    assert is_inside(address)


@pytest.mark.parametrize("address", OUTSIDE.split())
def test_outside(address: str) -> None:
    assert not is_inside(address)


@pytest.mark.parametrize(("address", "passes"), [("127.0.0.1", True), ("::1", True), ("10.0.0.1", False)])
def test_development_lets_its_own_machine_pass_and_nothing_more(address: str, passes: bool) -> None:
    assert is_inside(address, loopback=True) is not passes


@pytest.fixture
def server() -> Iterator[Liar]:
    """Something to ask."""
    with lying() as liar:
        yield liar


@pytest.fixture
def setting(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Production, but where a test says otherwise."""
    safe = {"secret_key": "k" * 20 + "0123456789abcdef", "site_url": "https://desk.example.org", "bcrypt_cost": 10}
    keys = {"encryption_keys": "mZ3n2cIuJ0pXv0bRl1w8s3mYd6oQ9rT4uV5xZ7aB2cE="}
    return {"portal_env": "production", "smtp_url": "none", **safe, **keys}


@pytest.fixture
def bare(tmp_path: Path, setting: dict[str, Any]) -> Iterator[Doorward]:
    """An application whose database is never asked."""
    made = create_app(load({}, folder=tmp_path, data_dir=tmp_path, **{"log_level": "error", **setting}))
    with made.app_context():
        yield made
        db.session.remove()
        db.engine.dispose()


def resolves(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[Any]:
    """Let every name have these addresses; answers the connections that are tried."""
    tried: list[Any] = []

    def look_up(_host: str, port: int, **_: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    def connect(where: Any, **_: object) -> socket.socket:
        tried.append(where)
        raise OSError("nobody there")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket, "create_connection", connect)
    return tried


def test_a_name_with_one_inside_address_among_others_is_not_asked(
    bare: Doorward, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = resolves(monkeypatch, "93.184.216.34", "10.0.0.1")
    with pytest.raises(Unreachable, match="inside network"):
        fetch("https://rebound.example/", inside=False)
    assert tried == []


def test_a_name_that_is_never_found_ends_with_the_time_there_is(
    bare: Doorward, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [over.wait()][:0])
    monkeypatch.setattr(outgoing, "WITHIN_S", 0.2)
    with pytest.raises(Unreachable, match="not looked up in time"):
        fetch("https://silent.example/", inside=False)
    over.set()


def test_a_name_is_looked_up_once_and_its_address_is_spoken_to(bare: Doorward, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = resolves(monkeypatch, "93.184.216.34", "2606:4700::1111")
    with pytest.raises(Unreachable, match="nobody there"):
        fetch("https://good.example/", inside=False)
    assert tried == [("93.184.216.34", 443), ("2606:4700::1111", 443)]


@pytest.mark.parametrize(
    "address",
    [
        "http://good.example/",
        "ftp://good.example/",
        "file:///etc/passwd",
        "gopher://good.example/",
        "https://user:word@good.example/",
        "https://good.example:22/",
        "https://good.example:6379/",
        "https://good.example:0/",
        "https://good.example:99999/",
        "https://",
        "https:///x",
        "https://good.example/\r\nX: y",
        "https://gööd.example/",
        "https://[::1/",
        "javascript:alert(1)",
        "",
    ],
)
def test_only_https_on_its_own_ports(bare: Doorward, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    tried = resolves(monkeypatch, "93.184.216.34")
    with pytest.raises(Unreachable):
        fetch(address, inside=False)
    assert tried == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "0x7f.1", "017700000001", "[::1]", "[::ffff:127.0.0.1]", "localhost"]
)
def test_this_machine_is_not_asked_however_it_is_spelt(bare: Doorward, server: Liar, host: str) -> None:
    with pytest.raises(Unreachable):
        fetch(f"https://{host}:8443/", inside=False)
    assert server.asked == []


@pytest.mark.parametrize("setting", [{}])
def test_what_the_operator_named_may_lie_inside(bare: Doorward, server: Liar) -> None:
    for inside in (True, False):  # in development the own machine is asked for anybody
        assert fetch(f"{server.issuer}/keys", inside=inside).status == 200


@pytest.mark.parametrize("setting", [{}])
def test_bounded_in_time_and_bytes(bare: Doorward, server: Liar, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers = {"/drip": dripping, "/flood": endless, "/big": (200, {}, b"x" * 1001)}
    monkeypatch.setattr(outgoing, "WITHIN_S", 0.5)
    with pytest.raises(Unreachable):
        fetch(f"{server.issuer}/drip", inside=True)
    with pytest.raises(Unreachable):
        fetch(f"{server.issuer}/flood", inside=True)
    with pytest.raises(Unreachable, match="more than 1000 bytes"):
        fetch(f"{server.issuer}/big", inside=True, most=1000)
    assert len(fetch(f"{server.issuer}/big", inside=True, most=1001).body) == 1001


@pytest.mark.parametrize("setting", [{}])
def test_a_redirect_is_an_answer_like_any_other(bare: Doorward, server: Liar) -> None:
    server.answers["/there"] = (302, {"Location": f"{server.issuer}/keys"}, b"")
    assert fetch(f"{server.issuer}/there", inside=True).status == 302
    assert server.asked == ["/there"]


@pytest.mark.parametrize("setting", [{}])
def test_those_who_ask_at_once_are_few_and_the_turns_come_back(
    bare: Doorward, server: Liar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "TURN_S", 0.05)
    go = threading.Event()
    server.answers["/wait"] = lambda talk: (go.wait(20), talk.reply(200, b"{}"))
    seen: list[str] = []

    def ask() -> None:
        with bare.app_context():
            try:
                seen.append(str(fetch(f"{server.issuer}/wait", inside=True).status))
            except Unreachable as error:
                seen.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads[:]:
        thread.join(0.3)
    go.set()
    for thread in threads:
        thread.join(30)
    assert len(seen) == 20
    assert set(seen) == {"200", "too many questions to other servers at once"}
    assert fetch(f"{server.issuer}/keys", inside=True).status == 200


@pytest.mark.parametrize("setting", [{}])
def test_nobody_is_asked_inside_a_transaction(app: Doorward, server: Liar, person: Callable[..., Any]) -> None:
    person("alice")
    with pytest.raises(RuntimeError, match="inside a transaction"), transaction():
        db.session.query(Prompt).delete()
        fetch(f"{server.issuer}/keys", inside=True)
