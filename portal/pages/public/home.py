"""/ for whoever is signed out; everybody else goes home."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template
from flask.typing import ResponseReturnValue

from portal.web.identity import viewer

blueprint = Blueprint("home", __name__)


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """What this is, sign in, register."""
    person = viewer()
    return redirect(person.home_url) if person else render_template("public/home/index.html")
