"""/admin/plans: see, make, change and delete plans."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import HiddenField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, NumberRange, Optional, ValidationError

from portal.core import settings
from portal.core.access import Capability
from portal.core.errors import Invalid
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.usage.models import Plan
from portal.usage.plans import PlanTerms, create_plan, delete_plan, edit_plan, list_plans, plan_record
from portal.usage.prices import parse_prices, write_prices
from portal.web.forms import WholeNumberField, told_beside, version_of
from portal.web.gates import requires
from portal.web.identity import actor

blueprint = Blueprint("plans", __name__, url_prefix="/plans")
BOUNDS = NumberRange(0, 1_000_000, words("A whole number from 0 to 1,000,000."))
NEEDED = InputRequired(words("A whole number from 0 to 1,000,000."))
MOST_TEXT = 20_000


class PlanForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """What a plan grants."""

    version = HiddenField(default="0")
    name = StringField(words("Name"), [InputRequired(words("Give the plan a name."))])
    daily_limit = WholeNumberField(words("Conversations a day"), [Optional(), BOUNDS])
    rate_per_minute = WholeNumberField(words("Calls a minute"), [Optional(), BOUNDS])
    credits_per_month = WholeNumberField(words("Credits a month"), [NEEDED, BOUNDS], default=0)
    key_count = WholeNumberField(words("Keys"), [NEEDED, BOUNDS], default=5)
    retention_days = WholeNumberField(words("Days for which logs are kept"), [Optional(), BOUNDS])
    prices = TextAreaField(words("Prices"), [Length(max=MOST_TEXT)])

    def validate_prices(self, field: TextAreaField) -> None:
        """Tell a wrong line together with whatever else is wrong."""
        try:
            parse_prices((field.data or "").splitlines())
        except Invalid as error:
            raise ValidationError(str(error.fields["prices"])) from None


class DeleteForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """Nothing but the token."""


def _terms(form: PlanForm) -> PlanTerms:
    return PlanTerms(
        name=form.name.data.strip(),
        daily_limit=form.daily_limit.data,
        credits_per_month=form.credits_per_month.data,
        rate_per_minute=form.rate_per_minute.data,
        key_count=form.key_count.data,
        retention_days=form.retention_days.data,
        prices=parse_prices((form.prices.data or "").splitlines()),
    )


def _written(plan: Plan) -> dict[str, object]:
    """The terms as the form shows them."""
    names = ("version", "name", "daily_limit", "rate_per_minute", "credits_per_month", "key_count", "retention_days")
    return {**{name: getattr(plan, name) for name in names}, "prices": write_prices(plan.prices)}


def default_days() -> int:
    """For how long logs are kept where a plan says nothing."""
    return settings.current().log_retention_days


@blueprint.get("")
@requires(Capability.PLAN_READ)
def index() -> ResponseReturnValue:
    """All plans."""
    who = actor()
    return render_template(
        "admin/plans/index.html",
        plans=list_plans(who),
        may_write=who.may(Capability.PLAN_WRITE),
        default_days=default_days(),
    )


@blueprint.route("/new", methods=["GET", "POST"])
@requires(Capability.PLAN_WRITE)
def new() -> ResponseReturnValue:
    """Make a plan."""
    form = PlanForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            create_plan(actor(), _terms(form))
        if attempt.done:
            flash(gettext("The plan is made."), "green")
            return redirect(url_for("admin.plans.index"))
    page = render_template("admin/plans/edit.html", default_days=default_days(), form=form, plan=None, delete_form=None)
    return page, 422 if form.is_submitted() else 200


@blueprint.route("/<uuid:plan_id>", methods=["GET", "POST"])
@requires(Capability.PLAN_WRITE)
def edit(plan_id: UUID) -> ResponseReturnValue:
    """Change a plan; it is felt by the next call."""
    plan = plan_record(actor(), plan_id)
    form = PlanForm(data=_written(plan))
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            edit_plan(actor(), plan_id, _terms(form), version=version_of(form.version.data))
        if attempt.done:
            flash(gettext("Saved. It holds from the next call on."), "green")
            return redirect(url_for("admin.plans.index"))
    page = render_template(
        "admin/plans/edit.html",
        default_days=default_days(),
        form=form,
        plan=plan,
        delete_form=DeleteForm(formdata=None),
    )
    return page, 422 if form.is_submitted() else 200


@blueprint.post("/<uuid:plan_id>/delete")
@requires(Capability.PLAN_WRITE)
def delete(plan_id: UUID) -> ResponseReturnValue:
    """Remove a plan that nobody has."""
    plan = plan_record(actor(), plan_id)
    form = DeleteForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            delete_plan(actor(), plan_id)
        if attempt.done:
            flash(gettext("The plan is deleted."), "green")
            return redirect(url_for("admin.plans.index"))
    shown = PlanForm(formdata=None, data=_written(plan))
    return render_template(
        "admin/plans/edit.html", default_days=default_days(), form=shown, plan=plan, delete_form=form
    ), 422
