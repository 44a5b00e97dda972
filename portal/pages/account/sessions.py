"""/account/sessions: where one is signed in, in browsers and by programs, and ending that."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.core.access import Capability
from portal.core.text import gettext, ngettext
from portal.signin.ending import end_other_sessions
from portal.signin.revoking import end_own_family, own_families
from portal.signin.sessions import end_own_session, own_sessions
from portal.web.gates import requires
from portal.web.identity import actor, viewer
from portal.web.sign_in_words import programs_words

blueprint = Blueprint("sessions", __name__, url_prefix="/sessions")


@blueprint.get("")
@requires(Capability.OWN_SESSIONS)
def index() -> ResponseReturnValue:
    """Every browser that is signed in, and every program that holds tokens."""
    person = viewer()
    who, current = actor(), person.session.id if person else None
    return render_template(
        "account/sessions/index.html", sessions=own_sessions(who), families=own_families(who), current=current
    )


@blueprint.post("/<uuid:session_id>/end")
@requires(Capability.OWN_SESSIONS)
def end(session_id: UUID) -> ResponseReturnValue:
    """Sign one of them out."""
    end_own_session(actor(), session_id)
    flash(gettext("That browser is signed out."), "green")
    return redirect(url_for("account.sessions.index"))


@blueprint.post("/programs/<uuid:family_id>/end")
@requires(Capability.OWN_SESSIONS)
def end_program(family_id: UUID) -> ResponseReturnValue:
    """Refuse the tokens of one program from now on."""
    end_own_family(actor(), family_id)
    flash(gettext("That program is signed out."), "green")
    return redirect(url_for("account.sessions.index"))


@blueprint.post("/end-others")
@requires(Capability.OWN_SESSIONS)
def end_others() -> ResponseReturnValue:
    """Sign out everywhere but here."""
    ended = end_other_sessions(actor())
    flash(
        ngettext("One other browser is signed out.", "%(num)s other browsers are signed out.", ended.browsers), "green"
    )
    if ended.programs:
        flash(programs_words(ended.programs), "green")
    return redirect(url_for("account.sessions.index"))
