"""/admin/providers: see, make, change, try, switch off and delete outside sign-in providers."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField, PasswordField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from portal.core.access import Capability
from portal.core.errors import Invalid
from portal.core.provider_terms import ProviderTerms
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.outside.discovery import Metadata
from portal.outside.managing import (
    create_provider,
    delete_provider,
    edit_provider,
    enable_provider,
    list_providers,
    provider_record,
    try_given,
    try_provider,
)
from portal.outside.models import Provider
from portal.outside.trips import redirect_uri
from portal.web.forms import told_as_news, told_beside, version_of
from portal.web.gates import asks_again, requires
from portal.web.identity import actor

blueprint = Blueprint("providers", __name__, url_prefix="/providers")


class ProviderForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """A provider's terms. What is wrong with them the verb says."""

    version = HiddenField(default="0")
    slug = StringField(words("Short name"), [InputRequired(words("Give it a short name.")), Length(max=80)])
    name = StringField(words("Name"), [InputRequired(words("Give the provider a name.")), Length(max=200)])
    issuer = StringField(words("Issuer"), [InputRequired(words("Type the issuer's address.")), Length(max=1000)])
    client_id = StringField(words("Client ID"), [InputRequired(words("Type the client ID.")), Length(max=1000)])
    client_secret = PasswordField(words("Client secret"), [Length(max=1000)])
    scopes = StringField(words("Scopes"), [Length(max=2500)], default="openid email profile")
    domains = TextAreaField(words("E-mail domains"), [Length(max=20_000)])
    makes_accounts = BooleanField(words("People without an account get one"))


def _terms(form: ProviderForm) -> ProviderTerms:
    return ProviderTerms(
        slug=form.slug.data.strip(),
        name=form.name.data.strip(),
        issuer=form.issuer.data.strip(),
        client_id=form.client_id.data.strip(),
        client_secret=(form.client_secret.data or "").strip(),
        scopes=tuple((form.scopes.data or "").split()),
        domains=tuple((form.domains.data or "").replace(",", " ").split()),
        makes_accounts=form.makes_accounts.data,
    )


def _written(made: Provider) -> dict[str, object]:
    """The terms as the form shows them: never the secret."""
    names = ("version", "slug", "name", "issuer", "client_id", "makes_accounts")
    lists = {"scopes": " ".join(made.scopes), "domains": "\n".join(made.domains)}
    return {**{name: getattr(made, name) for name in names}, **lists}


@blueprint.get("")
@requires(Capability.SETTING_MANAGE)
def index() -> ResponseReturnValue:
    """All providers."""
    return render_template("admin/providers/index.html", listed=list_providers(actor()))


@blueprint.route("/new", methods=["GET", "POST"])
@requires(Capability.SETTING_MANAGE)
@asks_again(factor=True)
def new() -> ResponseReturnValue:
    """Add a provider."""
    form = ProviderForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            made = create_provider(actor(), _terms(form))
        if attempt.done:
            flash(gettext("%(name)s is added. Try it before you tell anybody.", name=made.name), "green")
            return redirect(url_for("admin.providers.edit", provider_id=made.id))
    return _page(form, None), 422 if form.is_submitted() else 200


@blueprint.route("/<uuid:provider_id>", methods=["GET", "POST"])
@requires(Capability.SETTING_MANAGE)
@asks_again(factor=True)
def edit(provider_id: UUID) -> ResponseReturnValue:
    """Change a provider."""
    made = provider_record(actor(), provider_id)
    form = ProviderForm(data=_written(made))
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            edit_provider(actor(), provider_id, _terms(form), version=version_of(form.version.data))
        if attempt.done:
            flash(gettext("Saved."), "green")
            return redirect(url_for("admin.providers.index"))
    return _page(form, made), 422 if form.is_submitted() else 200


def _page(form: ProviderForm, made: Provider | None) -> str:
    sent_back_to = redirect_uri(made.slug if made else gettext("SHORT-NAME"))
    return render_template("admin/providers/edit.html", form=form, provider=made, sent_back_to=sent_back_to)


@blueprint.post("/<uuid:provider_id>/try")
@requires(Capability.SETTING_MANAGE)
def try_out(provider_id: UUID) -> ResponseReturnValue:
    """Ask the provider about itself."""
    with told_as_news(Invalid) as attempt:
        found = try_provider(actor(), provider_id)
    _say(found if attempt.done else None, attempt.words)
    return redirect(url_for("admin.providers.edit", provider_id=provider_id))


@blueprint.post("/given/<slug>/try")
@requires(Capability.SETTING_MANAGE)
def try_out_given(slug: str) -> ResponseReturnValue:
    """The same for one of the settings."""
    with told_as_news(Invalid) as attempt:
        found = try_given(actor(), slug)
    _say(found if attempt.done else None, attempt.words)
    return redirect(url_for("admin.providers.index"))


def _say(found: Metadata | None, why_not: str) -> None:
    if found is None:
        flash(why_not, "red")
    else:
        flash(gettext("It answers as %(issuer)s and says where to go.", issuer=found.issuer), "green")


@blueprint.post("/<uuid:provider_id>/enable")
@requires(Capability.SETTING_MANAGE)
def enable(provider_id: UUID) -> ResponseReturnValue:
    """Offer it."""
    made = enable_provider(actor(), provider_id, enabled=True)
    flash(gettext("%(name)s is offered on the sign-in page.", name=made.name), "green")
    return redirect(url_for("admin.providers.index"))


@blueprint.post("/<uuid:provider_id>/disable")
@requires(Capability.SETTING_MANAGE)
def disable(provider_id: UUID) -> ResponseReturnValue:
    """Offer it no more."""
    made = enable_provider(actor(), provider_id, enabled=False)
    flash(gettext("%(name)s opens no account any more. Sessions that began with it go on.", name=made.name), "green")
    return redirect(url_for("admin.providers.index"))


@blueprint.post("/<uuid:provider_id>/delete")
@requires(Capability.SETTING_MANAGE)
def delete(provider_id: UUID) -> ResponseReturnValue:
    """Remove a provider."""
    delete_provider(actor(), provider_id)
    flash(gettext("The provider is deleted."), "green")
    return redirect(url_for("admin.providers.index"))
