"""/admin/sessions/<account>/end: sign somebody out everywhere, whatever kind of account it is."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from portal.accounts.models import Account, Kind
from portal.core.access import Capability
from portal.core.text import lazy_gettext as words
from portal.signin.ending import end_sessions_of, managed_account, signed_in
from portal.web.forms import told_beside
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.sign_in_words import ended_words, ending_words

blueprint = Blueprint("sessions", __name__, url_prefix="/sessions")


class EndForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """Why."""

    reason = StringField(words("Reason"), [InputRequired(words("Say why.")), Length(max=500)])


def _record_url(account: Account) -> str:
    if account.kind == Kind.STAFF:
        return url_for("admin.staff.show", staff_id=account.id)
    if account.kind == Kind.ADMIN:
        return url_for("admin.admins.show", admin_id=account.id)
    return url_for("admin.users.show", user_id=account.id)


@blueprint.route("/<uuid:account_id>/end", methods=["GET", "POST"])
@requires(Capability.USER_WRITE, Capability.STAFF_MANAGE, Capability.ADMIN_MANAGE)
def end(account_id: UUID) -> ResponseReturnValue:
    """Say what will happen, then end every session."""
    account, sessions = managed_account(actor(), account_id)
    form = EndForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            ended = end_sessions_of(actor().because(form.reason.data), account_id)
        if attempt.done:
            flash(ended_words(ended), "green")
            return redirect(_record_url(account))
    lines = ending_words(signed_in(account))
    page = render_template(
        "admin/sessions/end.html",
        form=form,
        account=account,
        sessions=sessions,
        lines=lines,
        record_url=_record_url(account),
    )
    return page, 422 if form.is_submitted() else 200
