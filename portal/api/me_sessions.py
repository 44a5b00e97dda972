"""/api/v1/me/sessions: where one is signed in, by browser or by program, and ending that."""

from __future__ import annotations

from uuid import UUID

import msgspec
from flask import Blueprint, Response, request

from portal.api.describing import describes
from portal.api.list_shapes import Instant, PageQuery, PageShape
from portal.api.lists import asked_limit, check_filters
from portal.core.access import Capability
from portal.signin.ending import end_other_sessions
from portal.signin.sign_ins import SignIn, end_own_sign_in, own_sign_ins
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.problems import shape_response

blueprint = Blueprint("me_sessions", __name__, url_prefix="/me/sessions")


class SessionShape(msgspec.Struct):
    """A browser, or a program with tokens, that is signed in; `current` is the one that asks."""

    id: str
    device: str
    address: str | None
    created_at: Instant
    last_seen_at: Instant
    current: bool


class SessionPage(PageShape):
    """Where one is signed in, begun last first."""

    items: list[SessionShape]


@blueprint.get("")
@requires(Capability.OWN_SESSIONS)
@describes({200: SessionPage}, query=PageQuery)
def index() -> Response:
    """List where one is signed in."""
    check_filters()
    who = actor()
    page = own_sign_ins(who, request.args.get("cursor"), size=asked_limit())
    return shape_response(SessionPage(page.next_cursor, [_shape(one, who.session_id) for one in page.items]))


@blueprint.delete("")
@requires(Capability.OWN_SESSIONS)
@describes({204: None})
def end_others() -> Response:
    """Sign out everywhere but here."""
    end_other_sessions(actor())
    return Response(status=204)


@blueprint.delete("/<uuid:session_id>")
@requires(Capability.OWN_SESSIONS)
@describes({204: None})
def end(session_id: UUID) -> Response:
    """Sign out one browser or program."""
    end_own_sign_in(actor(), session_id)
    return Response(status=204)


def _shape(one: SignIn, current: UUID | None) -> SessionShape:
    return SessionShape(
        id=str(one.id),
        device=one.device,
        address=one.address,
        created_at=one.created_at.isoformat(),
        last_seen_at=one.last_seen_at.isoformat(),
        current=one.id == current,
    )
