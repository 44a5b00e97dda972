"""How mail leaves: by SMTP, printed to the console, or not at all."""

from __future__ import annotations

import smtplib
import sys
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from email.message import EmailMessage

    from portal.core.settings import Settings

TIMEOUT_S = 15


class Transport(Protocol):
    """Something that sends one message, or raises OSError or SMTPException."""

    def send(self, message: EmailMessage) -> None:
        """Send it."""


class ConsoleTransport:
    """Prints the plain text part to standard error, for development."""

    def send(self, message: EmailMessage) -> None:
        """Print it."""
        body = message.get_body(("plain",))
        text = body.get_content() if body else ""
        sys.stderr.write(f"--- mail to {message['To']}: {message['Subject']}\n{text}---\n")


class NoTransport:
    """Drops every mail: SMTP_URL is `none`."""

    def send(self, message: EmailMessage) -> None:
        """Drop it."""


class SmtpTransport:
    """Sends over SMTP; smtps:// from the first byte, smtp:// with STARTTLS when a user is given."""

    def __init__(self, url: str) -> None:
        self.url = urlsplit(url)

    def send(self, message: EmailMessage) -> None:
        """Open a connection, send, close."""
        host = self.url.hostname or "localhost"
        connect = smtplib.SMTP_SSL if self.url.scheme == "smtps" else smtplib.SMTP
        with connect(host, self.url.port or 0, timeout=TIMEOUT_S) as server:
            if self.url.username:
                if self.url.scheme == "smtp":
                    server.starttls()
                server.login(unquote(self.url.username), unquote(self.url.password or ""))
            server.send_message(message)


def transport_of(settings: Settings) -> Transport:
    """The transport that SMTP_URL names."""
    if settings.smtp_url == "console":
        return ConsoleTransport()
    if settings.smtp_url == "none":
        return NoTransport()
    return SmtpTransport(settings.smtp_url)
