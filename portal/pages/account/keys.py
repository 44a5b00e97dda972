"""/account/keys: make, change, rotate, revoke."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import (
    DateField,
    HiddenField,
    RadioField,
    SelectChoice,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from portal.core import clock, settings
from portal.core.access import Capability
from portal.core.text import gettext, ngettext
from portal.core.text import lazy_gettext as words
from portal.keys.rotation import predecessor, rotate_key, uses_of
from portal.keys.service import (
    NewKey,
    change_key,
    create_key,
    lately_leaked,
    own_key,
    own_keys_page,
    revoke_key,
    used_today,
)
from portal.keys.terms import MOST_LIMIT, MOST_NAME, KeyTerms, end_of_day
from portal.web.faces import exact
from portal.web.forms import WholeNumberField, told_beside, version_of
from portal.web.gates import asks_again, requires
from portal.web.identity import actor, viewer

if TYPE_CHECKING:
    from datetime import datetime

    from portal.keys.models import ApiKey

blueprint = Blueprint("keys", __name__, url_prefix="/keys")
SPANS = (7, 30, 90, 365)
SEPARATORS = re.compile(r"[\s,;]+")


class KeyForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """The terms of a key."""

    version = HiddenField(default="0")
    name = StringField(
        words("Name"),
        [InputRequired(words("Give the key a name, so that you know it again.")), Length(max=MOST_NAME)],
    )
    expires_at = SelectField(words("Ends"), default="never")
    last_day = DateField(words("Or at the end of"), [Optional()])
    daily_limit = WholeNumberField(
        words("Own daily limit"),
        [Optional(), NumberRange(0, MOST_LIMIT, words("A whole number from 0 to 1,000,000."))],
    )
    scopes = StringField(words("Scopes"), [Length(max=2000)])
    networks = TextAreaField(words("Networks"), [Length(max=5000)])


class ListedKeyForm(KeyForm):
    """The same, where KEY_SCOPES says which scopes there are."""

    scopes = SelectMultipleField(words("Scopes"))


class RotateForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """For how long the old key goes on."""

    overlap_s = RadioField(
        words("The old key is good"),
        choices=[
            SelectChoice("3600", words("for one hour more")),
            SelectChoice("86400", words("for 24 hours more")),
            SelectChoice("604800", words("for 7 days more")),
            SelectChoice("0", words("no longer: it is revoked at once")),
        ],
        default="86400",
    )


def _form(key: ApiKey | None = None) -> KeyForm:
    """The form, filled from the key when there is one."""
    listed = settings.current().key_scopes
    filled: dict[str, Any] = {}
    if key is not None:
        filled = {
            "version": str(key.version),
            "name": key.name,
            "expires_at": "keep",
            "daily_limit": key.daily_limit,
            "scopes": key.scopes if listed else " ".join(key.scopes),
            "networks": "\n".join(key.networks),
        }
    form = ListedKeyForm(**filled) if listed else KeyForm(**filled)
    if listed:
        # A scope that is offered no more may stay where it is.
        held = [scope for scope in (key.scopes if key else []) if scope not in listed]
        form.scopes.choices = [SelectChoice(scope, scope) for scope in [*listed, *held]]
    form.expires_at.choices = [SelectChoice(value, shown) for value, shown in _ends_offered(key)]
    return form


def _ends_offered(key: ApiKey | None) -> list[tuple[str, str]]:
    ends = [("never", gettext("Never"))]
    ends += [(str(days), ngettext("In one day", "In %(num)s days", days)) for days in SPANS]
    if key is not None:
        when = exact(key.expires_at) if key.expires_at else gettext("never")
        ends = [("keep", gettext("As it is: %(when)s", when=when)), *(ends if key.expires_at else ends[1:])]
    return ends


def _ends(form: KeyForm, key: ApiKey | None) -> datetime | None:
    """When the key shall end; a day that is typed wins over a span that is chosen."""
    person = viewer()
    if form.last_day.data is not None:
        return end_of_day(form.last_day.data, person.time_zone if person else "UTC")
    if form.expires_at.data == "keep" and key is not None:
        return key.expires_at
    if form.expires_at.data == "never":
        return None
    return clock.now() + timedelta(days=int(form.expires_at.data))


def _terms(form: KeyForm, key: ApiKey | None = None) -> KeyTerms:
    scopes = form.scopes.data or []
    return KeyTerms(
        name=form.name.data,
        scopes=_words(scopes) if isinstance(scopes, str) else tuple(scopes),
        expires_at=_ends(form, key),
        networks=_words(form.networks.data or ""),
        daily_limit=form.daily_limit.data,
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in SEPARATORS.split(text) if word)


def _made(made: NewKey, replaced: ApiKey | None = None) -> ResponseReturnValue:
    """The one page that shows a key."""
    page = render_template(
        "account/keys/made.html",
        key=made.key,
        secret=made.secret,
        replaced=replaced,
        site_url=settings.current().site_url,
    )
    return page, 201


@blueprint.get("")
@requires(Capability.OWN_KEYS)
def index() -> ResponseReturnValue:
    """Own keys: those in use, or those that have ended."""
    who, ended = actor(), request.args.get("show") == "ended"
    page = own_keys_page(who, ended=ended, cursor=request.args.get("cursor"))
    return render_template("account/keys/index.html", page=page, ended=ended, leaked=lately_leaked(who))


@blueprint.route("/new", methods=["GET", "POST"])
@requires(Capability.OWN_KEYS)
@asks_again()
def new() -> ResponseReturnValue:
    """Make a key; it is shown in this answer and never again."""
    form = _form()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            terms = _terms(form)
            made = create_key(
                actor(),
                name=terms.name,
                scopes=terms.scopes,
                expires_at=terms.expires_at,
                networks=terms.networks,
                daily_limit=terms.daily_limit,
            )
        if attempt.done:
            return _made(made)
    return render_template("account/keys/new.html", form=form), 422 if form.is_submitted() else 200


@blueprint.route("/<uuid:key_id>", methods=["GET", "POST"])
@requires(Capability.OWN_KEYS)
def show(key_id: UUID) -> ResponseReturnValue:
    """One key; its terms can be changed here."""
    who = actor()
    key = own_key(who, key_id)
    form = _form(key)
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            change_key(who, key_id, _terms(form, key), version=version_of(form.version.data))
        if attempt.done:
            flash(gettext("Saved. It holds from the next call on."), "green")
            return redirect(url_for("account.keys.show", key_id=key_id))
    page = render_template(
        "account/keys/show.html",
        key=own_key(who, key_id),
        form=form,
        uses=uses_of(who, key_id),
        used=used_today(who, key_id),
        successor=own_key(who, key.replaced_by) if key.replaced_by else None,
        predecessor=predecessor(who, key_id),
    )
    return page, 422 if form.is_submitted() else 200


@blueprint.route("/<uuid:key_id>/rotate", methods=["GET", "POST"])
@requires(Capability.OWN_KEYS)
@asks_again()
def rotate(key_id: UUID) -> ResponseReturnValue:
    """Say what will happen, then put a new key in the place of this one."""
    who, form = actor(), RotateForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            made = rotate_key(who, key_id, overlap_s=int(form.overlap_s.data))
        if attempt.done:
            return _made(made, replaced=own_key(who, key_id))
    page = render_template("account/keys/rotate.html", key=own_key(who, key_id), form=form)
    return page, 422 if form.is_submitted() else 200


@blueprint.route("/<uuid:key_id>/revoke", methods=["GET", "POST"])
@requires(Capability.OWN_KEYS)
@asks_again()
def revoke(key_id: UUID) -> ResponseReturnValue:
    """Say what will happen, then revoke."""
    form = FlaskForm()
    if form.validate_on_submit():
        revoke_key(actor(), key_id)
        flash(gettext("The key is revoked. Calls with it are refused from now on."), "green")
        return redirect(url_for("account.keys.index"))
    return render_template("account/keys/revoke.html", key=own_key(actor(), key_id), form=form)
