"""/account/security: what opens this account, at a glance; each part has a page of its own below."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from portal.accounts.directory import own_account
from portal.accounts.standing import owes_factor
from portal.core.access import Capability
from portal.signin.factors import factors_of
from portal.web.gates import Standing, open_while, requires
from portal.web.identity import actor

blueprint = Blueprint("security", __name__, url_prefix="/security")


@blueprint.get("")
@open_while(Standing.ENROLLING)
@requires(Capability.OWN_SECURITY)
def index() -> ResponseReturnValue:
    """Password, second factors, linked sign-ins. Where a factor must be set up first, it says so."""
    account = own_account(actor())
    return render_template(
        "account/security/index.html",
        account=account,
        factors=factors_of(account.id),
        owes=owes_factor(account),
        next=request.args.get("next"),
    )
