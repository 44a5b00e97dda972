"""Languages: visitors are met in that of their browser, people in that of their account, also by mail; the rest is
English."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from portal.accounts.models import Account
from portal.accounts.preferences import choose_language
from portal.core.database import db, transaction
from portal.core.errors import Invalid
from portal.core.languages import LANGUAGES, SOURCE, known_language, translations_of
from portal.core.text import gettext, speaking
from portal.mail.models import OutboxMail
from portal.mail.rendering import letter_names, render, sample_values
from portal.web.frame import Doorward
from tests.people import actor_named, make_account
from tests.visitor import Visitor
from tools.translate import catalog_of, done_of, places

OTHERS = [language for language in LANGUAGES if language != SOURCE]
PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]|%%")
# The least that must be translated of what is said first in files with this in their path.
LEAST = {"templates/mail/": 0.9, "templates/public/": 0.8, "templates/errors/": 1, "portal/core/errors.py": 0.9}


def forms(said: Any) -> list[str]:
    return [said] if isinstance(said, str) else list(said)


@pytest.mark.parametrize("language", OTHERS)
def test_every_translation_has_the_placeholders_of_what_it_translates(language: str) -> None:
    wrong = []
    for said, told in done_of(catalog_of(language)).items():
        wanted = {found for form in forms(said) for found in PLACEHOLDER.findall(form)}
        wrong += [form for form in forms(told) if set(PLACEHOLDER.findall(form)) - wanted]
        if isinstance(said, str) and sorted(PLACEHOLDER.findall(said)) != sorted(PLACEHOLDER.findall(str(told))):
            wrong.append(str(told))
    assert wrong == []


@pytest.mark.parametrize("language", OTHERS)
def test_what_visitors_and_mails_say_is_translated(language: str) -> None:
    done, everything = done_of(catalog_of(language)), places()
    print(f"{language}: {len(done)} of {len(everything)} translated")
    for where, least in LEAST.items():
        said = [one for one, file in everything.items() if where in file]
        missing = [one for one in said if one not in done]
        print(f"  {where}: {len(said) - len(missing)} of {len(said)}")
        assert len(missing) <= (1 - least) * len(said), missing


def test_what_is_not_translated_stays_english() -> None:
    with speaking(translations_of("de")):
        assert gettext("Sign in") == "Anmelden"
        assert gettext("nobody has translated this") == "nobody has translated this"
    assert gettext("Sign in") == "Sign in"
    assert known_language("tlh") == known_language(None) == SOURCE
    assert translations_of("../../etc/passwd").ugettext("Sign in") == "Sign in"


@pytest.mark.parametrize(
    ("asked", "title", "language"),
    [
        ("de", "Anmelden", "de"),
        ("de-AT,de;q=0.9,en;q=0.5", "Anmelden", "de"),
        ("fr,de;q=0.4,en;q=0.9", "Sign in", "en"),
        ("tlh", "Sign in", "en"),
        ("", "Sign in", "en"),
        ("*;q=nonsense,,,;;", "Sign in", "en"),
    ],
)
def test_a_visitor_is_met_in_the_language_of_the_browser(
    visitor: Visitor, asked: str, title: str, language: str
) -> None:
    page = visitor.get("/sign-in", headers={"Accept-Language": asked})
    assert page.title == title
    assert page.tree.get("lang") == language


def test_the_account_decides_over_the_browser_and_pages_follow_at_once(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    page = alice.send(alice.get("/account/profile"), {"language": "de"})
    assert page.tree.get("lang") == "de", "from the next page on"
    page = alice.get("/account/profile", headers={"Accept-Language": "en"})
    assert page.tree.get("lang") == "de"
    assert "Was Sie ändern können" in page.text
    assert "Gespräche" in page.text
    alice.send(page, {"language": "en"})
    assert alice.get("/account/profile").tree.get("lang") == "en"


def test_a_language_that_there_is_not_is_refused(app: Doorward, person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    assert alice.send(alice.get("/account/profile"), {"language": "tlh"}).status == 422
    with pytest.raises(Invalid):
        choose_language(actor_named("alice"), "../de")


def test_numbers_and_dates_are_those_of_the_language(person: Callable[..., Visitor]) -> None:
    alice = person("alice", language="de", daily_limit_override=12345)
    page = alice.get("/account")
    assert "12.345" in page.text
    assert "vor " in alice.get("/account/sessions").text or "gerade" in alice.get("/account/sessions").text


def test_one_request_does_not_speak_for_the_next(visitor: Visitor, app: Doorward) -> None:
    assert visitor.get("/sign-in", headers={"Accept-Language": "de"}).title == "Anmelden"
    assert visitor.get("/sign-in").title == "Sign in"
    answer = app.test_client().get("/api/v1/keys/self", headers={"Accept-Language": "de"})
    assert answer.get_json()["title"] == "A credential is needed"


def test_an_error_is_told_in_the_language_too(visitor: Visitor) -> None:
    page = visitor.get("/nowhere", headers={"Accept-Language": "de"})
    assert (page.status, page.title) == (404, "Nicht gefunden")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("letter", letter_names())
def test_every_mail_is_written_in_every_language(app: Doorward, letter: str, language: str) -> None:
    subject, text, html = render(letter, sample_values(letter), language)
    assert subject and text
    assert f'lang="{language}"' in html
    assert "%(" not in subject + text + html


def test_a_mail_is_in_the_language_of_whom_it_is_for(app: Doorward, visitor: Visitor) -> None:
    make_account("alice", language="de")
    visitor.send(visitor.get("/forgotten"), {"name": "alice"})
    mail = db.session.scalars(select(OutboxMail).where(OutboxMail.template == "reset")).one()
    assert mail.language == "de"
    assert render("reset", sample_values("reset"), "de")[0].startswith("Wählen Sie ein neues Passwort")


def test_whoever_registers_keeps_the_language_of_the_browser(app: Doorward) -> None:
    visitor = Visitor(app.test_client())
    german = {"Accept-Language": "de"}
    page = visitor.get("/register", headers=german)
    given = {"username": "greta", "email": "greta@example.org", "password": "sieben stille lampions 42"}
    token = next(field.get("value") for field in page.tree.iter("input") if field.get("name") == "csrf_token")
    visitor.client.post("/register", data={**given, "repeat": given["password"], "csrf_token": token}, headers=german)
    made = db.session.scalars(select(Account).where(Account.username_canonical == "greta")).first()
    assert made is not None
    assert made.language == "de"


def test_the_theme_is_kept_on_the_account_and_a_new_browser_gets_it(
    app: Doorward, person: Callable[..., Visitor]
) -> None:
    alice = person("alice")
    alice.send(alice.get("/account"), {"theme": "dark"}, to="/theme")
    elsewhere = Visitor(app.test_client())
    assert "data-bs-theme" not in elsewhere.get("/").html
    elsewhere.sign_in("alice")
    assert elsewhere.get("/account").tree.get("data-bs-theme") == "dark"
    elsewhere.send(elsewhere.get("/account"), {"theme": "system"}, to="/theme")
    assert elsewhere.get("/account").tree.get("data-bs-theme") is None
    with transaction():
        assert db.session.scalars(select(Account.theme)).one() == "auto"
    elsewhere.post("/theme", {"theme": "<script>"})
