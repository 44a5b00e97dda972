"""/api/v1/users/{id}/credits: the ledger of a user, and what is granted or put right in it."""

from __future__ import annotations

from uuid import UUID

import msgspec
from flask import Blueprint, Response, request

from portal.api.bodies import read_body
from portal.api.credit_shapes import CreditPage, CreditShape, NewCredits, credit_page, credit_shape
from portal.api.describing import describes
from portal.api.list_shapes import PageQuery
from portal.api.lists import asked_limit, check_filters
from portal.api.reasons import acting_on
from portal.api.repeating import answer_once
from portal.core.access import Capability
from portal.usage.credits import adjust_credits, entry_just_made, grant_credits, list_ledger
from portal.web.gates import requires
from portal.web.problems import shape_response

blueprint = Blueprint("user_credits", __name__, url_prefix="/users/<uuid:user_id>/credits")
VERBS = {"grant": grant_credits, "adjust": adjust_credits}


@blueprint.get("")
@requires(Capability.CREDIT_READ, Capability.USER_VIEW_AS)
@describes({200: CreditPage}, query=PageQuery, reason=True, case=True)
def index(user_id: UUID) -> Response:
    """List what changed a user's credits."""
    check_filters()
    page = list_ledger(acting_on(user_id), user_id, request.args.get("cursor"), size=asked_limit())
    return shape_response(credit_page(page))


@blueprint.post("")
@requires(Capability.CREDIT_WRITE, Capability.CREDIT_ADJUST)
@describes(
    {201: CreditShape},
    body=NewCredits,
    repeats=True,
    reason=True,
    case=True,
    errors=(409,),
    example={"kind": "grant", "amount": 250, "reason": "Thanks for the report."},
)
def give(user_id: UUID) -> Response:
    """Grant credits to a user, or put the balance right."""
    body = read_body(NewCredits)
    who = acting_on(user_id, None if body.reason is msgspec.UNSET else body.reason)

    def make() -> CreditShape:
        VERBS[body.kind](who, user_id, body.amount)
        return credit_shape(entry_just_made(who, user_id))

    return answer_once(make, 201)
