"""/admin/users: list, invite, record, edit, plan, boost, suspend, credits, ledger, delete."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import SelectChoice

from portal.accounts import lifecycle
from portal.accounts.days import zone
from portal.accounts.directory import SORTS, UserFilter, count_users, list_users, user_record
from portal.accounts.names import zones
from portal.core import clock
from portal.core.access import Capability
from portal.core.ids import parse_id
from portal.core.text import gettext
from portal.pages.admin.user_forms import (
    AdjustForm,
    BoostForm,
    CreditForm,
    DeleteForm,
    EditForm,
    InviteForm,
    ReasonForm,
)
from portal.pages.public.register import zone_choices
from portal.privacy.deletion import delete_user, purge_date
from portal.signin.registration import NewPerson, invite_again, invite_user
from portal.support.record import MaskedRecord, email_for, open_record
from portal.support.timeline import latest_moments
from portal.usage.boosts import boost_limit
from portal.usage.credits import adjust_credits, balance_of, grant_credits, list_ledger
from portal.usage.history import last_days
from portal.usage.plan_changes import PlanChange, change_plan, starts_of
from portal.usage.plans import default_plan, list_plans
from portal.web.act_access import undo_words
from portal.web.act_limits import PlanForm, start_choices
from portal.web.charts import days_chart
from portal.web.faces import minute
from portal.web.forms import told_beside, version_of
from portal.web.gates import requires
from portal.web.identity import actor, viewer
from portal.web.lists import typed

blueprint = Blueprint("users", __name__, url_prefix="/users")
COUNTED = 10_000
LATEST = 10


def _plan_choices() -> list[SelectChoice]:
    return [SelectChoice(str(plan.id), plan.name) for plan in list_plans(actor())]


@blueprint.get("")
@requires(Capability.USER_READ)
def index() -> ResponseReturnValue:
    """One page of users: search, filters, sort and place live in the address."""
    who = actor()
    sort = typed("sort") if typed("sort") in SORTS else "-created"
    wanted = UserFilter(search=typed("q"), state=typed("state"), plan_id=parse_id(typed("plan")), sort=sort)
    plans = list_plans(who)
    total = count_users(who, wanted)
    page = list_users(who, wanted, request.args.get("cursor"))
    return render_template(
        "admin/users/index.html",
        page=page,
        emails={user.id: email_for(who, user) for user in page.items},
        wanted=wanted,
        plans=plans,
        plan_names={plan.id: plan.name for plan in plans},
        total=total,
        counted=COUNTED,
    )


@blueprint.route("/new", methods=["GET", "POST"])
@requires(Capability.USER_WRITE)
def new() -> ResponseReturnValue:
    """Invite a user, who sets the own password."""
    form = InviteForm()
    form.plan.choices = _plan_choices()
    form.time_zone.choices = zone_choices()
    if not form.is_submitted():
        form.plan.data = str(default_plan().id)
    if form.validate_on_submit():
        who = NewPerson(form.username.data, form.email.data, form.display_name.data or "", form.time_zone.data or "")
        with told_beside(form) as attempt:
            invited = invite_user(actor(), who, plan_id=UUID(form.plan.data))
        if attempt.done:
            return render_template("admin/users/invited.html", account=invited.account, link=invited.link), 201
    return render_template("admin/users/new.html", form=form), 422 if form.is_submitted() else 200


def _record_page(user_id: UUID, status: int = 200, **forms: Any) -> ResponseReturnValue:
    who = actor()
    seen: MaskedRecord = open_record(who, user_id)
    user = user_record(who, user_id)
    week = (clock.now() + timedelta(days=7)).astimezone(zone(_viewer_zone())).replace(second=0, microsecond=0)
    given = {
        "plan_form": PlanForm(plan=str(seen.plan.id), starts="now", formdata=None),
        "boost_form": BoostForm(until=week.replace(tzinfo=None), formdata=None, prefix="boost-"),
        "suspend_form": ReasonForm(formdata=None, prefix="suspend-"),
        "credit_form": CreditForm(formdata=None, prefix="credit-"),
        "adjust_form": AdjustForm(formdata=None, prefix="adjust-"),
        "delete_form": DeleteForm(formdata=None, prefix="delete-"),
        **forms,
    }
    given["plan_form"].plan.choices = _plan_choices()
    given["plan_form"].starts.choices = start_choices(user)
    page = render_template(
        "admin/users/show.html",
        record=seen,
        balance=balance_of(who, user_id),
        ledger=list_ledger(who, user_id).items[:LATEST],
        moments=latest_moments(who, user_id),
        purge_after=purge_date(),
        has_factor=user.has_factor,
        viewer_zone=_viewer_zone(),
        may={capability.name: who.may(capability) for capability in Capability},
        **given,
    )
    return page, status


def _viewer_zone() -> str:
    person = viewer()
    return person.time_zone if person else "UTC"


@blueprint.get("/<uuid:user_id>")
@requires(Capability.USER_READ)
def show(user_id: UUID) -> ResponseReturnValue:
    """Profile, usage, keys, sessions, ledger, audit, and what can be done."""
    return _record_page(user_id)


@blueprint.get("/<uuid:user_id>/days.json")
@requires(Capability.USER_READ)
def days(user_id: UUID) -> ResponseReturnValue:
    """The last 30 days for the chart."""
    return days_chart(last_days(actor(), user_id))


@blueprint.route("/<uuid:user_id>/edit", methods=["GET", "POST"])
@requires(Capability.USER_WRITE)
def edit(user_id: UUID) -> ResponseReturnValue:
    """Change the record; two who edit at once do not overwrite each other."""
    user = lifecycle.editable_user(actor(), user_id)
    form = EditForm(obj=user)
    form.time_zone.choices = [SelectChoice(zone, zone.replace("_", " ")) for zone in zones()]
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            lifecycle.edit_user(
                actor(),
                user_id,
                version=version_of(form.version.data),
                display_name=form.display_name.data or "",
                email=form.email.data,
                time_zone=form.time_zone.data or "",
                daily_limit_override=form.daily_limit_override.data,
            )
        if attempt.done:
            return _back(user_id, gettext("Saved."))
    return render_template("admin/users/edit.html", form=form, user=user), 422 if form.is_submitted() else 200


def _back(user_id: UUID, said: str) -> ResponseReturnValue:
    flash(said, "green")
    return redirect(url_for("admin.users.show", user_id=user_id))


@blueprint.post("/<uuid:user_id>/plan")
@requires(Capability.USER_WRITE)
def plan(user_id: UUID) -> ResponseReturnValue:
    """Give another plan: from the next call, the next day or the next month on."""
    form = PlanForm()
    form.plan.choices = _plan_choices()
    form.starts.choices = start_choices(lifecycle.editable_user(actor(), user_id))
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            change = change_plan(
                actor().because(form.reason.data), user_id, UUID(form.plan.data), starts=form.starts.data
            )
        if attempt.done:
            return _back(user_id, f"{_change_in_words(change)} {undo_words()}")
    return _record_page(user_id, 422, plan_form=form)


def _change_in_words(change: PlanChange) -> str:
    if change.starts_at <= clock.now():
        return gettext("The plan is changed: %(plan)s holds from the next call on.", plan=change.plan.name)
    when = minute(change.starts_at)
    return gettext("The plan is going to change: %(plan)s holds from %(when)s on.", plan=change.plan.name, when=when)


@blueprint.post("/<uuid:user_id>/boost")
@requires(Capability.USER_WRITE)
def boost(user_id: UUID) -> ResponseReturnValue:
    """Raise the daily limit for a while; the time is typed in the viewer's zone."""
    lifecycle.editable_user(actor(), user_id)
    form = BoostForm(prefix="boost-")
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            until: datetime = form.until.data.replace(tzinfo=zone(_viewer_zone()))
            made = boost_limit(actor().because(form.reason.data), user_id, form.extra.data, until)
        if attempt.done:
            return _back(user_id, gettext("The daily limit is raised until %(when)s.", when=minute(made.until)))
    return _record_page(user_id, 422, boost_form=form)


