"""/account/security/recovery-codes: how many are left, new ones, and the one page that shows them."""

from __future__ import annotations

from flask import Blueprint, Response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm

from portal.accounts.directory import own_account
from portal.core import settings
from portal.core.access import Capability
from portal.core.errors import Malformed
from portal.core.text import gettext
from portal.signin.factors import factors_of
from portal.signin.recovery import COUNT, canonical_code, codes_made_at, renew_recovery_codes
from portal.web.forms import local_target
from portal.web.gates import asks_again, requires
from portal.web.identity import actor, renew_cookie, viewer

blueprint = Blueprint("recovery_codes", __name__, url_prefix="/security/recovery-codes")


def onward(wanted: str | None, fallback: str) -> str:
    """Where to go on after setting up: where one wanted to go when a second factor was asked for, else `fallback`."""
    return local_target(wanted, fallback)


def codes_page(codes: list[str], wanted: str | None = None) -> ResponseReturnValue:
    """The one page that shows recovery codes; every verb that makes some ends with it."""
    person = viewer()
    home = person.home_url if person and wanted is not None else url_for("account.security.index")
    return render_template("account/recovery_codes/made.html", codes=codes, onward=onward(wanted, home)), 201


@blueprint.get("")
@requires(Capability.OWN_SECURITY)
def index() -> ResponseReturnValue:
    """How many are left. The codes themselves cannot be shown again."""
    return _page(FlaskForm())


def _page(form: FlaskForm) -> ResponseReturnValue:
    who = actor()
    account = own_account(who)
    return render_template(
        "account/recovery_codes/index.html",
        factors=factors_of(account.id),
        made_at=codes_made_at(who),
        form=form,
        most=COUNT,
    )


@blueprint.post("")
@requires(Capability.OWN_SECURITY)
@asks_again(factor=True)
@asks_again()
def renew() -> ResponseReturnValue:
    """New codes, shown in this answer and never again."""
    made = renew_recovery_codes(actor())
    renew_cookie(made.secret)
    return codes_page(made.codes)


@blueprint.post("/file")
@requires(Capability.OWN_SECURITY)
def file() -> ResponseReturnValue:
    """The codes of the page that shows them, as a file to keep: they come back from that page, nobody else has them."""
    codes = request.form.getlist("code")
    if not 0 < len(codes) <= COUNT or not all(canonical_code(code) for code in codes):
        raise Malformed
    about = gettext("Recovery codes for %(site)s. Each opens your account once.", site=settings.current().site_name)
    answer = Response("\r\n".join([about, "", *codes, ""]), mimetype="text/plain")
    answer.headers["Content-Disposition"] = 'attachment; filename="recovery-codes.txt"'
    return answer
