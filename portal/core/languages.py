"""The languages there are: English, in which everything is written, and the catalogs of portal/translations.

A catalog is a .po file, compiled when its language is first spoken. What it does not translate stays English.
"""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path
from typing import Final

from babel.support import NullTranslations, Translations

SOURCE: Final = "en"
# Code → what the language is called by those who speak it.
LANGUAGES: Final = {"en": "English", "de": "Deutsch"}
CATALOGS: Final = Path(__file__).resolve().parent.parent / "translations"


def known_language(wanted: str | None) -> str:
    """The code of the language, or that of English for one that there is not."""
    return wanted if wanted in LANGUAGES else SOURCE


@lru_cache(maxsize=len(LANGUAGES))
def translations_of(language: str) -> NullTranslations:
    """The words of a language; those of English for one that there is not."""
    if language == SOURCE or language not in LANGUAGES:
        return NullTranslations()
    # Here, not above: whoever is only spoken to in English starts without the reader of catalogs.
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    with (CATALOGS / f"{language}.po").open("rb") as file:
        catalog = read_po(file, locale=language)
    compiled = io.BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return Translations(compiled)
