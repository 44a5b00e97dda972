"""/admin/usage: what everybody used, what one user used, and why a call was refused."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from portal.core.access import Capability
from portal.core.text import gettext, ngettext
from portal.core.text import lazy_gettext as words
from portal.insight.usage import usage_overview
from portal.insight.user_usage import refusal_list, refusal_story, user_usage
from portal.usage.history import last_months
from portal.usage.refunds import refund_lease
from portal.usage.refusal_reading import find_refusal, was_allowed
from portal.web.charts import days_chart
from portal.web.forms import told_beside
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.lists import span_of, typed

blueprint = Blueprint("usage", __name__, url_prefix="/usage")


class RefundForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """Why units of a lost lease are given back."""

    reason = StringField(words("Reason"), [InputRequired(words("Say why.")), Length(max=500)])


@blueprint.get("")
@requires(Capability.USER_READ)
def index() -> ResponseReturnValue:
    """All users by day and model, and who and which key used most; a decision id that was typed opens its refusal."""
    wanted = typed("q", most=1000).strip()
    allowed = bool(wanted) and was_allowed(wanted)
    told = find_refusal(actor(), wanted) if wanted and not allowed else None
    if told is not None:
        return redirect(url_for("admin.usage.refusal", user_id=told.user_id, decision_id=told.id))
    return render_template("admin/usage/index.html", overview=usage_overview(actor()), q=wanted, allowed=allowed)


@blueprint.get("/days.json")
@requires(Capability.USER_READ)
def days() -> dict[str, Any]:
    """The last 30 days of all users for the chart."""
    overview = usage_overview(actor())
    return days_chart(overview.days if overview else [])


@blueprint.get("/<uuid:user_id>")
@requires(Capability.USER_READ)
def user(user_id: UUID) -> ResponseReturnValue:
    """What one user used."""
    return _user_page(user_id)


def _user_page(user_id: UUID, status: int = 200, form: RefundForm | None = None) -> tuple[str, int]:
    who = actor()
    usage = user_usage(who, user_id, span=span_of())
    may_refund = who.may(Capability.CREDIT_WRITE)
    page = render_template(
        "admin/usage/user.html", usage=usage, may_refund=may_refund, form=form or RefundForm(formdata=None)
    )
    return page, status


@blueprint.get("/<uuid:user_id>/months.json")
@requires(Capability.USER_READ)
def months(user_id: UUID) -> dict[str, Any]:
    """The last 12 months of one user for the chart."""
    return days_chart(last_months(actor(), user_id))


@blueprint.get("/<uuid:user_id>/refusals")
@requires(Capability.USER_READ)
def refusals(user_id: UUID) -> ResponseReturnValue:
    """One user's refused calls of the last 30 days."""
    listed = refusal_list(actor(), user_id, request.args.get("cursor"))
    return render_template("admin/usage/refusals.html", listed=listed)


@blueprint.get("/<uuid:user_id>/refusals/<uuid:decision_id>")
@requires(Capability.USER_READ)
def refusal(user_id: UUID, decision_id: UUID) -> ResponseReturnValue:
    """Why this call of the user was refused."""
    return render_template("admin/usage/refusal.html", story=refusal_story(actor(), user_id, decision_id))


@blueprint.post("/<uuid:user_id>/leases/<uuid:lease_id>/refund")
@requires(Capability.CREDIT_WRITE)
def refund(user_id: UUID, lease_id: UUID) -> ResponseReturnValue:
    """Give back what a lost lease never reported, once."""
    form = RefundForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            given = refund_lease(actor().because(form.reason.data), lease_id, of_user=user_id)
        if attempt.done:
            count = given.conversations
            told = ngettext("%(num)s conversation was given back.", "%(num)s conversations were given back.", count)
            if given.credits:
                told = gettext("%(told)s And %(credits)s credits.", told=told, credits=f"{given.credits:,}")
            flash(told, "green")
            return redirect(url_for("admin.usage.user", user_id=user_id))
    return _user_page(user_id, 422, form)
