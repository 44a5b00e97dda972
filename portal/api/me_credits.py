"""/api/v1/me/credits: one's own ledger."""

from __future__ import annotations

from flask import Blueprint, Response, request

from portal.api.credit_shapes import CreditPage, credit_page
from portal.api.describing import describes
from portal.api.list_shapes import PageQuery
from portal.api.lists import asked_limit, check_filters
from portal.api.own import own_id
from portal.core.access import Capability
from portal.usage.credits import list_ledger
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.problems import shape_response

blueprint = Blueprint("me_credits", __name__, url_prefix="/me/credits")


@blueprint.get("")
@requires(Capability.OWN_USAGE)
@describes({200: CreditPage}, query=PageQuery)
def index() -> Response:
    """List what changed your credits."""
    check_filters()
    page = list_ledger(actor(), own_id(), request.args.get("cursor"), size=asked_limit())
    return shape_response(credit_page(page))
