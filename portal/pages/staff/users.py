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
from portal.support.cases import find_held_case
from portal.support.notes import LATEST as LATEST_NOTES
from portal.support.notes import notes_of
from portal.support.queue import cases_about
from portal.support.record import open_record
from portal.support.reveals import allowance_of
from portal.support.timeline import SORTS, latest_moments, timeline_of
from portal.usage.credits import most_adjusted
from portal.usage.history import last_days, last_months
from portal.web.acting import acting_for, acting_perhaps_for
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
    who = acting_perhaps_for(user_id)
    record = open_record(who, user_id)
    return render_template(
        "staff/users/show.html",
        record=record,
        cases=cases_about(who, user_id),
        latest=latest_refusals(who, user_id),
        notes=notes_of(who, user_id, size=LATEST_NOTES),
        note_form=blank_note(),
        moments=latest_moments(who, user_id),
        may_see_logs=who.may(Capability.LOG_METADATA),
        may={capability.name: who.may(capability) for capability in Capability},
        case=find_held_case(who, user_id),
        allowance=allowance_of(who) if who.may(Capability.USER_REVEAL) else None,
        most_credits=most_adjusted(who),
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
    return render_template(
        "staff/users/usage.html", usage=user_usage(acting_perhaps_for(user_id), user_id, span=span_of())
    )


@blueprint.get("/<uuid:user_id>/timeline")
@requires(Capability.USER_FIND)
def timeline(user_id: UUID) -> ResponseReturnValue:
    """What happened to the user, newest first."""
    sort = typed("sort") if typed("sort") in SORTS else ""
    return render_template(
        "staff/users/timeline.html",
        user=user_record(actor(), user_id),
        page=timeline_of(acting_perhaps_for(user_id), user_id, typed("cursor", most=500) or None, sort=sort),
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
    listed = refusal_list(acting_perhaps_for(user_id), user_id, request.args.get("cursor"))
    return render_template("staff/users/refusals.html", listed=listed)


@blueprint.get("/<uuid:user_id>/refusals/<uuid:decision_id>")
@requires(Capability.USER_FIND)
def refusal(user_id: UUID, decision_id: UUID) -> ResponseReturnValue:
    """Why this call of the user was refused."""
    return render_template(
        "staff/users/refusal.html", story=refusal_story(acting_perhaps_for(user_id), user_id, decision_id)
    )


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
    user = user_record(actor(), user_id)
    seen, state = see_log(actor(), log_id, user_id=user_id)
    who = acting_for(user_id)
    form = ContentReasonForm()
    if not form.is_submitted():
        form.reason.data = who.reason
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            open_for_30_minutes(acting_for(user_id, form.reason.data), user_id)
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
