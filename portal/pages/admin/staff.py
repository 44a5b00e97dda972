"""/admin/staff: invite staff, set their level, suspend, reactivate."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import EmailField, RadioField, SelectChoice, SelectField, StringField
from wtforms.validators import InputRequired, Length

from portal.accounts import lifecycle
from portal.accounts.directory import list_staff, staff_record
from portal.core.access import Capability
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.pages.public.register import zone_choices
from portal.signin.registration import NewPerson, invite_again, invite_staff
from portal.web.forms import told_beside
from portal.web.gates import asks_again, requires
from portal.web.identity import actor

blueprint = Blueprint("staff", __name__, url_prefix="/staff")
LEVELS = [
    SelectChoice("1", words("Level 1: find users, see masked records")),
    SelectChoice("2", words("Level 2: also log metadata")),
    SelectChoice("3", words("Level 3: the most that support may do")),
]


class InviteForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """A staff member to invite."""

    username = StringField(words("Username"), [InputRequired(words("Choose a username.")), Length(max=80)])
    email = EmailField(words("E-mail"), [InputRequired(words("Type the e-mail address.")), Length(max=320)])
    display_name = StringField(words("Display name"), [Length(max=80)])
    level = RadioField(words("Level"), choices=LEVELS, default="1")
    time_zone = SelectField(words("Time zone"), validate_choice=False)


class LevelForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """Another level."""

    level = RadioField(words("Level"), choices=LEVELS)


class ReasonForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """Why."""

    reason = StringField(words("Reason"), [InputRequired(words("Say why.")), Length(max=500)])


@blueprint.get("")
@requires(Capability.STAFF_MANAGE)
def index() -> ResponseReturnValue:
    """All staff."""
    return render_template("admin/staff/index.html", staff=list_staff(actor()))


@blueprint.route("/new", methods=["GET", "POST"])
@requires(Capability.STAFF_MANAGE)
@asks_again(factor=True)
def new() -> ResponseReturnValue:
    """Invite by mail; without mail the link is shown here, once."""
    form = InviteForm()
    form.time_zone.choices = zone_choices()
    if form.validate_on_submit():
        who = NewPerson(form.username.data, form.email.data, form.display_name.data or "", form.time_zone.data or "")
        with told_beside(form) as attempt:
            invited = invite_staff(actor(), who, level=int(form.level.data))
        if attempt.done:
            return render_template("admin/staff/invited.html", account=invited.account, link=invited.link), 201
    return render_template("admin/staff/new.html", form=form), 422 if form.is_submitted() else 200


@blueprint.route("/<uuid:staff_id>", methods=["GET", "POST"])
@requires(Capability.STAFF_MANAGE)
def show(staff_id: UUID) -> ResponseReturnValue:
    """One staff member; the level can be changed here."""
    member = staff_record(actor(), staff_id)
    form = LevelForm(level=str(member.level))
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            lifecycle.change_level(actor(), staff_id, int(form.level.data))
        if attempt.done:
            return _back(staff_id, gettext("The level is changed, from the next request on."))
    return _page(staff_id, form, ReasonForm(formdata=None), 422 if form.is_submitted() else 200)


def _page(staff_id: UUID, form: LevelForm, suspend_form: ReasonForm, status: int) -> ResponseReturnValue:
    member = staff_record(actor(), staff_id)
    page = render_template("admin/staff/show.html", member=member, form=form, suspend_form=suspend_form)
    return page, status


def _back(staff_id: UUID, said: str) -> ResponseReturnValue:
    flash(said, "green")
    return redirect(url_for("admin.staff.show", staff_id=staff_id))


@blueprint.post("/<uuid:staff_id>/suspend")
@requires(Capability.STAFF_MANAGE)
def suspend(staff_id: UUID) -> ResponseReturnValue:
    """Stop a staff member from signing in."""
    staff_record(actor(), staff_id)
    form = ReasonForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            lifecycle.suspend(actor().because(form.reason.data), staff_id)
        if attempt.done:
            return _back(staff_id, gettext("The account is suspended."))
    level = LevelForm(formdata=None, level=str(staff_record(actor(), staff_id).level))
    return _page(staff_id, level, form, 422)


@blueprint.post("/<uuid:staff_id>/reactivate")
@requires(Capability.STAFF_MANAGE)
def reactivate(staff_id: UUID) -> ResponseReturnValue:
    """Let a staff member in again."""
    staff_record(actor(), staff_id)
    form = ReasonForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            lifecycle.reactivate(actor().because(form.reason.data), staff_id)
        if attempt.done:
            return _back(staff_id, gettext("The account is active again."))
    level = LevelForm(formdata=None, level=str(staff_record(actor(), staff_id).level))
    return _page(staff_id, level, form, 422)


@blueprint.post("/<uuid:staff_id>/invite")
@requires(Capability.STAFF_MANAGE)
def invite(staff_id: UUID) -> ResponseReturnValue:
    """A fresh invitation link."""
    staff_record(actor(), staff_id)
    invited = invite_again(actor(), staff_id)
    return render_template("admin/staff/invited.html", account=invited.account, link=invited.link)
