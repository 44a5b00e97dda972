"""Words: translation without Flask, and the one canonical form of every name.

Names are canonicalised here and nowhere else, because SQLite and PostgreSQL fold case differently
(Unicode TR 39 and RFC 8264 give the background).
"""

from __future__ import annotations

import re
import unicodedata
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from babel.support import LazyProxy, NullTranslations

if TYPE_CHECKING:
    from collections.abc import Iterator

_translations: ContextVar[NullTranslations | None] = ContextVar("translations", default=None)
_NONE = NullTranslations()

Shown = str | LazyProxy


def gettext(message: str, **values: object) -> str:
    """`message` in the language of the person being served, with `%(name)s` filled from `values`."""
    text = (_translations.get() or _NONE).ugettext(message)
    return text % values if values else text


def ngettext(one: str, many: str, num: int, **values: object) -> str:
    """The singular or plural of a message for `num`, which is itself offered as `%(num)s`."""
    return plural_of(one, many, num) % {"num": num, **values}


def plural_of(one: str, many: str, num: int) -> str:
    """The same, unfilled: a template fills it in by itself."""
    return str((_translations.get() or _NONE).ungettext(one, many, num))


def lazy_gettext(message: str, **values: object) -> LazyProxy:
    """As gettext, decided when shown: for words written down at import time."""
    return LazyProxy(gettext, message, enable_cache=False, **values)


@contextmanager
def speaking(translations: NullTranslations) -> Iterator[None]:
    """Serve with these translations inside the block."""
    token = _translations.set(translations)
    try:
        yield
    finally:
        _translations.reset(token)


def speak(translations: NullTranslations | None) -> None:
    """Serve with these translations from now on in this context; None is English, as everything is written."""
    _translations.set(translations)


USERNAME_PATTERN = re.compile(r"[a-z0-9](?:[a-z0-9._-]{1,38})[a-z0-9]|[a-z0-9][a-z0-9._-]{2,39}")
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
# Marks and letters that show nothing at all. Domains drop some of them (RFC 3454, B.1), so that one address could
# be typed in endlessly many ways.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")


class BadName(ValueError):
    """A name that is refused; its text says why."""


def canonical_username(typed: str) -> str:
    """The form that is compared and stored as unique: trimmed, NFKC, casefolded.

    Usernames are 3 to 40 letters, digits and `. _ -`, so never an e-mail. Letters are ASCII after
    folding: with one script only there is nothing to confuse. Raises BadName.
    """
    name = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", typed).strip().casefold())
    if not 3 <= len(name) <= 40:
        raise BadName(gettext("A username has 3 to 40 characters."))
    if not USERNAME_PATTERN.fullmatch(name) or not typed.strip().isascii():
        raise BadName(
            gettext(
                "A username is made of letters a to z, digits, dots, underscores and hyphens, "
                "and starts with a letter or digit."
            )
        )
    return name


def canonical_email(typed: str) -> str:
    """The form that is compared and stored as unique: trimmed, NFKC, casefolded, domain as A-label.

    Plus tags and dots are kept. Quoted local parts, several @, spaces, control characters and
    addresses over 254 characters are refused. Raises BadName.
    """
    refused = BadName(gettext("This is not an e-mail address."))
    text = unicodedata.normalize("NFKC", typed.strip())
    if text != typed.strip() and "@" not in typed:
        raise refused  # a full-width @ must not turn into a real one unseen
    if _BLANK.search(text) or any(unicodedata.category(char) in _HIDDEN or char.isspace() for char in text):
        raise refused
    local, at, domain = text.casefold().partition("@")
    if not at or not local or "@" in domain or '"' in local or len(local) > 64:
        raise refused
    if local.startswith(".") or local.endswith(".") or ".." in local or set(local) & set("()<>[]:;,\\"):
        raise refused
    try:
        labels = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise refused from None
    if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", labels) or any(
        part.startswith("-") or part.endswith("-") for part in labels.split(".")
    ):
        raise refused
    address = f"{local}@{labels}"
    if len(address) > 254:
        raise refused
    return address


def clean_line(typed: str, *, most: int = 80) -> str:
    """One line of free text such as a display name: trimmed, NFC, no hidden characters. Raises BadName."""
    text = " ".join(unicodedata.normalize("NFC", typed).split(" ")).strip()
    if len(text) > most:
        raise BadName(gettext("At most %(most)s characters.", most=most))
    for char in text:
        # The zero-width joiner lives inside many emoji, so it alone of the format characters may stay.
        if unicodedata.category(char) in _HIDDEN and char != "\u200d":
            raise BadName(gettext("This holds a character that cannot be shown."))
    return text


def model_name(typed: str) -> str:
    """The one form of a model's name, in which plans keep its price and logs their model: trimmed, in small letters,
    composed. Another spelling is no other model. Some letters grow when they are lowered: measure it afterwards."""
    name = typed.strip().lower()
    if name.isascii():
        return name
    # Composing may leave something to lower, and lowering something to compose.
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).strip().lower()).strip()


def folded(text: str) -> str:
    """The form in which free text is searched: NFKC and casefolded."""
    return unicodedata.normalize("NFKC", text).casefold()
