"""/api/v1/users: found, invited, changed, suspended, deleted and restored, for admins, staff and service clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from flask import Blueprint, Response, request

from portal.accounts import lifecycle
from portal.accounts.directory import SORTS, UserFilter, list_users, user_record
from portal.accounts.models import State
from portal.api.bodies import read_body
from portal.api.describing import describes
from portal.api.lists import asked_limit, check_filters
from portal.api.reasons import acting_on, faults_at_header, looking_at
from portal.api.repeating import answer_once
from portal.api.user_shapes import (
    InvitedShape,
    NewUser,
    UserChange,
    UserPage,
    UserQuery,
    UserShape,
    invited_shape,
    user_shape,
)
from portal.api.versions import wanted_version, with_version
from portal.core.access import Capability
from portal.core.errors import Invalid
from portal.core.text import gettext
from portal.privacy.deletion import delete_user, restore_user
from portal.signin.registration import NewPerson, invite_user
from portal.support.record import open_user, seen_user
from portal.support.search import search_desk
from portal.usage.plan_changes import change_plan
from portal.usage.plans import default_plan, plan_chosen
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.problems import shape_response

if TYPE_CHECKING:
    from collections.abc import Iterable

    from portal.accounts.models import User
    from portal.core.actor import Actor
    from portal.support.record import UserSeen

blueprint = Blueprint("users", __name__, url_prefix="/users")
LISTED = [state.value for state in State if state is not State.DELETED]
# Told this once: a repeat of the call is answered without it.
ONCE = "activation_url"
RECORD = ("display_name", "email", "time_zone", "daily_limit_override")


@blueprint.get("")
@requires(Capability.USER_READ, Capability.USER_FIND)
@describes({200: UserPage}, query=UserQuery)
def index() -> Response:
    """List users, or find one."""
    who = actor()
    if not who.may(Capability.USER_READ):
        return _found(who)
    check_filters("q", "state", "plan", "sort")
    wanted = UserFilter(
        search=_typed("q"), state=_one_of("state", LISTED), plan_id=_plan(), sort=_one_of("sort", SORTS)
    )
    page = list_users(who, wanted, request.args.get("cursor"), size=asked_limit())
    users = [user_shape(seen_user(who, user)) for user in page.items]
    return shape_response(UserPage(items=users, next_cursor=page.next_cursor))


def _found(who: Actor) -> Response:
    """What the desk's search box finds: whoever sees records masked lists nobody."""
    check_filters("q")
    if not (search := _typed("q")):
        raise Invalid({"/q": gettext("Say whom you look for.")})
    hits = search_desk(who, search, most=min(asked_limit(), 20))
    users = [user_shape(seen_user(who, user_record(who, hit.id))) for hit in hits]
    return shape_response(UserPage(items=users, next_cursor=None))


def _typed(name: str) -> str:
    return request.args.get(name, "")[:200].replace("\0", "").strip()


def _one_of(name: str, known: Iterable[str]) -> str:
    given = request.args.get(name)
    if given is not None and given not in known:
        raise Invalid({f"/{name}": gettext("One of %(known)s.", known=", ".join(known))})
    return given or ("-created" if name == "sort" else "")


def _plan() -> UUID | None:
    given = request.args.get("plan")
    return None if given is None else plan_chosen(given).id


@blueprint.post("")
@requires(Capability.USER_WRITE)
@describes(
    {201: InvitedShape},
    body=NewUser,
    repeats=True,
    versioned=True,
    errors=(429,),
    example={"username": "grace", "email": "grace@example.org", "display_name": "Grace", "deliver": "return"},
)
def invite() -> Response:
    """Invite a user, who sets the own password by link."""
    body, who = read_body(NewUser), actor()
    person = NewPerson(body.username, body.email, body.display_name, body.time_zone, body.language)
    by_mail = body.deliver == "mail"

    def make() -> InvitedShape:
        plan = default_plan() if body.plan is msgspec.UNSET else plan_chosen(body.plan)
        invited = invite_user(who, person, plan_id=plan.id, by_mail=by_mail)
        return invited_shape(seen_user(who, invited.account), invited.link)

    return with_version(answer_once(make, 201, secret=ONCE), 1)


