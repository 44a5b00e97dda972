"""What is served side by side: a bare server, a bare Flask, and the product with one route more."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import msgspec
import orjson
from flask import Blueprint, Flask, Response, jsonify

from portal.api import express
from portal.api.bodies import decode, read_body
from portal.core.access import Capability
from portal.serving import worker_app
from portal.web.gates import Audience, guard, requires
from portal.web.problems import json_response

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from portal.core.actor import Actor
    from portal.repeats.service import Repeat

HELLO = b'{"hello":"world"}\n'
PARSE_PATH = "/api/v1/benchmark"
FRAME_PATH = "/api/v1/benchmark-frame"
# As long as what verify says.
FIXED = {
    "valid": None,
    "code": "FIXED",
    "decision_id": str(uuid.UUID(int=1)),
    "key_id": str(uuid.UUID(int=2)),
    "scopes": ["chat"],
    "user": {"id": str(uuid.UUID(int=3)), "username": "alice", "plan": "free"},
    "daily": {
        "limit": 100,
        "used": 13,
        "remaining": 87,
        "resets_at": "2026-11-22T00:00:00+01:00",
        "time_zone": "Europe/Berlin",
    },
    "credits": {"remaining": 1200},
}


class Cost(msgspec.Struct, forbid_unknown_fields=True):
    """As in the question of verify."""

    conversations: int = 1
    credits: int | None = None


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """As verify's."""

    key: str
    cost: Cost = msgspec.field(default_factory=Cost)
    scopes: list[str] = msgspec.field(default_factory=list)
    ip: str | None = None
    model: str = ""


def make_bare() -> WSGIApplication:
    """The server alone, without Flask."""

    def answer(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(HELLO)))])
        return [HELLO]

    return answer


def make_hello() -> Flask:
    """What every ratio is against: one JSON route of a Flask that has nothing else."""
    app = Flask("hello")

    @app.get("/")
    def hello() -> Response:
        return jsonify(hello="world")

    return app


def answer_parse(_who: Actor, body: bytes, _repeat: Repeat | None) -> bytes:
    """What a route of the express lane does at the least."""
    decode(Question, body)
    return orjson.dumps(FIXED)


def make_product() -> Flask:
    """Doorward as a worker of `doorward serve` has it, and two routes that only parse verify's question and answer: one
    in the express lane, as hot routes are, and one that goes the way of all others."""
    app = worker_app()
    blueprint = Blueprint("benchmark", __name__)
    guard(blueprint, Audience.MACHINE)

    @blueprint.post(FRAME_PATH)
    @requires(Capability.KEY_VERIFY)
    def parse() -> Response:
        read_body(Question)
        return json_response(FIXED)

    app.register_blueprint(blueprint)
    express.ROUTES[PARSE_PATH] = express.Route(Capability.KEY_VERIFY, answer_parse)
    return app
