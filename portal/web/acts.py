"""Walking through an act on a user's account: why, what will happen, then the deed. The same at the desk and in the
console; which acts there are says web/act_table.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flask import request
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from portal.accounts.directory import user_record
from portal.core.access import check_recent
from portal.core.errors import Conflict
from portal.core.text import Shown
from portal.core.text import lazy_gettext as words
from portal.web.acting import acting_for
from portal.web.forms import told_as_news, told_beside
from portal.web.identity import actor

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from portal.accounts.models import User
    from portal.core.actor import Actor

REASON = [InputRequired(words("Say why.")), Length(max=500)]


class ReasonForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """Why it is done."""

    reason = StringField(words("Reason"), REASON)


@dataclass(frozen=True, slots=True)
class Done:
    """An act that is done: what to say of it, and the link it made where one is to be handed over."""

    words: str
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Act:
    """What can be done to an account.

    `preview` tells in sentences what will happen; Conflict from it says that there is nothing to do. With `chosen`,
    fields of the form decide what will: it is told once they are filled, before a second button does it; `stands` says
    above them how things are. `acting` gives the actor; `recent` asks first who it is where the verb will.
    """

    title: Shown
    button: Shown
    drawing: str
    preview: Callable[[Actor, User, FlaskForm], list[str]]
    perform: Callable[[Actor, User, FlaskForm], Done]
    form: type[FlaskForm] = ReasonForm
    prepare: Callable[[Actor, User, FlaskForm], None] | None = None
    stands: Callable[[Actor, User], str] | None = None
    chosen: tuple[str, ...] = ()
    danger: bool = False
    recent: bool = False
    acting: Callable[..., Actor] = acting_for


@dataclass(slots=True)
class Asked:
    """The page of an act that is not done yet. `hindrance` says why it cannot be; `sure` that a last button is left."""

    act: Act
    user: User
    form: FlaskForm
    lines: list[str] = field(default_factory=list)
    stands: str = ""
    hindrance: str = ""
    sure: bool = False
    status: int = 200


def walk(act: Act, user_id: UUID) -> Asked | Done:
    """One step of an act: the page to show next, or what was done. Raises CaseNeeded, NotFound, ReauthNeeded."""
    user = user_record(actor(), user_id)
    who = act.acting(user_id)
    if act.recent:
        check_recent(who, factor=True)
    form = act.form()
    if not form.is_submitted() and who.case is not None:
        form.reason.data = who.reason
    if act.prepare is not None:
        act.prepare(who, user, form)
    asked = Asked(act, user, form, stands=act.stands(who, user) if act.stands else "")
    wants_look = bool(act.chosen) and not request.form.get("sure")
    done: Done | None = None
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            told = act.acting(user_id, form.reason.data)
            if wants_look:
                asked.lines, asked.sure = act.preview(told, user, form), True
            else:
                done = act.perform(told, user, form)
        if attempt.done:
            return done or asked
        user = asked.user = user_record(who, user_id)
    asked.status = 422 if form.is_submitted() else 200
    if not act.chosen:
        with told_as_news(Conflict) as looked:
            asked.lines = act.preview(who if who.case else who.because("-"), user, form)
        asked.hindrance = looked.words
    return asked
