"""Input that nobody should send, to a route of each sort: the caller's fault each time, on both databases."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Callable
from typing import Any, get_type_hints
from urllib.parse import quote
from uuid import UUID

from portal.api.document import described_routes
from portal.web.frame import Doorward
from tests.api.lanes import Lanes, same
from tests.api.test_bodies import BROKEN, JSON, MALFORMED, ODD
from tests.conftest import Machine
from tests.people import make_account
from tests.servers import Server

FORM = "application/x-www-form-urlencoded"
CONSUME = "/api/v1/usage/consume"
TOKEN = "/api/v1/auth/token"
TWICE = {"twice": b'{"title": "a", "title": "b", "username": "a", "username": "b"}'}
NUMBERS: tuple[Any, ...] = (2**63, -(2**63) - 1, 2**64, 10**30, -1, 1.5, 1e300, "1", True, None, [], {})


def faults(answers: dict[str, tuple[int, str]], allowed: set[tuple[int, str]]) -> dict[str, tuple[int, str]]:
    """Those that are not among what may be said."""
    return {name: said for name, said in answers.items() if said not in allowed}


def test_a_change_and_a_spending_refuse_every_odd_body(machine: Callable[..., Machine]) -> None:
    alice, gate = make_account("alice"), machine()
    made = gate.post(f"/users/{alice.id}/prompts", {"title": "t", "content": "c"}).get_json()
    prompt = f"/api/v1/users/{alice.id}/prompts/{made['id']}"
    for method, path in (("PATCH", prompt), ("POST", CONSUME)):

        def send(body: bytes, kind: str | None = JSON, method: str = method, path: str = path) -> tuple[int, str]:
            answer = gate.client.open(path, method=method, data=body, content_type=kind, headers=gate.headers())
            assert answer.mimetype == "application/problem+json"
            return answer.status_code, answer.get_json()["code"]

        malformed, invalid = (400, "MALFORMED"), (422, "INVALID")
        known = b'"username"' if path == CONSUME else b'"title"'
        bad = {name: send(body.replace(b'"key"', known)) for name, body in {**MALFORMED, **BROKEN}.items()}
        assert faults(bad, {malformed}) == {}
        assert faults({name: send(body) for name, body in {**ODD, **TWICE}.items()}, {malformed, invalid}) == {}
        for kind in (FORM, "text/plain", "multipart/form-data; boundary=b", None):
            assert send(b"title=x", kind) == (415, "UNSUPPORTED_TYPE")
        assert send(b'{"title": "' + b"x" * 10_000_000 + b'"}') == (413, "TOO_LARGE")
    kept = gate.get(prompt.removeprefix("/api/v1")).get_json()
    assert (kept["title"], kept["content"]) == ("t", "c")


def test_the_lanes_agree_about_numbers_and_packed_bodies(app: Any, machine: Callable[..., Machine]) -> None:
    make_account("alice")
    lanes, headers = Lanes(app), machine().headers()
    for number in NUMBERS:
        body = json.dumps({"username": "alice", "cost": {"conversations": number}}).encode()
        assert same(lanes.post(CONSUME, body, headers)).status_code == 422, number
    for body in (b'{"username": "alice", "cost": {"conversations": 1e400}}', TWICE["twice"]):
        assert same(lanes.post(CONSUME, body, headers)).status_code in {400, 422}
    plain = b'{"username": "alice"}'
    for packed, coding in ((gzip.compress(plain), "gzip"), (plain, "gzip"), (plain, "br"), (plain, "nonsense")):
        answer = same(lanes.post(CONSUME, packed, {**headers, "Content-Encoding": coding}))
        assert (answer.status_code, answer.get_json()["code"]) == (415, "UNSUPPORTED_TYPE")
    assert same(lanes.post(CONSUME, plain, {**headers, "Content-Encoding": "identity"})).status_code == 200


def test_the_token_form_refuses_what_is_no_form(app: Any) -> None:
    fields = b"grant_type=password&username=alice&password=x"
    bodies = {
        "nothing": b"",
        "JSON": b'{"grant_type": "password"}',
        "twice": fields + b"&username=bob",
        "NUL": fields.replace(b"alice", b"%00"),
        "no UTF-8": fields.replace(b"alice", b"%ff%fe"),
        "half a character": fields.replace(b"alice", b"%ed%a0%80"),
        "long": fields.replace(b"alice", b"a" * 10_000),
        "many": b"&".join(b"f%d=1" % n for n in range(10_000)),
        "no grant": b"grant_type=none",
    }
    for name, body in bodies.items():
        answer = app.test_client().post(TOKEN, data=body, content_type=FORM)
        assert (answer.status_code, answer.mimetype) == (400, JSON), name
        assert {"error", "error_description", "code", "request_id"} == set(answer.get_json()), name
    for kind in (JSON, "multipart/form-data; boundary=b", "text/plain", None):
        assert app.test_client().post(TOKEN, data=fields, content_type=kind).status_code == 400
    assert app.test_client().post(TOKEN, data=fields + b"&x=" + b"x" * 1_000_000, content_type=FORM).status_code == 400
    assert app.test_client().post(TOKEN, data=b"x" * 10_000_000, content_type=FORM).status_code == 413


def test_addresses_that_nobody_should_ask_for(machine: Callable[..., Machine]) -> None:
    gate, path = machine(), f"/users/{make_account('alice').id}/prompts"
    invalid = {
        "twice": "?limit=1&limit=2",
        "twice the same": "?q=a&q=a",
        "not known": "?colour=red",
        "1,000 of them": "?" + "&".join(f"p{n}=1" for n in range(1000)),
        "1,000 of one": "?" + "&".join(["limit=1"] * 1000),
        "a long name": f"?{'n' * 10_000}=1",
        "NUL": "?%00=1",
        "no UTF-8": "?%ff=1",
    }
    invalid |= {f"limit {one}": f"?limit={quote(one)}" for one in ("0", "-1", "201", "9" * 5000, "²", "1_0", "", "x")}
    for name, query in invalid.items():
        answer = gate.get(path + query)
        assert (answer.status_code, answer.get_json()["code"]) == (422, "INVALID"), name
    for query in ("?q=%00", "?q=%ff%fe", "?q=%ed%a0%80", "?q=%25_", "?q=" + "x" * 10_000):
        assert gate.get(path + query).status_code == 200, query
    odd = ("%00", "%ff%fe", "%ed%a0%80", "..%2f..", "%2e%2e", "1" * 5000, "x" * 10_000, "0" * 36, "%20", "'; --")
    for part in odd:
        for where in (f"/users/{part}/prompts", f"{path}/{part}", f"/{part}", f"/message-logs/{part}"):
            assert gate.client.get(f"/api/v1{where}", headers=gate.headers()).status_code == 404, where


def cursors_of(cursor: str) -> dict[str, str]:
    """A good cursor made bad, and what never was one."""
    return {
        "nothing like it": "x",
        "cut": cursor[:-1],
        "longer": cursor + "A",
        "bent": ("A" if cursor[0] != "A" else "B") + cursor[1:],
        "NUL": "\0",
        "no ASCII": "ü",
        "long": "x" * 100_000,
        "a list of nothing": "W10.W10",
    }


def lists_of(app: Doorward, user_id: UUID) -> list[str]:
    """The path of every list that has a cursor."""
    found = []
    for rule, method, description in described_routes(app):
        if method == "GET" and description.filters is not None and "cursor" in get_type_hints(description.filters):
            found.append(rule.rule.removeprefix("/api/v1").replace("<uuid:user_id>", str(user_id)))
    return found


def test_a_cursor_is_good_for_its_own_list_of_its_own_user_only(
    app: Doorward, machine: Callable[..., Machine], caller: Callable[..., Machine]
) -> None:
    gate, alice, bob = machine(), caller("alice"), caller("bob")
    alice_id, bob_id = (UUID(one.get("/me").get_json()["id"]) for one in (alice, bob))
    for number in range(2):
        for one in (alice, bob):
            assert one.post("/me/prompts", {"title": f"t{number}", "content": "c"}).status_code == 201
        gate.post("/status-checks", {"client_name": f"gate {number}"})
    paths = lists_of(app, alice_id)
    assert len(paths) > 10
    given, why = {}, {"X-Reason": "a test"}
    for path in paths:
        asks = alice if path.startswith("/me/") else gate
        page = asks.get(f"{path}?limit=1", headers=why)
        assert page.status_code == 200, (path, page.text)
        given[path] = page.get_json()["next_cursor"]
    made = {path: cursor for path, cursor in given.items() if cursor}
    assert {"/me/prompts", f"/users/{alice_id}/prompts", "/status-checks", "/me/activity", "/users"} <= set(made)
    one_of_each = set(made.values())
    for path in paths:
        asks = alice if path.startswith("/me/") else gate
        # Prompts are one list by two addresses.
        strange = one_of_each - {given[path]} - ({made["/me/prompts"], made[f"/users/{alice_id}/prompts"]})
        for cursor in {*strange, *cursors_of(given[path] or "xx").values()}:
            answer = asks.get(path, query_string={"cursor": cursor}, headers=why)
            assert (answer.status_code, answer.get_json()["code"]) == (400, "MALFORMED"), (path, cursor[:80])
    for path in ("/me/prompts", "/me/activity"):
        assert bob.get(path, query_string={"cursor": made[path]}).status_code == 400
    assert gate.get(f"/users/{bob_id}/prompts", query_string={"cursor": made["/me/prompts"]}).status_code == 400
    assert gate.get("/users", query_string={"cursor": made["/users"], "sort": "username"}).status_code in {400, 422}


def test_a_key_of_one_caller_is_another_call_of_the_next(
    machine: Callable[..., Machine], caller: Callable[..., Machine]
) -> None:
    callers = [caller("alice"), caller("bob"), caller("alice"), machine()]
    alice_id = callers[0].get("/me").get_json()["id"]
    paths = ["/me/prompts", "/me/prompts", "/me/prompts", f"/users/{alice_id}/prompts"]
    answers = [
        one.post(path, {"title": "t", "content": "c"}, headers={"Idempotency-Key": "the-same"})
        for one, path in zip(callers, paths, strict=True)
    ]
    assert [answer.status_code for answer in answers] == [201] * 4
    ids = [answer.get_json()["id"] for answer in answers]
    assert ids[2] == ids[0] and len(set(ids)) == 3
    assert [answer.headers.get("Idempotent-Replayed") for answer in answers] == [None, None, "true", None]
    other = callers[1].post("/me/prompts", {"title": "u", "content": "c"}, headers={"Idempotency-Key": "the-same"})
    assert (other.status_code, other.get_json()["code"]) == (422, "IDEMPOTENCY_MISMATCH")


def raw(server: Server, request: bytes) -> tuple[int, bytes]:
    """What the server answers to these very bytes: the status, and all of it."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        line.sendall(request)
        heard = b""
        while piece := line.recv(65536):
            heard += piece
    return int(heard.split(b" ", 2)[1]), heard


