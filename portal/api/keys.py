"""POST /api/v1/keys/verify: is this key good, and may it spend?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from flask import Blueprint, Response

from portal.api.bodies import check_text, read_body
from portal.core.access import Capability
from portal.keys.verify import Answer, Question, verify
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.problems import json_response

if TYPE_CHECKING:
    from portal.usage.spending import Standing

blueprint = Blueprint("keys", __name__, url_prefix="/keys")
Units = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


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


@blueprint.post("/verify")
@requires(Capability.KEY_VERIFY)
def verify_key() -> Response:
    """Check and spend; always 200 when the question could be answered."""
    asked = read_body(VerifyShape)
    answer = verify(
        actor(),
        Question(
            key=check_text("/key", asked.key, 400),
            conversations=asked.cost.conversations,
            credits=asked.cost.credits,
            scopes=tuple(asked.scopes),
            ip=asked.ip,
            model=check_text("/model", asked.model.strip().lower(), 80),
        ),
    )
    return json_response(shape_of(answer))


def shape_of(answer: Answer) -> dict[str, Any]:
    """The answer as the contract has it."""
    shape: dict[str, Any] = {
        "valid": answer.valid,
        "code": answer.code,
        "decision_id": str(answer.decision_id),
    }
    if answer.key is not None:
        shape |= {
            "key_id": str(answer.key.id),
            "scopes": answer.key.scopes,
            "user": {"id": str(answer.key.user_id), "username": answer.key.username, "plan": answer.key.plan},
        }
        if answer.code == "ACCOUNT_DELETED":
            shape["user"] = {"id": str(answer.key.user_id), "username": None, "plan": answer.key.plan}
    if answer.standing is not None:
        shape |= standing_shape(answer.standing)
    return shape


def standing_shape(standing: Standing) -> dict[str, Any]:
    """What is left and when it resets."""
    return {
        "daily": {
            "limit": standing.limit,
            "used": standing.used,
            "remaining": standing.remaining,
            "resets_at": standing.resets_at.isoformat(),
            "time_zone": standing.time_zone,
        },
        "credits": {"remaining": standing.credits},
    }
