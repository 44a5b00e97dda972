"""/account/usage: what was used, the ledger, and why a call was refused."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import BooleanField

from portal.core.access import Capability
from portal.core.errors import NotFound
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.insight.user_usage import refusal_list, refusal_story, user_usage
from portal.usage.credits import list_ledger
from portal.usage.history import last_months
from portal.usage.refusal_reading import find_refusal, was_allowed
from portal.usage.warnings import set_usage_warnings, warned_by_mail
from portal.web.charts import days_chart
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.lists import span_of, typed

blueprint = Blueprint("usage", __name__, url_prefix="/usage")


class WarningsForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """The choice of warnings by mail."""

    by_mail = BooleanField(words("Warn me by mail"))


def _own_id() -> UUID:
    who = actor()
    if who.id is None:
        raise NotFound
    return who.id


@blueprint.get("")
@requires(Capability.OWN_USAGE)
def index() -> ResponseReturnValue:
    """Days and months, models and keys, the latest refusals and ledger entries."""
    form = WarningsForm(by_mail=warned_by_mail(actor()))
    usage = user_usage(actor(), _own_id(), span=span_of())
    return render_template("account/usage/index.html", usage=usage, form=form)


@blueprint.get("/months.json")
@requires(Capability.OWN_USAGE)
def months() -> dict[str, Any]:
    """The last 12 months for the chart."""
    return days_chart(last_months(actor(), _own_id()))


@blueprint.get("/ledger")
@requires(Capability.OWN_USAGE)
def ledger() -> ResponseReturnValue:
    """Every change of the own credits."""
    page = list_ledger(actor(), _own_id(), request.args.get("cursor"))
    return render_template("account/usage/ledger.html", page=page)


@blueprint.get("/refusals")
@requires(Capability.OWN_USAGE)
def refusals() -> ResponseReturnValue:
    """Refusals of the last 30 days; a decision id that was typed opens its own."""
    wanted = typed("q", most=1000).strip()
    allowed = bool(wanted) and was_allowed(wanted)
    found = find_refusal(actor(), wanted) if wanted and not allowed else None
    if found is not None:
        return redirect(url_for("account.usage.refusal", decision_id=found.id))
    listed = refusal_list(actor(), _own_id(), request.args.get("cursor"))
    return render_template("account/usage/refusals.html", listed=listed, q=wanted, allowed=allowed)


@blueprint.get("/refusals/<uuid:decision_id>")
@requires(Capability.OWN_USAGE)
def refusal(decision_id: UUID) -> ResponseReturnValue:
    """Why this call was refused."""
    return render_template("account/usage/refusal.html", story=refusal_story(actor(), _own_id(), decision_id))


@blueprint.post("/warnings")
@requires(Capability.OWN_USAGE)
def warnings() -> ResponseReturnValue:
    """Choose about warnings by mail."""
    form = WarningsForm()
    if form.validate_on_submit():
        set_usage_warnings(actor(), form.by_mail.data)
        if form.by_mail.data:
            flash(gettext("You are warned by mail at 80 and 100 percent of your day."), "green")
        else:
            flash(gettext("No more warnings by mail. They still stand on your pages."), "green")
    return redirect(url_for("account.usage.index"))
