"""How mail leaves: by SMTP, printed to the console, or not at all."""

from __future__ import annotations

import re
import smtplib
import ssl
import sys
from contextlib import suppress
from email.policy import SMTP
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from email.message import EmailMessage

    from portal.core.settings import Settings

TIMEOUT_S = 15
# For the answer to the content: a server may look through it first (RFC 5321, 4.5.3.2.6, asks for ten minutes, but a
# mail is claimed for five).
ANSWER_S = 150
LINE_START_DOT = re.compile(rb"(?m)^\.")


class Refused(Exception):
    """The server has answered that it does not take a mail: this one for good, or for now."""

    def __init__(self, code: int, said: str, *, for_good: bool) -> None:
        super().__init__(f"{code} {said}".strip())
        self.for_good = for_good


class Unsure(Exception):
    """The connection was lost after the mail had gone out: nobody knows whether the server kept it."""


class Transport(Protocol):
    """Something that sends one message. It raises Refused, Unsure, or OSError (SMTPException is one) when the server is
    away."""

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
    """Sends over SMTP; smtps:// from the first byte, smtp:// with STARTTLS when a user is given.

    Whoever is given a password shows a certificate that is good for its name.
    """

    def __init__(self, url: str) -> None:
        self.url = urlsplit(url)

    def send(self, message: EmailMessage) -> None:
        """Open a connection, hand the mail over, close. To one address, whatever the header says."""
        server = self._open()
        try:
            _hand_over(server, message)
        finally:
            _close(server)

    def try_out(self) -> None:
        """Open a connection and sign in, as for a mail, and send none. Raises OSError, SMTPException."""
        _close(self._open())

    def _open(self) -> smtplib.SMTP:
        host, port = self.url.hostname or "localhost", self.url.port or 0
        server: smtplib.SMTP
        if self.url.scheme == "smtps":
            server = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=ssl.create_default_context())
        else:
            server = smtplib.SMTP(host, port, timeout=TIMEOUT_S)
        try:
            server.ehlo_or_helo_if_needed()
            if self.url.username:
                if self.url.scheme == "smtp":
                    server.starttls(context=ssl.create_default_context())
                server.login(unquote(self.url.username), unquote(self.url.password or ""))
        except BaseException:
            server.close()
            raise
        return server


def _close(server: smtplib.SMTP) -> None:
    """Say goodbye; what goes wrong now changes nothing about a mail that was taken."""
    with suppress(OSError, smtplib.SMTPException):
        server.quit()
    server.close()


def _hand_over(server: smtplib.SMTP, message: EmailMessage) -> None:
    """One mail to one address (RFC 5321, 3.3). Raises Refused, Unsure, OSError, SMTPException."""
    sender, to = (message[name].addresses[0].addr_spec for name in ("From", "To"))
    options: list[str] = []
    policy = SMTP.clone(cte_type="7bit")
    if not f"{sender}{to}".isascii():
        if not server.has_extn("smtputf8"):
            raise Refused(553, "the mail server takes no addresses beyond ASCII", for_good=True)
        options, policy = ["SMTPUTF8", "BODY=8BITMIME"], policy.clone(utf8=True)
    body = LINE_START_DOT.sub(b"..", message.as_bytes(policy=policy))
    # A sender that is refused is a setting to be mended, not a mail that is hopeless.
    _expect(server.mail(sender, options), hopeless=False)
    _expect(server.rcpt(to))
    _expect(server.docmd("data"), 354)
    if server.sock is not None:
        server.sock.settimeout(ANSWER_S)
    try:
        server.send(body + (b".\r\n" if body.endswith(b"\r\n") else b"\r\n.\r\n"))
        answer = server.getreply()
    except OSError as error:  # smtplib's own errors are OSErrors too
        raise Unsure(type(error).__name__) from error
    _expect(answer)


def _expect(answer: tuple[int, bytes], *wanted: int, hopeless: bool = True) -> None:
    code, said = answer
    if code == 421:  # it closes the connection, whatever it was asked
        raise smtplib.SMTPServerDisconnected("421")
    if code not in (wanted or (250, 251)):
        raise Refused(code, said.decode("utf-8", "replace"), for_good=hopeless and code >= 500)


def transport_of(settings: Settings) -> Transport:
    """The transport that SMTP_URL names."""
    if settings.smtp_url == "console":
        return ConsoleTransport()
    if settings.smtp_url == "none":
        return NoTransport()
    return SmtpTransport(settings.smtp_url)


def try_out(settings: Settings) -> str:
    """Why no mail could leave just now, in a few words; empty when it could, or when none is to leave."""
    transport = transport_of(settings)
    if not isinstance(transport, SmtpTransport):
        return ""
    try:
        transport.try_out()
    except (OSError, smtplib.SMTPException) as error:
        return type(error).__name__
    return ""
