"""/not-me/<token>: lock an account after a sign-in that was not its owner's."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm

from portal.privacy.disowning import disown, sign_in_to_disown
from portal.web.identity import actor

blueprint = Blueprint("not_me", __name__)


@blueprint.route("/not-me/<token>", methods=["GET", "POST"])
def index(token: str) -> ResponseReturnValue:
    """A GET shows a button; the POST spends the link and shuts the account."""
    form = FlaskForm()
    if form.validate_on_submit():
        return render_template("public/not_me/done.html", said=disown(actor(), token))
    return render_template("public/not_me/index.html", said=sign_in_to_disown(token), form=form)
