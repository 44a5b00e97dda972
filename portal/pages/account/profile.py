"""/account/profile: display name and time zone."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import SelectChoice, SelectField, StringField
from wtforms.validators import Length

from portal.accounts.days import resets_at
from portal.accounts.directory import own_account
from portal.accounts.models import Account, User
from portal.accounts.names import zones
from portal.accounts.preferences import change_profile
from portal.accounts.zones import may_move_from
from portal.core import clock
from portal.core.access import Capability
from portal.core.languages import LANGUAGES
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.web.faces import minute
from portal.web.forms import told_beside
from portal.web.gates import requires
from portal.web.identity import actor

blueprint = Blueprint("profile", __name__, url_prefix="/profile")


class ProfileForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """What one may change of oneself."""

    display_name = StringField(words("Display name"), [Length(max=80)])
    language = SelectField(words("Language"), choices=[SelectChoice(*one) for one in LANGUAGES.items()])
    time_zone = SelectField(words("Time zone"), validate_choice=False)


@blueprint.route("", methods=["GET", "POST"])
@requires(Capability.OWN_PROFILE)
def index() -> ResponseReturnValue:
    """See and edit."""
    account = own_account(actor())
    form = ProfileForm(display_name=account.display_name, time_zone=account.time_zone, language=account.language)
    form.time_zone.choices = [SelectChoice(zone, zone.replace("_", " ")) for zone in zones()]
    before = account.time_zone
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            change_profile(
                actor(),
                display_name=form.display_name.data or "",
                time_zone=form.time_zone.data or "",
                language=form.language.data or account.language,
            )
        if attempt.done:
            flash(_saved(account, moved=account.time_zone != before), "green")
            return redirect(url_for("account.profile.index"))
    user = account if isinstance(account, User) else None
    page = render_template(
        "account/profile/index.html",
        form=form,
        account=account,
        day_until=resets_at(user.calendar, clock.now()) if user else None,
        held_until=user.held_until if user and user.held_until and user.held_until > clock.now() else None,
        may_move_from=may_move_from(user) if user else None,
    )
    return page, 422 if form.is_submitted() else 200


def _saved(account: Account, *, moved: bool) -> str:
    if not moved or not isinstance(account, User):
        return gettext("Saved.")
    until = minute(resets_at(account.calendar, clock.now()))
    return gettext("Saved. Your day of today goes on until %(when)s.", when=until)
