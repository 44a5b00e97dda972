"""/api/v1/users/{id}/keys: keys of others, for admins, the desk and clients with the scope."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from flask import Blueprint, Response, request

from portal.api.bodies import read_body
from portal.api.describing import describes
from portal.api.key_shapes import (
    ONCE,
    KeyChange,
    KeyPage,
    KeyQuery,
    KeyShape,
    NewKeyShape,
    NewKeyTerms,
    Rotation,
    changed_terms,
    key_shape,
    new_key_shape,
    new_terms,
)
from portal.api.lists import asked_flag, asked_limit, check_filters
from portal.api.reasons import acting_on, faults_at_header, looking_at
from portal.api.repeating import answer_once
from portal.api.versions import wanted_version, with_version
from portal.core.access import Capability
from portal.keys.managing import change_key_of, create_key_for, managed_key, revoke_key_of, rotate_key_of
from portal.support.keys_seen import see_keys
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.problems import shape_response

if TYPE_CHECKING:
    from portal.keys.models import ApiKey

blueprint = Blueprint("user_keys", __name__, url_prefix="/users/<uuid:user_id>/keys")
WRITES = (Capability.KEY_WRITE, Capability.USER_WRITE)


@blueprint.get("")
@requires(Capability.KEY_READ, Capability.USER_FIND)
@describes({200: KeyPage}, query=KeyQuery, case=True, reason=True)
def index(user_id: UUID) -> Response:
    """List a user's API keys; the desk sees their networks masked."""
    check_filters("ended")
    with faults_at_header():
        who = looking_at(user_id)
    ended, cursor = asked_flag("ended"), request.args.get("cursor")
    seen = see_keys(who, user_id, ended=ended, cursor=cursor, size=asked_limit())
    return shape_response(KeyPage(seen.page.next_cursor, [key_shape(key, whole=seen.whole) for key in seen.page.items]))


@blueprint.post("")
@requires(*WRITES)
@describes({201: NewKeyShape}, body=NewKeyTerms, repeats=True, versioned=True, example={"name": "For the robot"})
def make(user_id: UUID) -> Response:
    """Make an API key for a user; the key itself is told this once."""
    terms, who = new_terms(read_body(NewKeyTerms)), actor()
    answer = answer_once(lambda: new_key_shape(create_key_for(who, user_id, terms)), 201, secret=ONCE)
    return with_version(answer, 1)


@blueprint.patch("/<uuid:key_id>")
@requires(*WRITES)
@describes({200: KeyShape}, body=KeyChange, versioned=True, errors=(409,), example={"daily_limit": 100})
def edit(user_id: UUID, key_id: UUID) -> Response:
    """Change what an API key of a user may be used for, felt by the next call with it."""
    body, who = read_body(KeyChange), actor()
    key = managed_key(who, user_id, key_id)
    version = wanted_version(key.version)
    return _shown(change_key_of(who, user_id, key_id, changed_terms(key, body), version=version))


@blueprint.post("/<uuid:key_id>/rotate")
@requires(*WRITES)
@describes({201: NewKeyShape}, body=Rotation, repeats=True, versioned=True, example={"overlap_s": 3600})
def rotate(user_id: UUID, key_id: UUID) -> Response:
    """Put a new API key of a user in the place of this one, which goes on for a while."""
    body, who = read_body(Rotation), actor()
    answer = answer_once(
        lambda: new_key_shape(rotate_key_of(who, user_id, key_id, overlap_s=body.overlap_s)), 201, secret=ONCE
    )
    return with_version(answer, 1)


@blueprint.delete("/<uuid:key_id>")
@requires(Capability.KEY_WRITE, Capability.KEY_STOP)
@describes({204: None}, versioned=True, case=True, reason=True)
def revoke(user_id: UUID, key_id: UUID) -> Response:
    """Revoke an API key of a user for good."""
    with faults_at_header():
        who = acting_on(user_id)
        wanted_version(managed_key(who, user_id, key_id).version)
        revoke_key_of(who, user_id, key_id)
    return Response(status=204)


def _shown(key: ApiKey) -> Response:
    return with_version(shape_response(key_shape(key)), key.version)
