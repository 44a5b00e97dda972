"""The same call two ways: through the express lane, and through Flask's gates and views."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from portal.web.frame import Doorward

CHANGING = {"decision_id", "request_id", "used", "remaining"}


class Lanes:
    """The same call through the express lane and through Flask."""

    def __init__(self, app: Doorward) -> None:
        self.app = app

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[TestResponse, TestResponse]:
        """(express, plain); the plain one is made to look unusual by its media type's parameter."""
        kind = headers.get("Content-Type", "application/json")
        plain = {**headers, "Content-Type": f"{kind}; charset=utf-8"}
        client: FlaskClient = self.app.test_client()
        return (
            client.post(path, data=body, headers={"Content-Type": kind, **headers}),
            client.post(path, data=body, headers=plain),
        )


def settled(value: Any) -> Any:
    """The body without what differs between two calls by its nature."""
    if isinstance(value, dict):
        return {name: settled(one) for name, one in value.items() if name not in CHANGING}
    return [settled(one) for one in value] if isinstance(value, list) else value


def same(answers: tuple[TestResponse, TestResponse]) -> TestResponse:
    """The express answer, after a look that the other is the same."""
    express, plain = answers
    assert express.status_code == plain.status_code
    assert settled(express.get_json()) == settled(plain.get_json())
    ignored = {"X-Request-Id", "Content-Length"}
    assert {name: value for name, value in express.headers if name not in ignored} == {
        name: value for name, value in plain.headers if name not in ignored
    }
    return express
