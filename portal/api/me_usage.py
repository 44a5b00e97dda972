"""/api/v1/me/usage: how one stands oneself and what was used."""

from __future__ import annotations

from flask import Blueprint, Response

from portal.api.describing import describes
from portal.api.own import own_id
from portal.api.usage_shapes import UsageQuery, UsageShape, asked_span, usage_shape
from portal.core.access import Capability
from portal.insight.user_usage import user_usage
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.problems import shape_response

blueprint = Blueprint("me_usage", __name__, url_prefix="/me/usage")


@blueprint.get("")
@requires(Capability.OWN_USAGE)
@describes({200: UsageShape}, query=UsageQuery)
def show() -> Response:
    """Show how you stand and what was used."""
    return shape_response(usage_shape(user_usage(actor(), own_id(), span=asked_span())))
