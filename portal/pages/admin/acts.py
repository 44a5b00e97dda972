"""/admin/acts/<user>: acts on an account that want nothing but a reason, each after its preview, as at the desk."""

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
    if not isinstance(answer, Done):
        return render_template("admin/acts/show.html", asked=answer), answer.status
    if answer.link is not None:
        return render_template("admin/acts/link.html", user_id=user_id, link=answer.link)
    flash(answer.words, "green")
    return redirect(url_for("admin.users.show", user_id=user_id))


@blueprint.route("/<uuid:user_id>/resend", methods=["GET", "POST"])
@requires(Capability.CONFIRMATION_RESEND)
def resend(user_id: UUID) -> ResponseReturnValue:
    """Have the mail that confirms the address sent again."""
    return _walk(act_access.RESEND, user_id)


@blueprint.route("/<uuid:user_id>/unlock", methods=["GET", "POST"])
@requires(Capability.ACCOUNT_UNLOCK)
def unlock(user_id: UUID) -> ResponseReturnValue:
    """Lift a lock, forget tries that went wrong."""
    return _walk(act_access.UNLOCK, user_id)


@blueprint.route("/<uuid:user_id>/reset-password", methods=["GET", "POST"])
@requires(Capability.RESET_MAIL)
def reset_password(user_id: UUID) -> ResponseReturnValue:
    """Have a reset link mailed; without mail it is shown here, once."""
    return _walk(act_access.RESET_PASSWORD, user_id)


@blueprint.route("/<uuid:user_id>/reset-today", methods=["GET", "POST"])
@requires(Capability.USAGE_RESET)
def reset_today(user_id: UUID) -> ResponseReturnValue:
    """Give today's limit back."""
    return _walk(act_limits.RESET_TODAY, user_id)


@blueprint.route("/<uuid:user_id>/reactivate", methods=["GET", "POST"])
@requires(Capability.USER_SUSPEND)
def reactivate(user_id: UUID) -> ResponseReturnValue:
    """Let the user in again."""
    return _walk(act_access.REACTIVATE, user_id)


@blueprint.route("/<uuid:user_id>/plan/take-back", methods=["GET", "POST"])
@requires(Capability.PLAN_CHANGE)
def take_back(user_id: UUID) -> ResponseReturnValue:
    """Take a coming plan back."""
    return _walk(act_limits.TAKE_BACK, user_id)


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
