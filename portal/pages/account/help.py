"""/account/help: asking the desk for help, and what became of it."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import RadioField, SelectChoice, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from portal.core.access import Capability
from portal.core.errors import LimitReached
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.support.asking import ASKED, ask_for_help, own_case, own_cases, own_talk, write_in_case
from portal.support.messages import MOST_WORDS
from portal.web.forms import Attempt, told_as_news, told_beside
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.lists import typed

blueprint = Blueprint("help", __name__, url_prefix="/help")


class HelpForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """What one asks."""

    subject = RadioField(
        words("What is it about?"),
        choices=[
            SelectChoice("help", words("Something does not work, or I have a question")),
            SelectChoice("more", words("I need a higher limit or more credits")),
        ],
        default="help",
    )
    message = TextAreaField(
        words("Your message"), [InputRequired(words("Write what we can help with.")), Length(max=MOST_WORDS)]
    )
    decision = StringField(words("Decision ID of a refused call, if it is about one"), [Length(max=100)])


class WriteForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """What one adds to a case."""

    message = TextAreaField(words("Your message"), [InputRequired(words("Write something.")), Length(max=MOST_WORDS)])


@blueprint.get("")
@requires(Capability.CASE_OWN)
def index() -> ResponseReturnValue:
    """One's own cases, newest first."""
    return render_template("account/help/index.html", page=own_cases(actor(), request.args.get("cursor")))


@blueprint.route("/new", methods=["GET", "POST"])
@requires(Capability.CASE_OWN)
def new() -> ResponseReturnValue:
    """Ask; what it is about may be filled in by the page that leads here."""
    wanted = typed("subject", most=10)
    form = HelpForm(subject=wanted if wanted in ASKED else "help", decision=typed("decision", most=100))
    bounded = Attempt()
    if form.validate_on_submit():
        with told_as_news(LimitReached) as bounded, told_beside(form) as attempt:
            case = ask_for_help(
                actor(),
                subject=form.subject.data,
                words=form.message.data,
                decision=form.decision.data or "",
            )
        if attempt.done:
            flash(gettext("Your case %(number)s is open. The answer will stand here.", number=case.number), "green")
            return redirect(url_for("account.help.show", number=case.number))
    status = _status(form, bounded)
    return render_template("account/help/new.html", form=form), status


@blueprint.route("/<number>", methods=["GET", "POST"])
@requires(Capability.CASE_OWN)
def show(number: str) -> ResponseReturnValue:
    """One case of one's own with its talk, and a way to go on with it."""
    who, form, bounded = actor(), WriteForm(), Attempt()
    own_case(who, number)
    if form.validate_on_submit():
        with told_as_news(LimitReached) as bounded, told_beside(form) as attempt:
            write_in_case(who, number, words=form.message.data)
        if attempt.done:
            flash(gettext("Your message is with the desk."), "green")
            return redirect(url_for("account.help.show", number=number))
    status = _status(form, bounded)
    case, open_to_words = own_case(who, number)
    talk = own_talk(who, number)
    return render_template("account/help/show.html", case=case, talk=talk, may_write=open_to_words, form=form), status


def _status(form: FlaskForm, bounded: Attempt) -> int:
    """429 where it was too often, which the form says; 422 for what was wrong with it."""
    if bounded.words:
        form.form_errors.append(bounded.words)
        return 429
    return 422 if form.is_submitted() else 200
