"""/account/providers: sign-ins of outside providers that open one's account."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm

from portal.core.access import Capability
from portal.core.errors import Conflict, NotFound, SignInNeeded, Unavailable
from portal.core.text import gettext
from portal.outside.identities import link_waiting, name_of, own_identities, unlink, waiting_identity
from portal.outside.providers import ways_in
from portal.outside.trips import begin_link, begin_proof
from portal.pages.public.provider import sent_off
from portal.signin.steps import Step
from portal.web.forms import local_target, told_as_news
from portal.web.gates import Standing, asks_again, open_while, requires
from portal.web.identity import actor, drop_step, kept_step, renew_cookie

blueprint = Blueprint("providers", __name__, url_prefix="/providers")


class ConfirmForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """Nothing but the token."""


@blueprint.get("")
@requires(Capability.OWN_SECURITY)
def index() -> ResponseReturnValue:
    """What is linked, and what may be."""
    linked = [(identity, name_of(identity)) for identity in own_identities(actor())]
    known = {identity.provider for identity, _ in linked}
    return render_template(
        "account/providers/index.html", linked=linked, offered=[way for way in ways_in() if way.slug not in known]
    )


@blueprint.post("/link/<slug>")
@requires(Capability.OWN_SECURITY)
def link(slug: str) -> ResponseReturnValue:
    """Go to a provider to link who one is there."""
    with told_as_news(NotFound, Unavailable) as attempt:
        trip = begin_link(actor(), slug)
    if attempt.done:
        return sent_off(trip)
    flash(attempt.words, "red")
    return redirect(url_for("account.providers.index"))


@blueprint.route("/confirm", methods=["GET", "POST"])
@requires(Capability.OWN_SECURITY)
@asks_again()
def confirm() -> ResponseReturnValue:
    """Back from the provider: say once more that the two are to be linked."""
    form, secret = ConfirmForm(), kept_step(Step.PROVIDER)
    if form.validate_on_submit():
        with told_as_news(Conflict, NotFound, SignInNeeded) as attempt:
            renewed = link_waiting(actor(), secret)
        drop_step(Step.PROVIDER)
        if attempt.done:
            renew_cookie(renewed)
            flash(gettext("Linked. From now on you may sign in with it; your other sessions have ended."), "green")
        else:
            flash(attempt.words, "red")
        return redirect(url_for("account.providers.index"))
    with told_as_news(SignInNeeded) as attempt:
        waiting = waiting_identity(actor(), secret)
    if not attempt.done:
        flash(attempt.words, "yellow")
        return redirect(url_for("account.providers.index"))
    return render_template("account/providers/confirm.html", form=form, waiting=waiting)


@blueprint.post("/<uuid:identity_id>/unlink")
@requires(Capability.OWN_SECURITY)
def unlink_one(identity_id: UUID) -> ResponseReturnValue:
    """Take a link away."""
    with told_as_news(Conflict) as attempt:
        renewed = unlink(actor(), identity_id)
    if attempt.done:
        renew_cookie(renewed)
        flash(gettext("Unlinked. Your other sessions have ended."), "green")
    else:
        flash(attempt.words, "red")
    return redirect(url_for("account.providers.index"))


@blueprint.post("/prove/<slug>")
@open_while(Standing.CLOSING, Standing.ENROLLING)
@requires(Capability.OWN_SECURITY)
def prove(slug: str) -> ResponseReturnValue:
    """Go to a provider to show again who one is, where there is no password to type; back to `next`."""
    with told_as_news(Conflict, NotFound, Unavailable) as attempt:
        trip = begin_proof(actor(), slug, target=local_target(request.form.get("next"), ""))
    if attempt.done:
        return sent_off(trip)
    flash(attempt.words, "red")
    return redirect(url_for("account.security.index"))
