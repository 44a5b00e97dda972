"""/staff/cases: the cases about users, and opening one."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import HiddenField, RadioField, SelectChoice, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from portal.accounts.directory import user_to_help
from portal.core.access import Capability
from portal.core.actor import MOST_REASON
from portal.core.errors import Conflict, Forbidden
from portal.core.ids import parse_id
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.support.cases import CHANNELS, MOST_OUTCOME, MOST_REFERENCE, close_case, open_case
from portal.support.handing import claim_case, hand_back, hand_to_level, hand_to_person, takers_of
from portal.support.messages import MOST_WORDS, answer_case
from portal.support.queue import case_named, open_case_page, own_desk
from portal.web.forms import local_target, told_as_news, told_beside
from portal.web.gates import requires
from portal.web.identity import actor

if TYPE_CHECKING:
    from portal.support.handing import Takers

blueprint = Blueprint("cases", __name__, url_prefix="/cases")


class CaseForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """Who asks, by which way, and what for."""

    reason = StringField(words("What is it about?"), [InputRequired(words("Say what it is about.")), Length(max=500)])
    channel = RadioField(
        words("How do they ask?"),
        choices=[SelectChoice(name, label) for name, label in CHANNELS.items() if name != "page"],
        default="phone",
    )
    reference = StringField(words("Their own number for it, if they have one"), [Length(max=MOST_REFERENCE)])


class AnswerForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """What the user is told."""

    message = TextAreaField(words("Answer"), [InputRequired(words("Write an answer.")), Length(max=MOST_WORDS)])


class HandForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """To whom the case goes, and what they are to do."""

    to = SelectField(words("To whom?"))
    why = TextAreaField(
        words("What is to be done?"), [InputRequired(words("Say what is to be done.")), Length(max=MOST_REASON)]
    )


class CloseForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """What came of it. `read` is the last message on the page."""

    read = HiddenField()
    outcome = TextAreaField(
        words("What came of it?"), [InputRequired(words("Say what came of it.")), Length(max=MOST_OUTCOME)]
    )


@blueprint.get("")
@requires(Capability.CASE_WORK)
def index() -> ResponseReturnValue:
    """What is mine to do: handed to me, held by me, and what I lately closed."""
    return render_template("staff/cases/index.html", desk=own_desk(actor()))


@blueprint.get("/<number>")
@requires(Capability.CASE_WORK)
def show(number: str) -> ResponseReturnValue:
    """One case: who, what, since when, the talk, what was done in it, and what can be done now."""
    return _page(number)


@blueprint.post("/<number>/claim")
@requires(Capability.CASE_WORK)
def claim(number: str) -> ResponseReturnValue:
    """Take the case from the queue."""
    case = case_named(actor(), number)
    with told_as_news(Conflict, Forbidden) as attempt:
        claim_case(actor(), case.id)
    if attempt.done:
        flash(gettext("The case is yours. It stays so as long as something is done in it every hour."), "green")
    else:
        flash(attempt.words, "yellow")
    return redirect(url_for("staff.cases.show", number=number))


@blueprint.post("/<number>/answer")
@requires(Capability.CASE_WORK)
def answer(number: str) -> ResponseReturnValue:
    """Write to the user."""
    case, form = case_named(actor(), number), AnswerForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            answer_case(actor(), case.id, words=form.message.data)
        if attempt.done:
            flash(gettext("Answered. The user is told by mail that there is an answer."), "green")
            return redirect(url_for("staff.cases.show", number=number))
    return _page(number, answering=form), 422


@blueprint.post("/<number>/hand")
@requires(Capability.CASE_WORK)
def hand(number: str) -> ResponseReturnValue:
    """Hand the case up to a level or a person, or back into the queue."""
    who = actor()
    case, form = case_named(who, number), HandForm()
    form.to.choices = _choices(takers_of(who, case))
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            sort, _, which = form.to.data.partition(":")
            if sort == "level":
                hand_to_level(who, case.id, level=int(which), why=form.why.data)
            elif sort == "person" and (person_id := parse_id(which)):
                hand_to_person(who, case.id, person_id=person_id, why=form.why.data)
            else:
                hand_back(who, case.id, why=form.why.data)
        if attempt.done:
            flash(gettext("Case %(number)s is no longer yours; it waits in the queue.", number=number), "green")
            return redirect(url_for("staff.cases.index"))
    return _page(number, handing=form), 422


@blueprint.post("/<number>/close")
@requires(Capability.CASE_WORK)
def close(number: str) -> ResponseReturnValue:
    """End the case, saying what came of it."""
    case, form = case_named(actor(), number), CloseForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            close_case(actor(), case.id, outcome=form.outcome.data, read=parse_id(form.read.data or ""))
        if attempt.done:
            flash(gettext("Case %(number)s is closed.", number=number), "green")
            return redirect(url_for("staff.cases.index"))
    return _page(number, closing=form), 422


def _choices(takers: Takers) -> list[SelectChoice]:
    """The queue, levels above, people; as values of a form."""
    levels = [
        SelectChoice(f"level:{level}", gettext("Level %(level)s", level=level), optgroup=gettext("Up"))
        for level in takers.levels
    ]
    people = [
        SelectChoice(
            f"person:{one.id}",
            gettext("%(name)s, level %(level)s", name=one.shown_name, level=one.level),
            optgroup=gettext("To somebody"),
        )
        for one in takers.people
    ]
    back = SelectChoice("queue", gettext("Whoever comes first, at its level"), optgroup=gettext("Back into the queue"))
    return [*levels, *people, back]


def _page(
    number: str,
    *,
    answering: AnswerForm | None = None,
    handing: HandForm | None = None,
    closing: CloseForm | None = None,
) -> str:
    """The page of a case, with the form in which something was wrong; the forms share no names."""
    seen = open_case_page(actor(), number)
    if handing is None:
        handing = HandForm(formdata=None)
        handing.to.choices = _choices(takers_of(actor(), seen.line.case))
    closing = closing or CloseForm(formdata=None)
    closing.read.data = str(seen.messages[-1].id) if seen.messages else ""
    return render_template(
        "staff/cases/show.html",
        seen=seen,
        answering=answering or AnswerForm(formdata=None),
        handing=handing,
        closing=closing,
    )


@blueprint.route("/new/<uuid:user_id>", methods=["GET", "POST"])
@requires(Capability.CASE_WORK)
def new(user_id: UUID) -> ResponseReturnValue:
    """Open a case about this user, and go back to where one was wanted."""
    user = user_to_help(actor(), user_id)
    record = "staff.deleted.show" if user.state == "deleted" else "staff.users.show"
    target = local_target(request.values.get("next"), url_for(record, user_id=user_id))
    form = CaseForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            case = open_case(
                actor(),
                user_id,
                reason=form.reason.data,
                channel=form.channel.data,
                reference=form.reference.data or "",
            )
        if attempt.done:
            flash(gettext("Case %(number)s is open.", number=case.number), "green")
            return redirect(target)
    page = render_template(
        "staff/cases/new.html", form=form, user=user, target=target, record_url=url_for(record, user_id=user_id)
    )
    return page, 422 if form.is_submitted() else 200
