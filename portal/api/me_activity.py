"""/api/v1/me/activity: what one did, what was done to the account, and who looked at it and why."""

from __future__ import annotations

from typing import Annotated

import msgspec
from flask import Blueprint, Response, request

from portal.api.describing import describes
from portal.api.list_shapes import Instant, PageQuery, PageShape
from portal.api.lists import asked_flag, asked_limit, check_filters
from portal.core.access import Capability
from portal.insight.activity import Deed, looks_at_me, own_activity
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.problems import shape_response

blueprint = Blueprint("me_activity", __name__, url_prefix="/me/activity")


class ActivityQuery(PageQuery):
    """With `looks`, not what was done but who else looked at the record or at conversations."""

    looks: bool | msgspec.UnsetType = msgspec.UNSET


class DeedShape(msgspec.Struct):
    """One thing that was done. `who` is null for oneself; of others no address is told."""

    at: Instant
    event: str
    text: Annotated[str, msgspec.Meta(description="The event in a sentence.")]
    who: str | None
    details: list[str]
    reason: str | None
    address: str | None
    refused: bool
    undone: Annotated[bool, msgspec.Meta(description="Whether it was taken back since.")]


class DeedPage(PageShape):
    """What was done, newest first."""

    items: list[DeedShape]


@blueprint.get("")
@requires(Capability.OWN_ACTIVITY)
@describes({200: DeedPage}, query=ActivityQuery)
def index() -> Response:
    """List what was done with one's own account."""
    check_filters("looks")
    listed = looks_at_me if asked_flag("looks") else own_activity
    page = listed(actor(), request.args.get("cursor"), size=asked_limit())
    return shape_response(DeedPage(page.next_cursor, [_shape(deed) for deed in page.items]))


def _shape(deed: Deed) -> DeedShape:
    return DeedShape(
        at=deed.at.isoformat(),
        event=deed.event,
        text=str(deed.sentence),
        who=deed.who,
        details=[str(detail) for detail in deed.details],
        reason=deed.reason,
        address=deed.address,
        refused=deed.refused,
        undone=deed.undone,
    )
