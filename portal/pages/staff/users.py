"""/staff/users/<id>: the masked record, the usage, why a call was refused, message logs and, for a reason, words."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.accounts.directory import user_record
from portal.core import settings
from portal.core.access import Capability
from portal.insight.user_usage import latest_refusals, refusal_list, refusal_story, user_usage
from portal.messages.opening import find_opening, open_for_30_minutes
from portal.messages.reading import list_logs, models_of, read_log, see_log
from portal.support.notes import LATEST as LATEST_NOTES
from portal.support.notes import notes_of
from portal.support.queue import cases_about
from portal.support.record import open_record
from portal.support.timeline import SORTS, latest_moments, timeline_of
from portal.usage.history import last_days, last_months
from portal.web.acting import looking_at
from portal.web.charts import days_chart
from portal.web.content_forms import ContentReasonForm
from portal.web.forms import told_beside
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.lists import span_of, typed
from portal.web.log_filters import typed_filter
from portal.web.note_forms import blank_note

blueprint = Blueprint("users", __name__, url_prefix="/users")


@blueprint.get("/<uuid:user_id>")
@requires(Capability.USER_FIND)
def show(user_id: UUID) -> ResponseReturnValue:
    """What this level may see of the user."""
    record = open_record(looking_at(user_id), user_id)
    return render_template(
        "staff/users/show.html",
        record=record,
        cases=cases_about(actor(), user_id),
        latest=latest_refusals(actor(), user_id),
        notes=notes_of(actor(), user_id, size=LATEST_NOTES),
        note_form=blank_note(),
        moments=latest_moments(actor(), user_id),
        may_see_logs=actor().may(Capability.LOG_METADATA),
        may={capability.name: actor().may(capability) for capability in Capability},
    )


@blueprint.get("/<uuid:user_id>/days.json")
@requires(Capability.USER_FIND)
def days(user_id: UUID) -> dict[str, Any]:
    """The last 30 days for the chart."""
    return days_chart(last_days(actor(), user_id))


@blueprint.get("/<uuid:user_id>/usage")
@requires(Capability.USER_FIND)
def usage(user_id: UUID) -> ResponseReturnValue:
    """What the user used, as far as the desk sees it."""
    return render_template("staff/users/usage.html", usage=user_usage(looking_at(user_id), user_id, span=span_of()))


@blueprint.get("/<uuid:user_id>/timeline")
@requires(Capability.USER_FIND)
def timeline(user_id: UUID) -> ResponseReturnValue:
    """What happened to the user, newest first."""
    sort = typed("sort") if typed("sort") in SORTS else ""
    return render_template(
        "staff/users/timeline.html",
        user=user_record(actor(), user_id),
        page=timeline_of(looking_at(user_id), user_id, typed("cursor", most=500) or None, sort=sort),
        sort=sort,
        sorts=SORTS,
    )


@blueprint.get("/<uuid:user_id>/months.json")
@requires(Capability.USER_FIND)
def months(user_id: UUID) -> dict[str, Any]:
    """The last 12 months for the chart."""
    return days_chart(last_months(actor(), user_id))


@blueprint.get("/<uuid:user_id>/refusals")
@requires(Capability.USER_FIND)
def refusals(user_id: UUID) -> ResponseReturnValue:
    """The user's refused calls of the last 30 days."""
    listed = refusal_list(looking_at(user_id), user_id, request.args.get("cursor"))
    return render_template("staff/users/refusals.html", listed=listed)


@blueprint.get("/<uuid:user_id>/refusals/<uuid:decision_id>")
@requires(Capability.USER_FIND)
def refusal(user_id: UUID, decision_id: UUID) -> ResponseReturnValue:
    """Why this call of the user was refused."""
    return render_template("staff/users/refusal.html", story=refusal_story(looking_at(user_id), user_id, decision_id))


@blueprint.get("/<uuid:user_id>/logs")
@requires(Capability.LOG_METADATA)
def logs(user_id: UUID) -> ResponseReturnValue:
    """The user's message logs without their words."""
    who, filters = actor(), typed_filter(user_id)
    user = user_record(who, user_id)
    page = list_logs(who, filters.wanted, request.args.get("cursor"))
    return render_template(
        "staff/users/logs.html",
        user=user,
        page=page,
        filters=filters,
        models=models_of(user_id),
        may_read=who.may(Capability.LOG_CONTENT),
    )


@blueprint.route("/<uuid:user_id>/logs/<uuid:log_id>", methods=["GET", "POST"])
@requires(Capability.LOG_CONTENT)
def log(user_id: UUID, log_id: UUID) -> ResponseReturnValue:
    """Ask for the reason; once it is given, what was said, for a while."""
    who = actor()
    user = user_record(who, user_id)
    seen, state = see_log(who, log_id, user_id=user_id)
    form = ContentReasonForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            open_for_30_minutes(who.because(form.reason.data), user_id)
        if attempt.done:
            return redirect(url_for("staff.users.log", user_id=user_id, log_id=log_id))
    opening = find_opening(who, user_id, log_id)
    exchange = read_log(who.because(opening.reason), log_id, what="page", user_id=user_id) if opening else None
    page = render_template(
        "staff/users/log.html",
        user=user,
        log=seen,
        state=state,
        form=form,
        opening=opening,
        exchange=exchange,
        minutes=settings.current().content_open_s // 60,
    )
    return page, 422 if form.is_submitted() else 200