def test_a_real_server_answers_odd_requests(served: Server, machine: Callable[..., Machine]) -> None:
    bearer = f"Authorization: Bearer {machine().token}\r\n".encode()
    head = b"Host: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n" + bearer
    verify = b"POST /api/v1/keys/verify HTTP/1.1\r\n" + head
    pieces = b'8\r\n{"key": \r\n6\r\n"dw_x"\r\n1\r\n}\r\n0\r\n\r\n'
    chunked = b"Transfer-Encoding: chunked\r\n\r\n"
    requests = {
        "in chunks": (verify + chunked + pieces, {200}),
        "no length": (verify + b"\r\n", {400}),
        "odd chunks": (verify + chunked + b"zz\r\n{}\r\n", {400}),
        "length and chunks": (verify + b"Content-Length: 2\r\n" + chunked + pieces, {200, 400}),
        "odd length": (verify + b"Content-Length: +5\r\n\r\n{}", {400}),
        "two lengths": (verify + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", {400}),
        "too much in chunks": (verify + chunked + b"900001\r\n" + b"x" * 0x900001 + b"\r\n0\r\n\r\n", {413}),
        "a header of 64 kB": (verify + b"X-Reason: " + b"x" * 65536 + b"\r\nContent-Length: 2\r\n\r\n{}", {400, 431}),
        "a NUL in the address": (b"GET /api/v1/%00 HTTP/1.1\r\n" + head + b"\r\n", {404}),
        "no UTF-8 in the address": (b"GET /api/v1/%ff%fe HTTP/1.1\r\n" + head + b"\r\n", {404}),
        "bare bytes in the address": (b"GET /api/v1/\xff HTTP/1.1\r\n" + head + b"\r\n", {400, 404}),
        "1,000 parameters": (
            b"GET /api/v1/status-checks?" + b"&".join([b"limit=1"] * 1000) + b" HTTP/1.1\r\n" + head + b"\r\n",
            {422},
        ),
        "no request": (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", {400}),
    }
    for name, (request, allowed) in requests.items():
        status, heard = raw(served, request)
        assert status in allowed, (name, status, heard[:300])
        assert b"Traceback" not in heard, name
