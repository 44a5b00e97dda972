"""/api/v1/keys: verify, verify-many, leaked, self."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import orjson
from flask import Blueprint, Response, request

from portal.api.bodies import check_json, check_model, check_text, decode, json_body, read_body
from portal.api.describing import describes
from portal.api.repeating import answer_of, repeat_here
from portal.api.shapes import answer_shape
from portal.api.spending_shapes import KeyDecisionShape, KeyDecisionsShape, OwnKeyShape, ReceivedShape
from portal.core.access import Capability
from portal.core.errors import Invalid, Unauthenticated
from portal.core.text import gettext
from portal.keys.leaked import report_leaked
from portal.keys.verify import Answer, Question, own_state, verify
from portal.repeats.service import Replay
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.problems import json_response

if TYPE_CHECKING:
    from portal.core.actor import Actor
    from portal.repeats.service import Repeat

blueprint = Blueprint("keys", __name__, url_prefix="/keys")
# For callers without a client token.
open_blueprint = Blueprint("open_keys", __name__, url_prefix="/keys")
Units = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
MOST_QUESTIONS = 100
MOST_SCOPES = 50
MOST_SCOPE = 100


class CostShape(msgspec.Struct, forbid_unknown_fields=True):
    """What to spend."""

    conversations: Units = 1
    credits: Units | None = None


class VerifyShape(msgspec.Struct, forbid_unknown_fields=True):
    """The question."""

    key: str
    cost: CostShape = msgspec.field(default_factory=CostShape)
    scopes: list[str] = msgspec.field(default_factory=list)
    ip: str | None = None
    model: str = ""


class ManyShape(msgspec.Struct, forbid_unknown_fields=True):
    """Several questions."""

    items: list[VerifyShape]


class LeakedShape(msgspec.Struct, forbid_unknown_fields=True):
    """A key that somebody found."""

    key: str


def check_scopes(where: str, scopes: list[str]) -> tuple[str, ...]:
    """The scopes of a question, few and short: a refusal keeps those that were missing. Raises Invalid."""
    if len(scopes) > MOST_SCOPES:
        raise Invalid({f"{where}/scopes": gettext("At most %(most)s.", most=MOST_SCOPES)})
    return tuple(check_text(f"{where}/scopes/{place}", scope, MOST_SCOPE) for place, scope in enumerate(scopes))


def _question(asked: VerifyShape, where: str = "") -> Question:
    return Question(
        key=asked.key,  # whatever it is: one that is none is unknown
        conversations=asked.cost.conversations,
        credits=asked.cost.credits,
        scopes=check_scopes(where, asked.scopes) if asked.scopes else (),
        ip=None if asked.ip is None else check_text(f"{where}/ip", asked.ip, 100),
        model=check_model(f"{where}/model", asked.model) if asked.model else "",
    )


def _one_face(answers: list[Answer]) -> bytes:
    return orjson.dumps(answer_shape(answers[0]))


def _many_face(answers: list[Answer]) -> bytes:
    return orjson.dumps({"items": [answer_shape(answer) for answer in answers]})


def answer_verify(who: Actor, body: bytes, repeat: Repeat | None) -> bytes | Replay:
    """The answer to one question."""
    made = verify(who, [_question(decode(VerifyShape, body))], repeat=repeat, face=_one_face)
    return made if isinstance(made, Replay) else _one_face(made)


def answer_verify_many(who: Actor, body: bytes, repeat: Repeat | None) -> bytes | Replay:
    """The answers to several questions, in their order; a bare array of them will do."""
    if body.lstrip()[:1] == b"[":
        check_json(body)
        body = b'{"items":' + body + b"}"
    asked = decode(ManyShape, body).items
    if not 1 <= len(asked) <= MOST_QUESTIONS:
        raise Invalid({"/items": gettext("Send 1 to %(most)s questions.", most=MOST_QUESTIONS)})
    questions = [_question(one, f"/items/{place}") for place, one in enumerate(asked)]
    made = verify(who, questions, repeat=repeat, face=_many_face)
    return made if isinstance(made, Replay) else _many_face(made)


@blueprint.post("/verify")
@requires(Capability.KEY_VERIFY)
@describes(
    {200: KeyDecisionShape},
    body=VerifyShape,
    repeats=True,
    example={"key": "dw_…", "cost": {"conversations": 1}, "scopes": ["chat"]},
    shown={"valid": False, "code": "KEY_UNKNOWN", "decision_id": "…"},
)
def verify_key() -> Response:
    """Check a key and spend; always 200 when the question could be answered."""
    return answer_of(answer_verify(actor(), json_body(), repeat_here()))


@blueprint.post("/verify-many")
@requires(Capability.KEY_VERIFY)
@describes(
    {200: KeyDecisionsShape},
    body=ManyShape,
    repeats=True,
    example={"items": [{"key": "dw_…"}]},
    shown={"items": [{"valid": False, "code": "KEY_UNKNOWN", "decision_id": "…"}]},
)
def verify_keys() -> Response:
    """Up to 100 questions, answered in their order and committed together."""
    return answer_of(answer_verify_many(actor(), json_body(), repeat_here()))


@open_blueprint.post("/leaked")
@describes({202: ReceivedShape}, body=LeakedShape, example={"key": "dw_…"}, shown={"status": "received"})
def take_leaked() -> Response:
    """Whoever finds a key may hand it in; the answer is the same whether or not it is one."""
    found = read_body(LeakedShape)
    report_leaked(actor(), check_text("/key", found.key, 400).strip())
    return json_response({"status": "received"}, 202)


@open_blueprint.get("/self")
@describes({200: OwnKeyShape}, by_key=True, errors=(401,))
def show_self() -> Response:
    """State and limits of the key that asks; spends nothing. The key is the credential of this one route."""
    kind, _, told = request.headers.get("Authorization", "").partition(" ")
    secret = told.strip() if kind.lower() == "bearer" else request.headers.get("X-API-Key", "").strip()
    answer = own_state(actor(), secret[:400])
    if answer.key is None:
        raise Unauthenticated
    shape = answer_shape(answer)
    del shape["decision_id"]
    key = answer.key
    shape["expires_at"] = key.expires_at.isoformat() if key.expires_at else None
    return json_response(shape)
