"""/admin/plans: see, make and change plans."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import HiddenField, IntegerField, StringField
from wtforms.validators import InputRequired, NumberRange, Optional

from portal.core.access import Capability
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.usage.models import Plan
from portal.usage.plans import PlanTerms, create_plan, edit_plan, list_plans, plan_record
from portal.web.forms import told_beside, version_of
from portal.web.gates import requires
from portal.web.identity import actor

blueprint = Blueprint("plans", __name__, url_prefix="/plans")
BOUNDS = NumberRange(0, 1_000_000, words("A whole number from 0 to 1,000,000."))
NEEDED = InputRequired(words("A whole number from 0 to 1,000,000."))


class PlanForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """What a plan grants."""

    version = HiddenField(default="0")
    name = StringField(words("Name"), [InputRequired(words("Give the plan a name."))])
    daily_limit = IntegerField(words("Conversations a day"), [Optional(), BOUNDS])
    credits_per_month = IntegerField(words("Credits a month"), [NEEDED, BOUNDS], default=0)
    key_count = IntegerField(words("Keys"), [NEEDED, BOUNDS], default=5)
    retention_days = IntegerField(words("Days for which logs are kept"), [NEEDED, BOUNDS], default=365)


def _terms(form: PlanForm, plan: Plan | None) -> PlanTerms:
    return PlanTerms(
        name=form.name.data.strip(),
        daily_limit=form.daily_limit.data,
        credits_per_month=form.credits_per_month.data,
        rate_per_minute=plan.rate_per_minute if plan else None,
        key_count=form.key_count.data,
        retention_days=form.retention_days.data,
        prices=plan.prices if plan else {},
    )


@blueprint.get("")
@requires(Capability.PLAN_READ)
def index() -> ResponseReturnValue:
    """All plans."""
    who = actor()
    return render_template("admin/plans/index.html", plans=list_plans(who), may_write=who.may(Capability.PLAN_WRITE))


@blueprint.route("/new", methods=["GET", "POST"])
@requires(Capability.PLAN_WRITE)
def new() -> ResponseReturnValue:
    """Make a plan."""
    form = PlanForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            create_plan(actor(), _terms(form, None))
        if attempt.done:
            flash(gettext("The plan is made."), "green")
            return redirect(url_for("admin.plans.index"))
    return render_template("admin/plans/edit.html", form=form, plan=None), 422 if form.is_submitted() else 200


@blueprint.route("/<uuid:plan_id>", methods=["GET", "POST"])
@requires(Capability.PLAN_WRITE)
def edit(plan_id: UUID) -> ResponseReturnValue:
    """Change a plan; it is felt by the next call."""
    plan = plan_record(actor(), plan_id)
    form = PlanForm(obj=plan)
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            edit_plan(actor(), plan_id, _terms(form, plan), version=version_of(form.version.data))
        if attempt.done:
            flash(gettext("Saved. It holds from the next call on."), "green")
            return redirect(url_for("admin.plans.index"))
    return render_template("admin/plans/edit.html", form=form, plan=plan), 422 if form.is_submitted() else 200
