"""How people want to be met: the theme of their pages and the language they are spoken and written to in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import update
from sqlalchemy.orm.exc import StaleDataError

from portal.accounts.lifecycle import edit_profile, target_of
from portal.accounts.models import Account
from portal.audit import events
from portal.audit.record import record
from portal.core.access import Capability, needs
from portal.core.database import db
from portal.core.errors import Invalid, NotFound, Stale
from portal.core.languages import LANGUAGES
from portal.core.text import gettext

if TYPE_CHECKING:
    from portal.core.actor import Actor

THEMES = {"auto", "light", "dark"}


@needs(Capability.OWN_PROFILE)
def choose_theme(actor: Actor, theme: str) -> None:
    """Keep the actor's theme for every browser: auto, light or dark; another is none. Nobody's version changes."""
    chosen = update(Account).where(Account.id == actor.id).values(theme=theme if theme in THEMES else "auto")
    db.session.execute(chosen.execution_options(synchronize_session=False))


@needs(Capability.OWN_PROFILE)
def choose_language(actor: Actor, language: str) -> None:
    """Speak and write to the actor in this language from now on. Raises Invalid at "language"."""
    account = db.session.get(Account, actor.id)
    if account is None:
        raise NotFound
    if language not in LANGUAGES:
        raise Invalid({"language": gettext("Choose one of the languages.")})
    if account.language != language:
        account.language = language
        record(actor, events.PROFILE_EDITED, target_of(account), {"changed": ["language"]})


@needs(Capability.OWN_PROFILE)
def change_profile(
    actor: Actor,
    *,
    display_name: str | None = None,
    time_zone: str | None = None,
    language: str | None = None,
    version: int | None = None,
) -> Account:
    """Change what is given of the own profile; the rest stays. With a `version` it must still be that one.

    Raises Invalid, Stale.
    """
    account = db.session.get(Account, actor.id)
    if account is None:
        raise NotFound
    if version is not None and account.version != version:
        raise Stale
    try:
        if language is not None:
            choose_language(actor, language)
        name = account.display_name if display_name is None else display_name
        zone = account.time_zone if time_zone is None else time_zone
        edit_profile(actor, display_name=name, time_zone=zone)
        db.session.flush()
    except StaleDataError:
        raise Stale from None
    return account
