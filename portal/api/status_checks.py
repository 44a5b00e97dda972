"""/api/v1/status-checks: signs of life, posted and listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from flask import Blueprint, Response, request

from portal.api.bodies import read_body
from portal.api.describing import describes
from portal.api.list_shapes import PageQuery, PageShape
from portal.api.lists import asked_limit, check_filters
from portal.api.repeating import answer_once
from portal.clients.status_checks import list_status_checks, post_status_check
from portal.core.access import Capability
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.problems import json_response

if TYPE_CHECKING:
    from portal.clients.models import StatusCheck

blueprint = Blueprint("status_checks", __name__, url_prefix="/status-checks")


class NewCheck(msgspec.Struct, forbid_unknown_fields=True):
    """A sign of life."""

    client_name: str
    note: str | None = None


class CheckShape(msgspec.Struct):
    """A sign of life, written down."""

    id: str
    client_name: str
    note: str | None
    created_at: str


class CheckPage(PageShape):
    """Signs of life, newest first."""

    items: list[CheckShape]


@blueprint.post("")
@requires(Capability.STATUS_WRITE)
@describes(
    {201: CheckShape},
    body=NewCheck,
    repeats=True,
    errors=(409,),
    example={"client_name": "importer", "note": "12 files"},
    shown={"id": "…", "client_name": "importer", "note": "12 files", "created_at": "…"},
)
def post_check() -> Response:
    """Write down a sign of life."""
    body = read_body(NewCheck)
    return answer_once(lambda: _item(post_status_check(actor(), body.client_name, body.note)), 201)


@blueprint.get("")
@requires(Capability.STATUS_READ)
@describes({200: CheckPage}, query=PageQuery)
def list_checks() -> Response:
    """Signs of life, newest first."""
    check_filters()
    page = list_status_checks(actor(), request.args.get("cursor"), size=asked_limit())
    return json_response({"items": [_item(check) for check in page.items], "next_cursor": page.next_cursor})


def _item(check: StatusCheck) -> dict[str, Any]:
    return {
        "id": str(check.id),
        "client_name": check.client_name,
        "note": check.note,
        "created_at": check.created_at.isoformat(),
    }
