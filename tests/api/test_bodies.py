"""Bodies that nobody should send, to every route that reads one: the right code, and never a fault of ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import Machine
from tests.people import make_account

ROUTES = ("/api/v1/keys/verify", "/api/v1/message-logs")
VERIFY, LOGS = ROUTES
JSON = "application/json"


def nested(depth: int) -> bytes:
    """Arrays in arrays."""
    return b"[" * depth + b"]" * depth


def objects(depth: int) -> bytes:
    """Objects in objects."""
    return b'{"a":' * depth + b"1" + b"}" * depth


MALFORMED = {
    "nothing": b"",
    "half": b'{"key": "dw_',
    "no json": b"key=dw_x",
    "two values": b'{"key": "dw_x"} {"key": "dw_y"}',
    "trailing comma": b'{"key": "dw_x",}',
    "single quotes": b"{'key': 'dw_x'}",
    "comment": b'{"key": "dw_x"} // mine',
    "NaN": b'{"key": NaN}',
    "infinity": b'{"key": -Infinity}',
    "bom": b'\xef\xbb\xbf{"key": "dw_x"}',
    "utf-16": '{"key": "dw_x"}'.encode("utf-16"),
    "utf-32": '{"key": "dw_x"}'.encode("utf-32"),
    "latin-1": '{"key": "dw_ü"}'.encode("latin-1"),
    "not utf-8": b'{"key": "\xff\xfe"}',
    "encoded surrogate": b'{"key": "\xed\xa0\x80"}',
    "raw NUL": b'{"key": "\x00"}',
    "raw line end": b'{"key": "a\nb"}',
}
# What the grammar of JSON allows, though no UTF-8 can carry it: a question is not asked, a record is rejected alone.
BROKEN = {
    "lone surrogate": b'{"key": "\\ud800"}',
    "reversed surrogates": b'{"key": "\\udc00\\ud800"}',
    "surrogate as a name": b'{"\\ud800": 1}',
}
# What JSON can say, but no record or question can be.
ODD = {
    "1,000 arrays": nested(1000),
    "1,000 objects": objects(1000),
    "1,000 in a name": b'{"key": %s, "metadata": %s}' % (nested(1000), objects(1000)),
    "10,000 arrays": nested(10_000),
    "10,000 objects": objects(10_000),
    "100,000 arrays": nested(100_000),
    "arrays that never close": b"[" * 100_000,
    "10,000 in a name": b'{"username": "alice", "metadata": %s}' % objects(10_000),
    "1e400": b'{"key": 1e400, "metadata": {"a": 1e400}}',
    "a number of 5,000 digits": b'{"key": ' + b"9" * 5000 + b"}",
    "10,000 names": b"{" + b",".join(b'"n%d":1' % n for n in range(10_000)) + b"}",
    "NUL": b'{"key": "\\u0000", "username": "\\u0000"}',
    "an empty name": b'{"": 1}',
    "a name of a megabyte": b'{"' + b"n" * 1_000_000 + b'": 1}',
    "true": b"true",
    "null": b"null",
}


@pytest.fixture
def gate(machine: Callable[..., Machine]) -> Machine:
    """A client with every scope, and somebody to speak of."""
    make_account("alice")
    return machine()


def send(gate: Machine, route: str, body: bytes, kind: str | None = JSON) -> tuple[int, str | None]:
    """The status and the code of the answer, which must be a problem document as the contract has it."""
    answer = gate.client.post(route, data=body, content_type=kind, headers=gate.headers())
    if answer.status_code < 300:
        return answer.status_code, None
    assert answer.mimetype == "application/problem+json"
    said = answer.get_json()
    assert {"type", "title", "status", "detail", "instance", "code", "request_id"} <= set(said)
    assert (said["status"], said["instance"]) == (answer.status_code, route)
    assert said["request_id"] == answer.headers["X-Request-Id"]
    assert "Traceback" not in answer.text and "sqlalchemy" not in answer.text.lower()
    return answer.status_code, str(said["code"])


def test_what_is_not_json_is_malformed(gate: Machine) -> None:
    for route in ROUTES:
        answers = {name: send(gate, route, body) for name, body in MALFORMED.items()}
        assert answers == dict.fromkeys(MALFORMED, (400, "MALFORMED"))


def test_half_a_character_spoils_a_question_and_one_record(gate: Machine) -> None:
    for name, body in BROKEN.items():
        assert send(gate, VERIFY, body) == (400, "MALFORMED"), name
        batch = b'{"records": [%s, {"username": "alice", "prompt": "x"}]}' % body
        said = gate.client.post(LOGS, data=batch, content_type=JSON, headers=gate.headers()).get_json()
        assert [result["status"] for result in said["results"]] == ["rejected", "accepted"], name
        assert "surrogate" in said["results"][0]["error"]


def test_json_that_is_no_question_is_refused(gate: Machine) -> None:
    for name, body in ODD.items():
        assert send(gate, VERIFY, body) in {(422, "INVALID"), (400, "MALFORMED")}, name


def test_json_that_is_no_record_is_rejected_or_refused(gate: Machine) -> None:
    for name, body in ODD.items():
        answer = gate.client.post(LOGS, data=body, content_type=JSON, headers=gate.headers())
        if answer.status_code == 202:
            said = answer.get_json()
            assert (said["accepted"], said["rejected"]) == (0, 1), name
            assert said["results"][0]["error"]
        else:
            assert answer.status_code in {400, 422}, name


def test_a_name_given_twice_is_refused_and_a_colon_in_a_text_is_not(gate: Machine) -> None:
    twice = {
        b'{"key": "dw_x", "key": "dw_y"}': "key",
        b'{"key": "a:b", "key": "c"}': "key",
        b'{"key": "x", "k\\u0065y": "y"}': "key",
        b'{"key": "x\\u003a", "key": "y"}': "key",
        b'{"key": "x", "cost": {"credits": 1, "credits": 1}}': "credits",
        b'[{"key": "x"}, {"key": "x", "model": "", "model": ""}]': "model",
    }
    for body, name in twice.items():
        route = VERIFY + "-many" if body.startswith(b"[") else VERIFY
        for kind in (JSON, f"{JSON}; charset=utf-8"):
            answer = gate.client.post(route, data=body, content_type=kind, headers=gate.headers())
            assert (answer.status_code, answer.get_json()["code"]) == (400, "MALFORMED"), body
            assert answer.get_json()["detail"] == f"A field is given twice: {name}"
    for body in (b'{"key": "a:b\\u003a", "model": "::"}', b'{"key": "\\"key\\":", "model": "key:"}'):
        assert send(gate, VERIFY, body) == (200, None)


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/plain", "text/json", None]
)
def test_another_type_than_json_is_unsupported(gate: Machine, kind: str | None) -> None:
    for route in ROUTES:
        assert send(gate, route, b'{"key": "dw_x"}', kind) == (415, "UNSUPPORTED_TYPE")


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON"])
def test_json_by_its_other_spellings_is_read(gate: Machine, kind: str) -> None:
    assert send(gate, VERIFY, b'{"key": "dw_x"}', kind) == (200, None)


def test_ten_megabytes_are_too_large(gate: Machine) -> None:
    for route in ROUTES:
        assert send(gate, route, b'{"key": "' + b"x" * 10_000_000 + b'"}') == (413, "TOO_LARGE")
