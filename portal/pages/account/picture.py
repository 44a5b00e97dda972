"""/account/picture: send, see and remove the own picture; /account/picture/<id> shows one to whoever may see it."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from flask_wtf.file import FileField, FileRequired

from portal.accounts.directory import own_account
from portal.accounts.pictures import open_picture, remove_picture, set_picture
from portal.core.access import Capability
from portal.core.pictures import MOST_BYTES
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.web.csrf import takes_at_most
from portal.web.forms import told_beside
from portal.web.gates import Standing, open_while, requires
from portal.web.identity import actor

blueprint = Blueprint("picture", __name__, url_prefix="/picture")
# The frame of a form with a file: names, lengths, the token.
AROUND = 16 * 1024


class PictureForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """A file."""

    picture = FileField(words("Picture"), [FileRequired(words("Choose a file."))])


@blueprint.route("", methods=["GET", "POST"])
@takes_at_most(MOST_BYTES + AROUND)
@requires(Capability.OWN_PROFILE)
def index() -> ResponseReturnValue:
    """See it, and send another."""
    form = PictureForm()
    if form.validate_on_submit():
        content = form.picture.data.read(MOST_BYTES + 1)
        with told_beside(form) as attempt:
            set_picture(actor(), content)
        if attempt.done:
            flash(gettext("This is your picture now."), "green")
            return redirect(url_for("account.picture.index"))
    page = render_template("account/picture/index.html", form=form, account=own_account(actor()))
    return page, 422 if form.is_submitted() else 200


@blueprint.post("/remove")
@requires(Capability.OWN_PROFILE)
def remove() -> ResponseReturnValue:
    """Take it away."""
    remove_picture(actor())
    flash(gettext("Your picture is removed."), "green")
    return redirect(url_for("account.picture.index"))


@blueprint.get("/<uuid:picture_id>")
@open_while(Standing.CLOSING, Standing.ENROLLING)
def show(picture_id: UUID) -> ResponseReturnValue:
    """The picture. Browsers keep it but ask each time whether it is still there."""
    response = Response(open_picture(actor(), picture_id), mimetype="image/webp")
    response.headers["Content-Disposition"] = 'inline; filename="picture.webp"'
    response.headers["Content-Security-Policy"] = "default-src 'none'"
    response.headers["Cache-Control"] = "private, no-cache"
    response.set_etag(picture_id.hex)
    return response.make_conditional(request)
