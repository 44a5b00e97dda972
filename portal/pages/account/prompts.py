"""/account/prompts: prompts one keeps, with their responses once there are any."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import HiddenField, StringField, TextAreaField
from wtforms.validators import InputRequired

from portal.core.access import Capability
from portal.core.actor import Actor
from portal.core.errors import NotFound
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.prompts.service import PromptWords, change_prompt, create_prompt, delete_prompt, list_prompts, prompt_of
from portal.web.forms import told_beside, version_of
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.lists import typed

blueprint = Blueprint("prompts", __name__, url_prefix="/prompts")


class PromptForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """What a prompt says. Lengths are the verb's business, which counts bytes."""

    version = HiddenField(default="0")
    title = StringField(words("Title"), [InputRequired(words("Give the prompt a title, so that you find it again."))])
    content = TextAreaField(words("Prompt"), [InputRequired(words("Write down the prompt."))])
    response = TextAreaField(words("Response"))


def _said(form: PromptForm) -> PromptWords:
    return PromptWords(form.title.data or "", form.content.data or "", form.response.data or None)


def _own_id(who: Actor) -> UUID:
    if who.id is None:
        raise NotFound
    return who.id


@blueprint.get("")
@requires(Capability.OWN_PROMPTS)
def index() -> ResponseReturnValue:
    """One page of prompts, narrowed to those that hold the words."""
    who, search = actor(), typed("q")
    page = list_prompts(who, _own_id(who), search=search, cursor=request.args.get("cursor"))
    return render_template("account/prompts/index.html", page=page, q=search)


@blueprint.route("/new", methods=["GET", "POST"])
@requires(Capability.OWN_PROMPTS)
def new() -> ResponseReturnValue:
    """Keep a prompt."""
    form, who = PromptForm(), actor()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            prompt = create_prompt(who, _own_id(who), _said(form))
        if attempt.done:
            flash(gettext("The prompt is kept."), "green")
            return redirect(url_for("account.prompts.show", prompt_id=prompt.id))
    return render_template("account/prompts/new.html", form=form), 422 if form.is_submitted() else 200


@blueprint.route("/<uuid:prompt_id>", methods=["GET", "POST"])
@requires(Capability.OWN_PROMPTS)
def show(prompt_id: UUID) -> ResponseReturnValue:
    """One prompt, to read and to change."""
    who = actor()
    prompt = prompt_of(who, _own_id(who), prompt_id)
    filled = {"title": prompt.title, "content": prompt.content, "response": prompt.response}
    form = PromptForm(version=str(prompt.version), **filled)
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            version = version_of(form.version.data)
            change_prompt(who, _own_id(who), prompt_id, _said(form), version=version)
        if attempt.done:
            flash(gettext("Saved."), "green")
            return redirect(url_for("account.prompts.show", prompt_id=prompt_id))
        prompt = prompt_of(who, _own_id(who), prompt_id)
    page = render_template("account/prompts/show.html", prompt=prompt, form=form)
    return page, 422 if form.is_submitted() else 200


@blueprint.post("/<uuid:prompt_id>/delete")
@requires(Capability.OWN_PROMPTS)
def delete(prompt_id: UUID) -> ResponseReturnValue:
    """Delete a prompt for good."""
    who = actor()
    delete_prompt(who, _own_id(who), prompt_id)
    flash(gettext("The prompt is deleted."), "green")
    return redirect(url_for("account.prompts.index"))
