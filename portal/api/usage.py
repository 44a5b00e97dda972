"""/api/v1/usage: consume, refund, leases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import orjson
from flask import Blueprint, Response

from portal.api.bodies import check_model, check_text, decode, json_body, read_body
from portal.api.describing import describes
from portal.api.keys import CostShape, Units, check_scopes
from portal.api.repeating import answer_of, answer_once, repeat_here
from portal.api.shapes import settled_shape, taken_shape, user_shape, verdict_shape
from portal.api.spending_shapes import DecisionShape, LeaseAnswerShape, RefundedShape, SettledShape
from portal.core.access import Capability
from portal.core.errors import Invalid
from portal.core.ids import parse_id
from portal.core.text import folded, gettext
from portal.keys.leasing import lease_for_key
from portal.keys.verify import Question
from portal.repeats.service import Replay
from portal.usage.consuming import Consumed, Wanted, consume
from portal.usage.leases import Taken, lease_for_user, settle_lease
from portal.usage.refunds import refund
from portal.web.gates import requires
from portal.web.identity import actor

if TYPE_CHECKING:
    from portal.core.actor import Actor
    from portal.repeats.service import Repeat

blueprint = Blueprint("usage", __name__, url_prefix="/usage")


class ConsumeShape(msgspec.Struct, forbid_unknown_fields=True):
    """Whose units, and how many."""

    user_id: str | None = None
    username: str | None = None
    cost: CostShape = msgspec.field(default_factory=CostShape)
    model: str = ""


class RefundShape(msgspec.Struct, forbid_unknown_fields=True):
    """The decision to take back; a lost lease by its id."""

    decision_id: str
    reason: str = ""


class LeaseShape(msgspec.Struct, forbid_unknown_fields=True):
    """The block that is wanted."""

    key: str | None = None
    user_id: str | None = None
    username: str | None = None
    scopes: list[str] = msgspec.field(default_factory=list)
    ip: str | None = None
    conversations: Units = 0
    credits: Units = 0
    ttl_s: int = 60
    model: str = ""


class UsedShape(msgspec.Struct, forbid_unknown_fields=True):
    """What was used of each kind."""

    conversations: Units = 0
    credits: Units = 0


class SettleShape(msgspec.Struct, forbid_unknown_fields=True):
    """What was used so far; a bare number counts conversations."""

    used: UsedShape | Units
    final: bool = True


def _face(consumed: Consumed) -> bytes:
    shape = verdict_shape(consumed.verdict)
    if consumed.budget is not None:
        shape["user"] = user_shape(consumed.budget, consumed.verdict.code)
    return orjson.dumps(shape)


def _lease_face(taken: Taken) -> bytes:
    return orjson.dumps(taken_shape(taken))


def _wanted(user_id: str | None, username: str | None, conversations: int, credits: int | None, model: str) -> Wanted:
    return Wanted(
        user_id=None if user_id is None else _user_id(user_id),
        username=None if username is None else folded(check_text("/username", username, 200).strip()),
        conversations=conversations,
        credits=credits,
        model=check_model("/model", model),
    )


def _user_id(text: str) -> UUID:
    made = parse_id(text)
    if made is None:
        raise Invalid({"/user_id": gettext("This is not an id.")})
    return made


def answer_consume(who: Actor, told: bytes, repeat: Repeat | None) -> bytes | Replay:
    """The answer to one spending without a key."""
    body = decode(ConsumeShape, told)
    if (body.user_id is None) == (body.username is None):
        raise Invalid({"/user_id": gettext("Give either user_id or username.")})
    wanted = _wanted(body.user_id, body.username, body.cost.conversations, body.cost.credits, body.model)
    made = consume(who, wanted, repeat=repeat, face=_face)
    return made if isinstance(made, Replay) else _face(made)


@blueprint.post("/consume")
@requires(Capability.USAGE_CONSUME)
@describes(
    {200: DecisionShape},
    body=ConsumeShape,
    repeats=True,
    example={"username": "alice", "cost": {"conversations": 1}},
    shown={"valid": True, "code": "VALID", "…": "…"},
)
def consume_units() -> Response:
    """Spend for a user by id or username; always 200 when the question could be answered."""
    return answer_of(answer_consume(actor(), json_body(), repeat_here()))


@blueprint.post("/refund")
@requires(Capability.USAGE_CONSUME)
@describes({200: RefundedShape}, body=RefundShape, repeats=True, errors=(404, 409))
def refund_decision() -> Response:
    """Take a decision back, once."""
    body = read_body(RefundShape)
    decision_id = check_text("/decision_id", body.decision_id, 600)

    def make() -> dict[str, Any]:
        made = refund(actor().because(check_text("/reason", body.reason, 500)), decision_id)
        return {
            "decision_id": decision_id,
            "user_id": str(made.user_id),
            "refunded": {"conversations": made.conversations, "credits": made.credits},
        }

    return answer_once(make)


@blueprint.post("/leases")
@requires(Capability.USAGE_LEASE)
@describes(
    {200: LeaseAnswerShape},
    body=LeaseShape,
    repeats=True,
    example={"username": "alice", "conversations": 5, "ttl_s": 60},
    shown={"valid": True, "code": "VALID", "granted": {"conversations": 5, "credits": 0}, "…": "…"},
)
def open_lease() -> Response:
    """Spend a block in advance; as much of it as there is."""
    body = read_body(LeaseShape)
    named = [name for name in (body.key, body.user_id, body.username) if name is not None]
    if len(named) != 1:
        raise Invalid({"/key": gettext("Give one of key, user_id and username.")})
    if body.key is None and (body.scopes or body.ip is not None):
        raise Invalid({"/scopes" if body.scopes else "/ip": gettext("Only a key is checked for this.")})
    made: Taken | Replay
    if body.key is not None:
        question = Question(
            key=body.key,
            conversations=body.conversations,
            credits=body.credits,
            scopes=check_scopes("", body.scopes),
            ip=None if body.ip is None else check_text("/ip", body.ip, 100),
            model=check_model("/model", body.model),
        )
        made = lease_for_key(actor(), question, body.ttl_s, repeat=repeat_here(), face=_lease_face)
    else:
        wanted = _wanted(body.user_id, body.username, body.conversations, body.credits, body.model)
        made = lease_for_user(actor(), wanted, body.ttl_s, repeat=repeat_here(), face=_lease_face)
    return answer_of(made if isinstance(made, Replay) else _lease_face(made))


@blueprint.post("/leases/<uuid:lease_id>/settle")
@requires(Capability.USAGE_LEASE)
@describes({200: SettledShape}, body=SettleShape, repeats=True)
def settle(lease_id: UUID) -> Response:
    """Report what was used; the final report gives the rest back."""
    body = read_body(SettleShape)
    used = (body.used, 0) if isinstance(body.used, int) else (body.used.conversations, body.used.credits)
    return answer_once(lambda: settled_shape(settle_lease(actor(), lease_id, used, final=body.final)))
