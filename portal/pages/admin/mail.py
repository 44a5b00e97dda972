"""/admin/mail: what waits, left or was given up; sending again; a test mail; every letter as it looks."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.core import settings
from portal.core.access import Capability
from portal.core.text import gettext, ngettext
from portal.mail.managing import STATES, list_letters, list_mails, preview_letter, retry_mails
from portal.signin.mail_trial import send_test_mail
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.lists import page_urls, typed

blueprint = Blueprint("mail", __name__, url_prefix="/mail")


@blueprint.get("")
@requires(Capability.SETTING_MANAGE)
def index() -> ResponseReturnValue:
    """One page of the outbox, latest first."""
    state = typed("state") if typed("state") in STATES else ""
    page, recipients = list_mails(actor(), state, request.args.get("cursor"))
    return render_template(
        "admin/mail/index.html",
        page=page,
        urls=page_urls(page),
        recipients=recipients,
        state=state,
        leaves=settings.current().mail_leaves,
    )


@blueprint.post("/test")
@requires(Capability.SETTING_MANAGE)
def test() -> ResponseReturnValue:
    """A test mail to oneself."""
    to = send_test_mail(actor())
    words = gettext("A test mail to %(email)s is in the outbox. Reload to see whether it left, or why not.", email=to)
    flash(words, "green")
    return redirect(url_for("admin.mail.index"))


@blueprint.post("/retry")
@requires(Capability.SETTING_MANAGE)
def retry_all() -> ResponseReturnValue:
    """Send everything again that was given up."""
    return _retried(retry_mails(actor()))


@blueprint.post("/<uuid:mail_id>/retry")
@requires(Capability.SETTING_MANAGE)
def retry(mail_id: UUID) -> ResponseReturnValue:
    """Send one again."""
    return _retried(retry_mails(actor(), mail_id))


def _retried(count: int) -> ResponseReturnValue:
    flash(ngettext("%(num)d mail is sent again.", "%(num)d mails are sent again.", count), "green")
    return redirect(url_for("admin.mail.index"))


@blueprint.get("/letters")
@requires(Capability.SETTING_MANAGE)
def letters() -> ResponseReturnValue:
    """Every letter there is."""
    return render_template("admin/mail/letters.html", letters=list_letters(actor()))


@blueprint.get("/letters/<name>")
@requires(Capability.SETTING_MANAGE)
def letter(name: str) -> ResponseReturnValue:
    """One letter with made-up values."""
    subject, text, html = preview_letter(actor(), name)
    return render_template("admin/mail/letter.html", name=name, subject=subject, text=text, html=html)
