"""/status: does the service work, in words for anybody."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from portal.insight.health import check_parts, is_ready

blueprint = Blueprint("status", __name__)


@blueprint.get("/status")
def index() -> ResponseReturnValue:
    """Up or down; details are for the console."""
    return render_template("public/status/index.html", fine=is_ready(check_parts()))
