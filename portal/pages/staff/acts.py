"""/staff/acts/<user>: what the desk does to an account, each act after its preview, for a reason, in a case."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.core.access import Capability
from portal.web import act_access, act_limits
from portal.web.acts import Act, Done, walk
from portal.web.gates import requires

blueprint = Blueprint("acts", __name__, url_prefix="/acts")


def _walk(act: Act, user_id: UUID) -> ResponseReturnValue:
    answer = walk(act, user_id)
    if isinstance(answer, Done):
        flash(answer.words, "green")
        return redirect(url_for("staff.users.show", user_id=user_id))
    return render_template("staff/acts/show.html", asked=answer), answer.status


@blueprint.route("/<uuid:user_id>/resend", methods=["GET", "POST"])
@requires(Capability.CONFIRMATION_RESEND)
def resend(user_id: UUID) -> ResponseReturnValue:
    """Have the mail that confirms the address sent again; it needs no case."""
    return _walk(act_access.RESEND, user_id)


@blueprint.route("/<uuid:user_id>/unlock", methods=["GET", "POST"])
@requires(Capability.ACCOUNT_UNLOCK)
def unlock(user_id: UUID) -> ResponseReturnValue:
    """Lift a lock, forget tries that went wrong."""
    return _walk(act_access.UNLOCK, user_id)


@blueprint.route("/<uuid:user_id>/reset-password", methods=["GET", "POST"])
@requires(Capability.RESET_MAIL)
def reset_password(user_id: UUID) -> ResponseReturnValue:
    """Have a reset link mailed."""
    return _walk(act_access.RESET_PASSWORD, user_id)


@blueprint.route("/<uuid:user_id>/reset-today", methods=["GET", "POST"])
@requires(Capability.USAGE_RESET)
def reset_today(user_id: UUID) -> ResponseReturnValue:
    """Give today's limit back."""
    return _walk(act_limits.RESET_TODAY, user_id)


@blueprint.route("/<uuid:user_id>/end-sessions", methods=["GET", "POST"])
@requires(Capability.SESSION_STOP)
def end_sessions(user_id: UUID) -> ResponseReturnValue:
    """Sign the user out everywhere."""
    return _walk(act_access.END_SESSIONS, user_id)


@blueprint.route("/<uuid:user_id>/suspend", methods=["GET", "POST"])
@requires(Capability.USER_SUSPEND)
def suspend(user_id: UUID) -> ResponseReturnValue:
    """Stop sessions and keys, from the next request on."""
    return _walk(act_access.SUSPEND, user_id)


@blueprint.route("/<uuid:user_id>/reactivate", methods=["GET", "POST"])
@requires(Capability.USER_SUSPEND)
def reactivate(user_id: UUID) -> ResponseReturnValue:
    """Let the user in again."""
    return _walk(act_access.REACTIVATE, user_id)


@blueprint.route("/<uuid:user_id>/credits", methods=["GET", "POST"])
@requires(Capability.CREDIT_ADJUST)
def credits(user_id: UUID) -> ResponseReturnValue:
    """Put the credits right, within the cap."""
    return _walk(act_limits.CREDITS, user_id)


@blueprint.route("/<uuid:user_id>/plan", methods=["GET", "POST"])
@requires(Capability.PLAN_CHANGE)
def plan(user_id: UUID) -> ResponseReturnValue:
    """Give another plan."""
    return _walk(act_limits.PLAN, user_id)


@blueprint.route("/<uuid:user_id>/plan/take-back", methods=["GET", "POST"])
@requires(Capability.PLAN_CHANGE)
def take_back(user_id: UUID) -> ResponseReturnValue:
    """Take a coming plan back."""
    return _walk(act_limits.TAKE_BACK, user_id)


@blueprint.route("/<uuid:user_id>/boost", methods=["GET", "POST"])
@requires(Capability.LIMIT_BOOST)
def boost(user_id: UUID) -> ResponseReturnValue:
    """Raise the daily limit for a while."""
    return _walk(act_limits.BOOST, user_id)


@blueprint.route("/<uuid:user_id>/boost/end", methods=["GET", "POST"])
@requires(Capability.LIMIT_BOOST)
def end_boost(user_id: UUID) -> ResponseReturnValue:
    """End a boost before its time."""
    return _walk(act_limits.END_BOOST, user_id)


@blueprint.route("/<uuid:user_id>/keys/<uuid:key_id>", methods=["GET", "POST"])
@requires(Capability.KEY_STOP)
def revoke(user_id: UUID, key_id: UUID) -> ResponseReturnValue:
    """Revoke an API key."""
    return _walk(act_access.revoking(key_id), user_id)
