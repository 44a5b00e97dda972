"""How mail leaves, as SMTP_URL says."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path

import pytest

from portal.core.settings import load
from portal.mail.transport import ConsoleTransport, NoTransport, SmtpTransport, transport_of


@pytest.mark.parametrize(
    ("url", "kind", "leaves"),
    [
        ("console", ConsoleTransport, False),
        ("none", NoTransport, False),
        ("smtp://mail.example.org", SmtpTransport, True),
        ("smtps://user:p%40ss@mail.example.org:465", SmtpTransport, True),
    ],
)
def test_the_setting_decides(tmp_path: Path, url: str, kind: type, leaves: bool) -> None:
    settings = load({"SMTP_URL": url}, folder=tmp_path, data_dir=tmp_path)
    assert isinstance(transport_of(settings), kind)
    assert settings.mail_leaves is leaves


def test_the_console_shows_who_what_and_the_words(capsys: pytest.CaptureFixture[str]) -> None:
    message = EmailMessage()
    message["To"], message["Subject"] = "alice@example.org", "Hello"
    message.set_content("Words for Alice.\n")
    message.add_alternative("<p>Words</p>", subtype="html")
    ConsoleTransport().send(message)
    shown = capsys.readouterr().err
    assert "mail to alice@example.org: Hello" in shown
    assert "Words for Alice." in shown
    assert "<p>" not in shown


def test_none_drops_it(capsys: pytest.CaptureFixture[str]) -> None:
    NoTransport().send(EmailMessage())
    assert capsys.readouterr() == ("", "")
