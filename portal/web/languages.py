"""In which language a person is spoken to: that of the account, else the best of what the browser asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask, g, request, session

from portal.core.languages import LANGUAGES, SOURCE, known_language, translations_of
from portal.core.text import speak
from portal.web.identity import COOKIE_KEY, viewer

if TYPE_CHECKING:
    from babel.support import NullTranslations

# Machines are answered in English, files and signs of life in none.
UNSPOKEN = ("/api/", "/static/", "/health", "/metrics", "/.well-known/")


def language() -> str:
    """The language of this request."""
    found: str = g.get("language", SOURCE)
    return found


def register_languages(app: Flask) -> None:
    """Speak it from the first gate on, and no longer than the request lasts."""

    @app.before_request
    def begin() -> None:
        if request.path.startswith(UNSPOKEN):
            return
        # Only a browser that may be signed in costs a look at the database.
        person = viewer() if COOKIE_KEY in session else None
        wanted = person.account.language if person else request.accept_languages.best_match(LANGUAGES)
        g.language = known_language(wanted)
        speak(words_of(g.language))

    @app.teardown_request
    def end(_error: BaseException | None) -> None:
        speak(None)


def words_of(wanted: str) -> NullTranslations | None:
    """What to speak; nothing for the language that everything is written in."""
    return None if wanted == SOURCE else translations_of(wanted)
