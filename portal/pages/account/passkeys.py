"""/account/security/passkeys: those one has, one more, another name, away with one."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import HiddenField, StringField
from wtforms.validators import Length

from portal.core.access import Capability
from portal.core.errors import Conflict, ReauthNeeded
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.outside.identities import ways_to_prove
from portal.pages.account.reauth import lead_out
from portal.pages.account.recovery_codes import codes_page, onward
from portal.signin.own_passkeys import (
    MOST,
    add_passkey,
    begin_adding,
    own_passkey,
    own_passkeys,
    remove_passkey,
    rename_passkey,
    what_removing_does,
)
from portal.signin.passkey_entry import begin_proving, prove_with_passkey
from portal.signin.reauth import has_ended
from portal.signin.steps import Step
from portal.web.forms import local_target, told_beside
from portal.web.gates import Standing, asks_again, open_while, requires
from portal.web.identity import actor, keep_step, kept_step, renew_cookie

blueprint = Blueprint("passkeys", __name__, url_prefix="/security/passkeys")


class NameForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """By what name one knows a passkey again."""

    name = StringField(words("Name"), [Length(max=80, message=words("At most 80 characters."))])


class ProofForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """What the authenticator answered, as JSON, put here by a script."""

    credential = HiddenField()


class NewForm(NameForm):
    """A passkey's name, and what the authenticator answered as JSON, put here by a script."""

    credential = HiddenField()


@blueprint.get("")
@open_while(Standing.ENROLLING)
@requires(Capability.OWN_SECURITY)
def index() -> ResponseReturnValue:
    """Every passkey of one's own."""
    found = own_passkeys(actor())
    return render_template("account/passkeys/index.html", passkeys=found, most=MOST, next=request.args.get("next"))


@blueprint.route("/new", methods=["GET", "POST"])
@open_while(Standing.ENROLLING)
@requires(Capability.OWN_SECURITY)
@asks_again(factor=True)
@asks_again()
def new() -> ResponseReturnValue:
    """Name a passkey and let a device make it."""
    form, wanted = NewForm(), request.args.get("next")
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            added = add_passkey(actor(), kept_step(Step.PASSKEY), form.credential.data or "", name=form.name.data or "")
        if attempt.done:
            renew_cookie(added.secret)
            if added.codes:
                return codes_page(added.codes, wanted)
            flash(gettext("The passkey is added. Other browsers were signed out."), "green")
            return redirect(onward(wanted, url_for("account.passkeys.index")))
    page = render_template("account/passkeys/new.html", form=form, next=wanted)
    return page, 422 if form.is_submitted() else 200


@blueprint.post("/new/options")
@open_while(Standing.ENROLLING)
@requires(Capability.OWN_SECURITY)
def options() -> ResponseReturnValue:
    """A challenge for a device to make a passkey."""
    try:
        challenge = begin_adding(actor())
    except ReauthNeeded as late:
        raise Conflict(late.words) from None  # a script asks: the form, which it sends then, leads on
    keep_step(Step.PASSKEY, challenge.secret)
    return Response(challenge.options, mimetype="application/json")


@blueprint.route("/<uuid:passkey_id>", methods=["GET", "POST"])
@requires(Capability.OWN_SECURITY)
@asks_again()
def rename(passkey_id: UUID) -> ResponseReturnValue:
    """Give it another name."""
    passkey = own_passkey(actor(), passkey_id)
    form = NameForm(name=passkey.name)
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            rename_passkey(actor(), passkey_id, name=form.name.data or "")
        if attempt.done:
            flash(gettext("The passkey has another name now."), "green")
            return redirect(url_for("account.passkeys.index"))
        passkey = own_passkey(actor(), passkey_id)
    page = render_template("account/passkeys/rename.html", form=form, passkey=passkey)
    return page, 422 if form.is_submitted() else 200


@blueprint.route("/<uuid:passkey_id>/remove", methods=["GET", "POST"])
@requires(Capability.OWN_SECURITY)
@asks_again(factor=True)
@asks_again()
def remove(passkey_id: UUID) -> ResponseReturnValue:
    """Remove it, having read what that does."""
    passkey, form = own_passkey(actor(), passkey_id), FlaskForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            secret = remove_passkey(actor(), passkey_id, other_way_in=bool(ways_to_prove(actor())))
        if attempt.done:
            renew_cookie(secret)
            flash(gettext("The passkey is removed. Other browsers were signed out."), "green")
            return redirect(url_for("account.passkeys.index"))
        passkey = own_passkey(actor(), passkey_id)
    result = what_removing_does(actor(), passkey, other_way_in=bool(ways_to_prove(actor())))
    page = render_template("account/passkeys/remove.html", form=form, passkey=passkey, result=result)
    return page, 422 if form.is_submitted() else 200


@blueprint.post("/prove")
@open_while(Standing.ENROLLING, Standing.CLOSING)
@requires(Capability.OWN_SECURITY)
def prove() -> ResponseReturnValue:
    """Show again who one is, on the way to something dangerous, and go on there."""
    who, form, wanted = actor(), ProofForm(), request.form.get("next")
    if form.validate_on_submit():
        target = local_target(wanted, url_for("account.security.index"))
        with told_beside(form) as attempt:
            secret = prove_with_passkey(who, kept_step(Step.PASSKEY), form.credential.data or "")
        if attempt.done:
            renew_cookie(secret)
            return redirect(target)
        if has_ended(who.session_id):
            return lead_out(target)
    flash(" ".join(form.form_errors), "red")
    return redirect(url_for("account.reauth.index", next=wanted, factor=request.form.get("factor")))


@blueprint.post("/prove/options")
@open_while(Standing.ENROLLING, Standing.CLOSING)
@requires(Capability.OWN_SECURITY)
def proof_options() -> ResponseReturnValue:
    """A challenge for one's own passkeys."""
    challenge = begin_proving(actor())
    keep_step(Step.PASSKEY, challenge.secret)
    return Response(challenge.options, mimetype="application/json")