@blueprint.get("/<uuid:user_id>")
@requires(Capability.USER_READ, Capability.USER_FIND)
@describes({200: UserShape}, versioned=True, reason=True, case=True)
def show(user_id: UUID) -> Response:
    """Show a user, masked as the caller's level wants it."""
    return _answer(open_user(looking_at(user_id), user_id))


@blueprint.patch("/<uuid:user_id>")
@requires(Capability.USER_WRITE, Capability.PLAN_CHANGE)
@describes(
    {200: UserShape}, body=UserChange, versioned=True, reason=True, case=True, example={"display_name": "Grace H."}
)
def edit(user_id: UUID) -> Response:
    """Change a user's record, limit or plan."""
    body, there = read_body(UserChange), _as_asked(user_id)
    who = acting_on(user_id)
    if body.plan is not msgspec.UNSET:
        with faults_at_header():
            change_plan(who, user_id, plan_chosen(body.plan).id, starts=body.plan_starts)
    if any(getattr(body, name) is not msgspec.UNSET for name in RECORD):
        lifecycle.edit_user(
            who,
            user_id,
            version=there.version,
            **{name: _given(getattr(body, name), getattr(there, name)) for name in RECORD},
        )
    return _answer(seen_user(who, there))


def _given(said: Any, there: Any) -> Any:
    return there if said is msgspec.UNSET else said


@blueprint.delete("/<uuid:user_id>")
@requires(Capability.USER_DELETE)
@describes({204: None}, versioned=True, reason=True)
def delete(user_id: UUID) -> Response:
    """Delete a user, who can be restored until the purge."""
    _as_asked(user_id)
    with faults_at_header():
        delete_user(acting_on(user_id), user_id, typed_name=None)
    return Response(status=204)


@blueprint.post("/<uuid:user_id>/suspend")
@requires(Capability.USER_WRITE, Capability.USER_SUSPEND)
@describes({200: UserShape}, versioned=True, reason=True, case=True, errors=(409,))
def suspend(user_id: UUID) -> Response:
    """Stop a user: sessions and tokens are over, keys are refused."""
    user = _as_asked(user_id)
    with faults_at_header():
        lifecycle.suspend(who := acting_on(user_id), user_id)
    return _answer(seen_user(who, user))


@blueprint.post("/<uuid:user_id>/reactivate")
@requires(Capability.USER_WRITE, Capability.USER_SUSPEND)
@describes({200: UserShape}, versioned=True, reason=True, case=True, errors=(409,))
def reactivate(user_id: UUID) -> Response:
    """Let a suspended user in again, or keep one who was leaving."""
    user = _as_asked(user_id)
    with faults_at_header():
        lifecycle.reactivate(who := acting_on(user_id), user_id)
    return _answer(seen_user(who, user))


@blueprint.post("/<uuid:user_id>/restore")
@requires(Capability.USER_DELETE, Capability.USER_RESTORE)
@describes({200: UserShape}, versioned=True, reason=True, case=True, errors=(409,))
def restore(user_id: UUID) -> Response:
    """Take a deletion back; sessions, tokens and keys of before stay dead."""
    with faults_at_header():
        user = restore_user(who := acting_on(user_id), user_id)
    return _answer(seen_user(who, user))


def _as_asked(user_id: UUID) -> User:
    """The user, if they are still in the version that If-Match names. Raises NotFound, Stale."""
    user = user_record(actor(), user_id)
    wanted_version(user.version)
    return user


def _answer(user: UserSeen) -> Response:
    return with_version(shape_response(user_shape(user)), user.version)
