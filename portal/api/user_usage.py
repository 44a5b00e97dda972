"""/api/v1/users/{id}/usage: how a user stands and what was used."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response

from portal.api.describing import describes
from portal.api.reasons import looking_at
from portal.api.usage_shapes import UsageQuery, UsageShape, asked_span, usage_shape
from portal.core.access import Capability
from portal.insight.user_usage import user_usage
from portal.web.gates import requires
from portal.web.problems import shape_response

blueprint = Blueprint("user_usage", __name__, url_prefix="/users/<uuid:user_id>/usage")


@blueprint.get("")
@requires(Capability.USER_READ, Capability.USER_FIND)
@describes({200: UsageShape}, query=UsageQuery, reason=True, case=True)
def show(user_id: UUID) -> Response:
    """Show how a user stands and what was used."""
    return shape_response(usage_shape(user_usage(looking_at(user_id), user_id, span=asked_span())))
