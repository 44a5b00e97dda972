"""/sign-in/with/…: to an outside provider and back."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.core.errors import Conflict, Invalid, LimitReached, NotFound, SignInNeeded, Unavailable
from portal.core.text import gettext
from portal.outside.arrivals import LinkWaiting
from portal.outside.trips import Answer, Arrival, Proven, Trip, begin_sign_in, come_back
from portal.signin.entry import Entered, FactorOwed
from portal.signin.steps import Step
from portal.web.forms import local_target, told_as_news
from portal.web.identity import (
    HOMES,
    actor,
    browser,
    drop_step,
    enter_session,
    keep_step,
    kept_step,
    renew_cookie,
    viewer,
)

blueprint = Blueprint("provider", __name__)
# Whatever can keep somebody from getting there and back is told on the page where they began.
TOLD = (Conflict, Invalid, LimitReached, NotFound, SignInNeeded, Unavailable)


def sent_off(trip: Trip) -> ResponseReturnValue:
    """The page that leads to the provider. A redirect would not: the policy of these pages lets the answer to a form
    lead nowhere but here (Content Security Policy 3, form-action).
    """
    keep_step(Step.PROVIDER, trip.secret)
    return render_template("public/provider/leaving.html", trip=trip)


@blueprint.post("/sign-in/with/<slug>")
def begin(slug: str) -> ResponseReturnValue:
    """Begin to sign in with a provider."""
    target = local_target(request.form.get("next"), "")
    with told_as_news(*TOLD) as attempt:
        trip = begin_sign_in(actor(), slug, target=target)
    if attempt.done:
        return sent_off(trip)
    flash(attempt.words, "red")
    return redirect(url_for("public.sign_in.index", next=target or None))


@blueprint.get("/sign-in/with/<slug>/back")
def back(slug: str) -> ResponseReturnValue:
    """Where a provider sends people back to. The code in the address is good once, and left behind at once."""
    brought = request.args
    answer = Answer(brought.get("code", ""), brought.get("state", ""), brought.get("iss"), brought.get("error", ""))
    with told_as_news(*TOLD) as attempt:
        arrival = come_back(actor(), slug, answer, kept_step(Step.PROVIDER), browser())
    if attempt.done:
        return _arrived(arrival)
    flash(attempt.words, "red")
    return redirect(url_for("account.providers.index" if viewer() else "public.sign_in.index"))


def _arrived(arrival: Arrival) -> ResponseReturnValue:
    result = arrival.result
    drop_step(Step.PROVIDER)
    if isinstance(result, Entered):
        enter_session(result)
        return redirect(local_target(arrival.target, HOMES[result.account.kind]))
    if isinstance(result, FactorOwed):
        keep_step(Step.FACTOR, result.secret)
        return redirect(url_for("public.factor.index", next=arrival.target or None))
    if isinstance(result, LinkWaiting):
        return _ask_to_link(result)
    if isinstance(result, Proven):
        renew_cookie(result.secret)
        return redirect(local_target(arrival.target, "/account"))
    return render_template("public/provider/check_mail.html", email=result.email)


def _ask_to_link(waiting: LinkWaiting) -> ResponseReturnValue:
    keep_step(Step.PROVIDER, waiting.secret)
    confirm = url_for("account.providers.confirm")
    if waiting.known:
        return redirect(confirm)
    flash(gettext("There is an account with this e-mail address here. Sign in to it once, to link the two."), "yellow")
    return redirect(url_for("public.sign_in.index", next=confirm))
