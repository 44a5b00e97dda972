"""/account/conversations: read and search one's own, and choose what is kept."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import RadioField, SelectChoice, StringField

from portal.core.access import Capability
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.messages.choosing import OFFERED, choose_keeping, own_choices
from portal.messages.reading import models_of, own_conversation, own_conversations, own_hits, searches_words
from portal.web.forms import told_beside
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.log_filters import typed_filter

blueprint = Blueprint("conversations", __name__, url_prefix="/conversations")


class KeepingForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """What is kept, and the username where words are taken away by it."""

    keeping = RadioField(words("What is kept"), choices=[SelectChoice(one) for one in OFFERED], validate_choice=False)
    typed_name = StringField(words("Your username"))


@blueprint.get("")
@requires(Capability.OWN_CONVERSATIONS)
def index() -> ResponseReturnValue:
    """One page of conversations; narrowed, one of the places that were found."""
    who, filters = actor(), typed_filter()
    cursor = request.args.get("cursor")
    found = own_hits(who, filters.wanted, cursor) if filters.wanted.narrows else None
    return render_template(
        "account/conversations/index.html",
        page=found or own_conversations(who, cursor=cursor),
        found=found,
        filters=filters,
        models=models_of(who.id) if who.id else [],
        searches_words=searches_words(),
    )


@blueprint.get("/<uuid:conversation_id>")
@requires(Capability.OWN_CONVERSATIONS)
def show(conversation_id: UUID) -> ResponseReturnValue:
    """One conversation, oldest words first."""
    conversation, exchanges = own_conversation(actor(), conversation_id)
    return render_template("account/conversations/show.html", conversation=conversation, exchanges=exchanges)


@blueprint.route("/keeping", methods=["GET", "POST"])
@requires(Capability.OWN_CONVERSATIONS)
def keeping() -> ResponseReturnValue:
    """Choose what is kept; what a choice would take away is said beside it."""
    choices = own_choices(actor())
    form = KeepingForm(keeping=choices.chosen)
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            chosen = choose_keeping(actor(), form.keeping.data or "", typed_name=form.typed_name.data or "")
        if attempt.done:
            if chosen.takes:
                flash(gettext("Saved. What is not kept any more is deleted within the hour."), "green")
            else:
                flash(gettext("Saved."), "green")
            return redirect(url_for("account.conversations.keeping"))
    page = render_template("account/conversations/keeping.html", form=form, choices=choices)
    return page, 422 if form.is_submitted() else 200
