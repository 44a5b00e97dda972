"""Bring the catalogs of portal/translations up to date with the words of the code and the templates.

A catalog holds what is translated, in the order of the alphabet. `python tools/translate.py` drops from it what is said
no more; with `--missing public/` it prints what is not translated of the files with that in their path.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from portal.core.languages import CATALOGS, LANGUAGES, SOURCE

ROOT = Path(__file__).resolve().parent.parent
SOURCES = [("portal/**.py", "python"), ("templates/**.html", "jinja2"), ("templates/**.txt", "jinja2")]
OPTIONS = {"templates/**.html": {"newstyle_gettext": "true"}, "templates/**.txt": {"newstyle_gettext": "true"}}
# What words are given to, and which of its arguments they are.
KEYWORDS: dict[str, Any] = {
    "gettext": None,
    "lazy_gettext": None,
    "words": None,
    "_": None,
    "ngettext": (1, 2),
    "plural_of": (1, 2),
}


def places() -> dict[Any, str]:
    """Everything that is shown, with the first file that says it."""
    found: dict[Any, str] = {}
    for file, _line, message, _comments, _context in extract_from_dir(
        str(ROOT), SOURCES, OPTIONS, keywords=KEYWORDS, comment_tags=()
    ):
        found.setdefault(message, file)
    return found


def catalog_of(language: str) -> Catalog:
    """The catalog of a language as it lies there."""
    with (CATALOGS / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language)


def done_of(catalog: Catalog) -> dict[Any, Any]:
    """What is translated, by what it says in English."""
    return {message.id: message.string for message in catalog if message.id and message.string and any(message.string)}


def main(arguments: list[str]) -> int:
    """Tidy every catalog, or print what is missing. Answers the exit status."""
    everything = places()
    for language in LANGUAGES:
        if language == SOURCE:
            continue
        done = done_of(catalog_of(language))
        if arguments[:1] == ["--missing"]:
            wanted = [said for said, file in everything.items() if said not in done and arguments[1] in file]
            print(*map(repr, wanted), sep="\n")
            continue
        fresh = Catalog(locale=language, charset="utf-8", fuzzy=False)
        for said in sorted((one for one in everything if one in done), key=str):
            fresh.add(said, done[said])
        with (CATALOGS / f"{language}.po").open("wb") as file:
            write_po(file, fresh, omit_header=True, width=0)
        print(f"{language}: {len(fresh)} of {len(everything)} translated")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
