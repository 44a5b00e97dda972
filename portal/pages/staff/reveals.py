"""/staff/reveals/<user>/<field>: unmask a field of a user for a while, for a reason, in a case."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.accounts.directory import user_record
from portal.core import settings
from portal.core.access import Capability
from portal.core.errors import LimitReached, NotFound
from portal.core.text import gettext
from portal.support.reveals import FIELDS, allowance_of, reveal
from portal.web.acting import acting_for
from portal.web.acts import ReasonForm
from portal.web.faces import minute
from portal.web.forms import told_as_news, told_beside
from portal.web.gates import requires
from portal.web.identity import actor

blueprint = Blueprint("reveals", __name__, url_prefix="/reveals")


@blueprint.route("/<uuid:user_id>/<field>", methods=["GET", "POST"])
@requires(Capability.USER_REVEAL)
def new(user_id: UUID, field: str) -> ResponseReturnValue:
    """Say what it costs, then unmask the field."""
    user = user_record(actor(), user_id)
    if field not in FIELDS:
        raise NotFound
    who = acting_for(user_id)
    form = ReasonForm()
    if not form.is_submitted():
        form.reason.data = who.reason
    if form.validate_on_submit():
        with told_as_news(LimitReached) as allowed, told_beside(form) as attempt:
            made = reveal(acting_for(user_id, form.reason.data), user_id, field)
        if allowed.done and attempt.done:
            flash(gettext("You see it until %(when)s.", when=minute(made.until)), "green")
            return redirect(url_for("staff.users.show", user_id=user_id))
        if allowed.words:
            form.form_errors.append(allowed.words)
    page = render_template(
        "staff/reveals/new.html",
        form=form,
        user=user,
        field=field,
        label=FIELDS[field],
        allowance=allowance_of(who),
        minutes=settings.current().reveal_open_s // 60,
    )
    # A form that stands inside the record is put in place of itself, which it would not be with an error's status.
    return page, 422 if form.is_submitted() and "HX-Request" not in request.headers else 200
