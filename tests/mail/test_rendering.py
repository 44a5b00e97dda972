"""What a mail says: subject, text and HTML, with nothing of a value read as markup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from portal.core import settings
from portal.core.settings import load
from portal.mail.rendering import letter_names, render, sample_values, site_link

LINK = "https://desk.example.org/x/token"
LETTERS: dict[str, dict[str, Any]] = {
    "new_email": {"name": "Alice", "username": "alice", "link": LINK},
    "email_changed": {"name": "Alice", "address": "a•••@n•••.example", "link": LINK},
    "email_wanted": {"name": "Alice"},
    "email_not_kept": {"username": "alice", "id": "an-id"},
    "trial": {"name": "Alice", "at": "2026-03-01 09:30 UTC"},
    "new_device": {"name": "Alice", "device": "Firefox", "address": "192.0.2.1", "at": "now", "link": LINK},
    "key_leaked": {"name": "Alice", "key": "laptop", "prefix": "dw_1", "link": LINK},
    "key_expiring": {"name": "Alice", "key": "laptop", "prefix": "dw_1", "when": "tomorrow", "link": LINK},
    "key_notice": {"name": "Alice", "key": "laptop", "prefix": "dw_1", "act": "made", "by": "ada", "link": LINK},
    "already_registered": {"link": LINK},
    "confirm": {"name": "Alice", "link": LINK},
    "invitation": {"name": "Alice", "by": "ada", "link": LINK},
    "notice": {"name": "Alice", "what": "Your password was changed."},
    "mention": {"name": "Theo", "by": "tess", "link": LINK},
    "reset": {"name": "Alice", "link": LINK},
}


@pytest.fixture(autouse=True)
def running(tmp_path: Path) -> Any:
    """The settings a mail reads."""
    given = {"site_url": "https://desk.example.org", "site_name": "Front <Desk>"}
    settings.enter(load({}, folder=tmp_path, data_dir=tmp_path, **given))
    yield
    settings.leave()


@pytest.mark.parametrize("name", LETTERS)
def test_each_letter_has_a_subject_and_tells_its_values_in_both_shapes(name: str) -> None:
    subject, text, html = render(name, LETTERS[name], "en")
    assert subject and "\n" not in subject and subject not in text.splitlines()[:1]
    for value in (value for key, value in LETTERS[name].items() if key not in {"act", "username"}):
        assert value in text or value in subject
        assert value in html
    assert "https://desk.example.org" in text
    assert "{{" not in text + html and "%(" not in subject + text + html


@pytest.mark.parametrize("name", [name for name, values in LETTERS.items() if "name" in values])
def test_a_name_is_never_markup(name: str) -> None:
    wicked = "<img src=x onerror=alert(1)> {{ 7*7 }} %(site)s"
    subject, text, html = render(name, {**LETTERS[name], "name": wicked}, "en")
    assert "<img" not in html and "<Desk>" not in html
    assert "&lt;img src=x" in html and "{{ 7*7 }} %(site)s" in html
    assert wicked in text
    assert "Front <Desk>" in subject + text


@pytest.mark.parametrize("name", [name for name, values in LETTERS.items() if "link" in values])
def test_a_letter_without_its_values_is_not_sent_half(name: str) -> None:
    with pytest.raises(UndefinedError):
        render(name, {}, "en")


def test_a_link_begins_with_the_site() -> None:
    assert site_link("/forgotten") == "https://desk.example.org/forgotten"


@pytest.mark.parametrize("name", letter_names())
def test_each_letter_can_be_looked_at_with_made_up_values(name: str) -> None:
    subject, text, html = render(name, sample_values(name), "en")
    assert subject and text.strip() and "</html>" in html


@pytest.mark.parametrize("name", letter_names())
def test_no_value_of_any_letter_makes_a_second_line_of_its_subject(name: str) -> None:
    wicked = "x\r\nBcc: all@example.org\x85\u2028Bcc: all@example.org"
    values = sample_values(name)
    for value in (value for value, sample in values.items() if isinstance(sample, str)):
        subject, _, _ = render(name, {**values, value: wicked}, "en")
        assert len(subject.splitlines()) == 1


def test_a_letter_says_in_which_language_it_is() -> None:
    assert '<html lang="de">' in render("reset", LETTERS["reset"], "de")[2]
