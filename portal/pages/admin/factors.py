"""/admin/factors/<id>: take away the second factors of an account of lower rank."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from portal.accounts.models import Account, Kind
from portal.core.access import Capability
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.signin.factor_reset import reset_factors, resettable
from portal.web.forms import told_beside
from portal.web.gates import asks_again, requires
from portal.web.identity import actor

blueprint = Blueprint("factors", __name__, url_prefix="/factors")


class ReasonForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """Why."""

    reason = StringField(words("Reason"), [InputRequired(words("Say why.")), Length(max=500)])


@blueprint.route("/<uuid:account_id>", methods=["GET", "POST"])
@requires(Capability.USER_WRITE, Capability.STAFF_MANAGE, Capability.ADMIN_MANAGE)
@asks_again(factor=True)
def show(account_id: UUID) -> ResponseReturnValue:
    """Say what will happen, then do it."""
    form = ReasonForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            account = reset_factors(actor().because(form.reason.data), account_id)
        if attempt.done:
            flash(gettext("The second factors are gone; the owner is told by mail."), "green")
            return redirect(_record_url(account))
    account, factors = resettable(actor(), account_id)
    page = render_template(
        "admin/factors/show.html", account=account, factors=factors, record_url=_record_url(account), form=form
    )
    return page, 422 if form.is_submitted() else 200


def _record_url(account: Account) -> str:
    """The record that it was reached from."""
    if account.kind == Kind.STAFF:
        return url_for("admin.staff.show", staff_id=account.id)
    if account.kind == Kind.ADMIN:
        return url_for("admin.admins.show", admin_id=account.id)
    return url_for("admin.users.show", user_id=account.id)