@blueprint.post("/<uuid:user_id>/suspend")
@requires(Capability.USER_WRITE)
def suspend(user_id: UUID) -> ResponseReturnValue:
    """Stop sessions and keys, from the next request on."""
    lifecycle.editable_user(actor(), user_id)
    form = ReasonForm(prefix="suspend-")
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            lifecycle.suspend(actor().because(form.reason.data), user_id)
        if attempt.done:
            told = gettext("The account is suspended: sessions are over and keys are refused.")
            return _back(user_id, f"{told} {undo_words()}")
    return _record_page(user_id, 422, suspend_form=form)


@blueprint.post("/<uuid:user_id>/invite")
@requires(Capability.USER_WRITE)
def invite(user_id: UUID) -> ResponseReturnValue:
    """A fresh invitation link."""
    lifecycle.editable_user(actor(), user_id)
    invited = invite_again(actor(), user_id)
    return render_template("admin/users/invited.html", account=invited.account, link=invited.link)


@blueprint.post("/<uuid:user_id>/credits")
@requires(Capability.CREDIT_WRITE)
def credits(user_id: UUID) -> ResponseReturnValue:
    """Grant credits."""
    form = CreditForm(prefix="credit-")
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            grant_credits(actor().because(form.reason.data), user_id, form.amount.data)
        if attempt.done:
            return _back(user_id, f"{gettext('The credits are granted.')} {undo_words()}")
    return _record_page(user_id, 422, credit_form=form)


@blueprint.post("/<uuid:user_id>/adjust")
@requires(Capability.CREDIT_WRITE)
def adjust(user_id: UUID) -> ResponseReturnValue:
    """Put the credits right, up or down."""
    form = AdjustForm(prefix="adjust-")
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            adjust_credits(actor().because(form.reason.data), user_id, form.amount.data)
        if attempt.done:
            return _back(user_id, f"{gettext('The credits are adjusted.')} {undo_words()}")
    return _record_page(user_id, 422, adjust_form=form)


@blueprint.get("/<uuid:user_id>/ledger")
@requires(Capability.USER_READ, Capability.CREDIT_READ)
def ledger(user_id: UUID) -> ResponseReturnValue:
    """Every change of the credits, page by page."""
    who = actor()
    user = user_record(who, user_id)
    return render_template(
        "admin/users/ledger.html",
        user=user,
        balance=balance_of(who, user_id),
        page=list_ledger(who, user_id, request.args.get("cursor")),
        month_ends=starts_of(user, "next_month"),
    )


@blueprint.post("/<uuid:user_id>/delete")
@requires(Capability.USER_DELETE)
def delete(user_id: UUID) -> ResponseReturnValue:
    """Delete, after the name was typed; restorable until the purge date."""
    form = DeleteForm(prefix="delete-")
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            delete_user(actor().because(form.reason.data), user_id, typed_name=form.username.data)
        if attempt.done:
            flash(gettext("The user is deleted and can be restored from here."), "green")
            return redirect(url_for("admin.deleted.index"))
    return _record_page(user_id, 422, delete_form=form)
