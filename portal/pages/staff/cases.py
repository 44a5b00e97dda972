"""/staff/cases: the cases about users, and opening one."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import RadioField, SelectChoice, StringField
from wtforms.validators import InputRequired, Length

from portal.accounts.directory import user_record
from portal.core.access import Capability
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.support.cases import CHANNELS, MOST_REFERENCE, open_case
from portal.web.forms import local_target, told_beside
from portal.web.gates import requires
from portal.web.identity import actor

blueprint = Blueprint("cases", __name__, url_prefix="/cases")


class CaseForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """Who asks, by which way, and what for."""

    reason = StringField(words("What is it about?"), [InputRequired(words("Say what it is about.")), Length(max=500)])
    channel = RadioField(
        words("How do they ask?"),
        choices=[SelectChoice(name, label) for name, label in CHANNELS.items() if name != "page"],
        default="phone",
    )
    reference = StringField(words("Their own number for it, if they have one"), [Length(max=MOST_REFERENCE)])


@blueprint.route("/new/<uuid:user_id>", methods=["GET", "POST"])
@requires(Capability.CASE_WORK)
def new(user_id: UUID) -> ResponseReturnValue:
    """Open a case about this user, and go back to where one was wanted."""
    user = user_record(actor(), user_id)
    target = local_target(request.values.get("next"), url_for("staff.users.show", user_id=user_id))
    form = CaseForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            case = open_case(
                actor(),
                user_id,
                reason=form.reason.data,
                channel=form.channel.data,
                reference=form.reference.data or "",
            )
        if attempt.done:
            flash(gettext("Case %(number)s is open.", number=case.number), "green")
            return redirect(target)
    page = render_template("staff/cases/new.html", form=form, user=user, target=target)
    return page, 422 if form.is_submitted() else 200
