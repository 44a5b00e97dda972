"""Turning a mail template and its values into subject, text and HTML, in the recipient's language."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, meta, select_autoescape

from portal.core import settings
from portal.core.languages import translations_of
from portal.core.places import templates_dir
from portal.core.text import gettext, plural_of, speaking

# What stands in a letter that is only looked at, by the name of the value.
SAMPLES: dict[str, Any] = {
    "name": "Alice",
    "username": "alice",
    "id": "01890a5d-ac96-774b-bcce-b302099a8057",
    "by": "ada",
    "number": "C-7K3M9Q",
    "what": "Your password was changed.",
    "act": "made",
    "key": "laptop",
    "prefix": "dw_live_4f7a",
    "address": "198.51.100.7",
    "device": "Firefox on Linux",
    "at": "2026-03-01 09:30 UTC",
    "when": "2026-03-08",
    "mark": 80,
    "limit": 100,
    "reset_day": "2026-03-02",
    "reset_hour": "00:00",
    "zone": "Europe/Berlin",
}


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(templates_dir()),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.install_gettext_callables(gettext, plural_of, newstyle=True)  # type: ignore[attr-defined]  # added by the extension
    return environment


def site_link(path: str) -> str:
    """SITE_URL and a literal path: the only way a mail gets a link."""
    return settings.current().site_url + path


def render(template: str, values: dict[str, Any], language: str) -> tuple[str, str, str]:
    """(subject, text, html) of templates/mail/NAME.txt and .html; the first line of the text is the subject."""
    now = settings.current()
    given = {**values, "site_name": now.site_name, "site_url": now.site_url, "language": language}
    with speaking(translations_of(language)):
        return _rendered(template, given)


def _rendered(template: str, given: dict[str, Any]) -> tuple[str, str, str]:
    plain = _environment().get_template(f"mail/{template}.txt").render(given)
    html = _environment().get_template(f"mail/{template}.html").render(given)
    subject, _, text = plain.partition("\n")
    return " ".join(subject.split()), text.lstrip("\n") + "\n", html


@lru_cache(maxsize=1)
def letter_names() -> tuple[str, ...]:
    """The name of every letter there is."""
    return tuple(sorted(path.stem for path in (templates_dir() / "mail").glob("*.txt")))


def sample_values(template: str) -> dict[str, Any]:
    """Made-up values for each value that a letter speaks of."""
    environment = _environment()
    names: set[str] = set()
    for face in ("txt", "html"):
        source = (templates_dir() / "mail" / f"{template}.{face}").read_text()
        names |= meta.find_undeclared_variables(environment.parse(source))
    samples = {**SAMPLES, "link": site_link("/")}
    return {name: samples.get(name, f"({name})") for name in sorted(names - environment.globals.keys())}
