"""/api/v1/me/keys: make, change, rotate, revoke one's own."""

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
from portal.api.repeating import answer_once
from portal.api.versions import wanted_version, with_version
from portal.core.access import Capability
from portal.keys.rotation import rotate_key
from portal.keys.service import change_key, create_key, own_key, own_keys_page, revoke_key
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.problems import shape_response

if TYPE_CHECKING:
    from portal.keys.models import ApiKey

blueprint = Blueprint("me_keys", __name__, url_prefix="/me/keys")


@blueprint.get("")
@requires(Capability.OWN_KEYS)
@describes({200: KeyPage}, query=KeyQuery)
def index() -> Response:
    """List one's own API keys."""
    check_filters("ended")
    page = own_keys_page(actor(), ended=asked_flag("ended"), cursor=request.args.get("cursor"), size=asked_limit())
    return shape_response(KeyPage(page.next_cursor, [key_shape(key) for key in page.items]))


@blueprint.post("")
@requires(Capability.OWN_KEYS)
@describes(
    {201: NewKeyShape},
    body=NewKeyTerms,
    repeats=True,
    versioned=True,
    example={"name": "Notebook", "scopes": ["chat"], "daily_limit": 50},
)
def make() -> Response:
    """Make an API key; the key itself is told this once."""
    terms, who = new_terms(read_body(NewKeyTerms)), actor()
    answer = answer_once(
        lambda: new_key_shape(
            create_key(
                who,
                name=terms.name,
                scopes=terms.scopes,
                expires_at=terms.expires_at,
                networks=terms.networks,
                daily_limit=terms.daily_limit,
            )
        ),
        201,
        secret=ONCE,
    )
    return with_version(answer, 1)


@blueprint.get("/<uuid:key_id>")
@requires(Capability.OWN_KEYS)
@describes({200: KeyShape}, versioned=True)
def show(key_id: UUID) -> Response:
    """Show an API key of one's own."""
    return _shown(own_key(actor(), key_id))


@blueprint.patch("/<uuid:key_id>")
@requires(Capability.OWN_KEYS)
@describes({200: KeyShape}, body=KeyChange, versioned=True, errors=(409,), example={"daily_limit": 100})
def edit(key_id: UUID) -> Response:
    """Change what an API key of one's own may be used for, felt by the next call with it."""
    body, who = read_body(KeyChange), actor()
    key = own_key(who, key_id)
    version = wanted_version(key.version)
    return _shown(change_key(who, key_id, changed_terms(key, body), version=version))


@blueprint.post("/<uuid:key_id>/rotate")
@requires(Capability.OWN_KEYS)
@describes({201: NewKeyShape}, body=Rotation, repeats=True, versioned=True, example={"overlap_s": 3600})
def rotate(key_id: UUID) -> Response:
    """Put a new API key in the place of this one, which goes on for a while."""
    body, who = read_body(Rotation), actor()
    answer = answer_once(lambda: new_key_shape(rotate_key(who, key_id, overlap_s=body.overlap_s)), 201, secret=ONCE)
    return with_version(answer, 1)


@blueprint.delete("/<uuid:key_id>")
@requires(Capability.OWN_KEYS)
@describes({204: None}, versioned=True)
def revoke(key_id: UUID) -> Response:
    """Revoke an API key of one's own for good."""
    who = actor()
    wanted_version(own_key(who, key_id).version)
    revoke_key(who, key_id)
    return Response(status=204)


def _shown(key: ApiKey) -> Response:
    return with_version(shape_response(key_shape(key)), key.version)
