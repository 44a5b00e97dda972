"""Turning a mail template and its values into subject, text and HTML, in the recipient's language."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from portal.core import settings
from portal.core.places import templates_dir
from portal.core.text import gettext, plural_of


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
    given = {**values, "site_name": settings.current().site_name, "site_url": settings.current().site_url}
    plain = _environment().get_template(f"mail/{template}.txt").render(given)
    html = _environment().get_template(f"mail/{template}.html").render(given)
    subject, _, text = plain.partition("\n")
    return " ".join(subject.split()), text.lstrip("\n") + "\n", html
