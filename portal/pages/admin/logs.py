"""/admin/logs: message logs without their words, and for a reason what was said."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm

from portal.core import settings
from portal.core.access import Capability
from portal.core.ids import parse_id
from portal.core.text import gettext, ngettext
from portal.messages.opening import find_opening, open_for_30_minutes
from portal.messages.quarantine import (
    count_quarantined,
    drop_quarantined,
    list_quarantined,
    names_on,
    retry_all_quarantined,
    retry_quarantined,
)
from portal.messages.reading import list_logs, models_of, read_log, see_log
from portal.web.content_forms import ContentReasonForm
from portal.web.forms import told_beside
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.lists import typed
from portal.web.log_filters import typed_filter

blueprint = Blueprint("logs", __name__, url_prefix="/logs")


@blueprint.get("")
@requires(Capability.LOG_METADATA)
def index() -> ResponseReturnValue:
    """One page of logs, newest first, of everybody or of one user."""
    who, filters = actor(), typed_filter(parse_id(typed("user")))
    return render_template(
        "admin/logs/index.html",
        page=list_logs(who, filters.wanted, request.args.get("cursor")),
        filters=filters,
        models=models_of(),
        may_read=who.may(Capability.LOG_CONTENT),
        aside=count_quarantined() if who.may(Capability.LOG_QUARANTINE) else None,
    )


@blueprint.route("/<uuid:log_id>", methods=["GET", "POST"])
@requires(Capability.LOG_CONTENT)
def show(log_id: UUID) -> ResponseReturnValue:
    """Ask for the reason; once it is given, what was said, for a while."""
    who = actor()
    seen, state = see_log(who, log_id)
    form = ContentReasonForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            open_for_30_minutes(who.because(form.reason.data), seen.user_id)
        if attempt.done:
            return redirect(url_for("admin.logs.show", log_id=log_id))
    opening = find_opening(who, seen.user_id, log_id)
    exchange = read_log(who.because(opening.reason), log_id, what="page") if opening else None
    page = render_template(
        "admin/logs/show.html",
        log=seen,
        state=state,
        form=form,
        opening=opening,
        exchange=exchange,
        minutes=settings.current().content_open_s // 60,
    )
    return page, 422 if form.is_submitted() else 200


@blueprint.get("/quarantine")
@requires(Capability.LOG_QUARANTINE)
def quarantine() -> ResponseReturnValue:
    """Records that could not be stored, each with the reason, newest first; nothing of what was said."""
    page = list_quarantined(actor(), request.args.get("cursor"))
    names = names_on(page.items)
    return render_template("admin/logs/quarantine.html", page=page, names=names, total=count_quarantined())


@blueprint.post("/quarantine/retry")
@requires(Capability.LOG_QUARANTINE)
def retry_all() -> ResponseReturnValue:
    """Try the oldest hundred again; where there are more, the page asks whether to go on."""
    done = retry_all_quarantined(actor(), parse_id(request.form.get("after", "")))
    if done.left:
        flash(ngettext("%(num)s record is stored.", "%(num)s records are stored.", done.left), "green")
    if done.stayed:
        words = ngettext(
            "%(num)s record still cannot be stored.", "%(num)s records still cannot be stored.", done.stayed
        )
        flash(words, "red")
    return redirect(url_for("admin.logs.quarantine", after=done.go_on))


@blueprint.post("/quarantine/<uuid:record_id>/retry")
@requires(Capability.LOG_QUARANTINE)
def retry(record_id: UUID) -> ResponseReturnValue:
    """Store the record, now that what kept it out is gone."""
    form = FlaskForm()
    with told_beside(form) as attempt:
        retry_quarantined(actor(), record_id)
    if attempt.done:
        flash(gettext("The record is stored and stands among the message logs."), "green")
    for words in form.form_errors:
        flash(words, "red")
    return redirect(url_for("admin.logs.quarantine"))


@blueprint.post("/quarantine/<uuid:record_id>/drop")
@requires(Capability.LOG_QUARANTINE)
def drop(record_id: UUID) -> ResponseReturnValue:
    """Delete the record for good."""
    drop_quarantined(actor(), record_id)
    flash(gettext("The record is dropped."), "green")
    return redirect(url_for("admin.logs.quarantine"))
