"""/api/v1/me: the account behind the token."""

from __future__ import annotations

from typing import Annotated

import msgspec
from flask import Blueprint, Response

from portal.accounts.directory import own_account
from portal.accounts.preferences import change_profile
from portal.api.account_shapes import AccountShape, account_response
from portal.api.bodies import read_body
from portal.api.describing import describes
from portal.api.versions import wanted_version
from portal.core.access import Capability
from portal.core.languages import LANGUAGES
from portal.web.gates import requires
from portal.web.identity import actor

blueprint = Blueprint("me", __name__, url_prefix="/me")
Language = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(LANGUAGES)})]


class ProfileChange(msgspec.Struct, forbid_unknown_fields=True):
    """What of one's own profile shall change; what is left out stays. A user changes the zone once in seven days."""

    display_name: str | msgspec.UnsetType = msgspec.UNSET
    time_zone: str | msgspec.UnsetType = msgspec.UNSET
    language: Language | msgspec.UnsetType = msgspec.UNSET


@blueprint.get("")
@requires(Capability.OWN_PROFILE)
@describes({200: AccountShape}, versioned=True)
def show() -> Response:
    """Show one's own account."""
    return account_response(own_account(actor()))


@blueprint.patch("")
@requires(Capability.OWN_PROFILE)
@describes({200: AccountShape}, body=ProfileChange, versioned=True, example={"display_name": "Alice A."})
def edit() -> Response:
    """Change one's own profile."""
    body, who = read_body(ProfileChange), actor()
    version = wanted_version(own_account(who).version)
    given = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not msgspec.UNSET}
    return account_response(change_profile(who, **given, version=version))
