"""How people want to be met: the theme of their pages and the language they are spoken and written to in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import update

from portal.accounts.lifecycle import target_of
from portal.accounts.models import Account
from portal.audit import events
from portal.audit.record import record
from portal.core.access import Capability, needs
from portal.core.database import db
from portal.core.errors import Invalid, NotFound
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
