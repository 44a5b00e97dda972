"""A provider of OpenID Connect of our own, on real HTTP with real keys, that lies wherever a test tells it to."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwk, jws

from portal.core import clock
from portal.core.ids import new_secret

CLIENT_ID = "doorward"
CLIENT_SECRET = "kept between the two"
_KEYS: dict[str, Any] = {}


def key_named(kid: str, kind: str = "RSA") -> Any:
    """A key of a test, made once in a run: RSA keys take their time."""
    if kid not in _KEYS:
        size: Any = {"RSA": 2048, "EC": "P-256", "OKP": "Ed25519"}.get(kind, kind)
        kty = kind if kind in {"RSA", "EC", "OKP"} else "RSA"
        _KEYS[kid] = jwk.JWKRegistry.generate_key(kty, int(size) if kty != kind else size, {"kid": kid})
    return _KEYS[kid]


def said_now(value: Any, now: int) -> Any:
    """A claim; one that is a call says what it is at this instant."""
    return value(now) if callable(value) else value


def b64(data: bytes) -> str:
    """URL-safe base64 without padding, as tokens are written."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Liar:
    """The provider. `claims` go over those of an honest ID token (None leaves one out, a call is
    given the instant); `metadata` over what it says of
    itself; `answers` replaces the answer of a path: (status, headers, body), or a call that writes it by itself."""

    port: int = 0
    claims: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    algorithm: str = "RS256"
    header: dict[str, Any] = field(default_factory=dict)
    signer: str = "first"
    published: list[str] = field(default_factory=lambda: ["first"])
    kinds: dict[str, str] = field(default_factory=dict)
    # An ID token made by the test itself, from the honest claims.
    forge: Callable[[dict[str, Any]], str] | None = None
    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    exchanges: list[dict[str, str]] = field(default_factory=list)

    @property
    def issuer(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def key(self, kid: str) -> Any:
        """One of its keys."""
        return key_named(kid, self.kinds.get(kid, "RSA"))

    def code_for(self, query: dict[str, str]) -> str:
        """A code for an authorization request, as after somebody has signed in."""
        code = new_secret(12)
        self.codes[code] = query
        return code

    def honest(self, query: dict[str, str]) -> dict[str, Any]:
        """The claims of an honest token."""
        now = int(clock.now().timestamp())
        said = {
            "iss": self.issuer,
            "sub": "subject-1",
            "aud": CLIENT_ID,
            "exp": now + 300,
            "iat": now,
            "nonce": query.get("nonce"),
            "email": "carol@example.org",
            "email_verified": True,
            "name": "Carol Outside",
            "preferred_username": "carol",
        }
        if query.get("max_age") == "0":
            said["auth_time"] = now
        told = {**said, **{name: said_now(value, now) for name, value in self.claims.items()}}
        return {name: value for name, value in told.items() if value is not None}

    def token(self, claims: dict[str, Any]) -> str:
        """The ID token of these claims."""
        if self.forge is not None:
            return self.forge(claims)
        header = {"alg": self.algorithm, "kid": self.signer, **self.header}
        header = {name: value for name, value in header.items() if value is not None}
        return jws.serialize_compact(header, json.dumps(claims), self.key(self.signer), algorithms=[self.algorithm])

    def about(self) -> dict[str, Any]:
        """What it says of itself."""
        places = {
            "authorization_endpoint": "/authorize",
            "token_endpoint": "/token",
            "jwks_uri": "/keys",
            "userinfo_endpoint": "/userinfo",
        }
        said = {"issuer": self.issuer, **{name: self.issuer + path for name, path in places.items()}, **self.metadata}
        return {name: value for name, value in said.items() if value is not None}

    def keys(self) -> dict[str, Any]:
        """Its key set."""
        return {"keys": [{**self.key(kid).as_dict(private=False), "use": "sig"} for kid in self.published]}

    def exchange(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Take a code, once, from whoever has its verifier."""
        self.exchanges.append(form)
        query = self.codes.pop(form.get("code", ""), None)
        if query is None or form.get("redirect_uri") != query.get("redirect_uri"):
            return 400, {"error": "invalid_grant"}
        digest = b64(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if query.get("code_challenge_method") != "S256" or digest != query.get("code_challenge"):
            return 400, {"error": "invalid_grant"}
        return 200, {"access_token": "at", "token_type": "Bearer", "id_token": self.token(self.honest(query))}


class _Talk(BaseHTTPRequestHandler):
    """The HTTP side of it."""

    protocol_version = "HTTP/1.1"

    @property
    def liar(self) -> Liar:
        return self.server.liar  # type: ignore[attr-defined,no-any-return]  # set by `lying`

    def do_GET(self) -> None:
        self.answer({})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        form = parse_qs(self.rfile.read(length).decode(), keep_blank_values=True)
        self.answer({name: values[0] for name, values in form.items()})

    def answer(self, form: dict[str, str]) -> None:
        liar, path = self.liar, urlsplit(self.path).path
        liar.asked.append(path)
        lie = liar.answers.get(path)
        if callable(lie):
            lie(self)
            self.close_connection = True
            return
        if lie is not None:
            status, headers, body = lie
            self.reply(status, body, headers)
        elif path == "/.well-known/openid-configuration":
            self.reply(200, json.dumps(liar.about()).encode())
        elif path == "/keys":
            self.reply(200, json.dumps(liar.keys()).encode())
        elif path == "/token":
            status, said = liar.exchange(form)
            self.reply(status, json.dumps(said).encode())
        elif path == "/userinfo" and liar.userinfo is not None:
            self.reply(200, json.dumps(liar.userinfo).encode())
        elif path == "/authorize":
            query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            back = f"{query['redirect_uri']}?code={liar.code_for(query)}&state={query['state']}"
            self.reply(302, b"", {"Location": back})
        else:
            self.reply(404, b"{}")

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def lying() -> Iterator[Liar]:
    """A provider on a port of its own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Talk)
    server.daemon_threads = True
    liar = Liar(port=server.server_address[1])
    server.liar = liar  # type: ignore[attr-defined]  # read by the handler
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield liar
    finally:
        server.shutdown()
        server.server_close()


def dripping(talk: Any) -> None:
    """An answer that comes a byte at a time and never ends."""
    talk.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    for _ in range(400):
        try:
            talk.wfile.write(b" ")
            talk.wfile.flush()
        except OSError:
            return
        time.sleep(0.1)


def endless(talk: Any) -> None:
    """An answer without end, as fast as it is taken."""
    talk.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    for _ in range(2000):
        try:
            talk.wfile.write(b" " * 65536)
        except OSError:
            return
