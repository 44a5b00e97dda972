"""A small SMTP server on a thread: keeps what it is sent, or refuses as a test wishes."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class Caught:
    """One mail as it came in."""

    sender: str
    recipients: list[str]
    message: EmailMessage


@dataclass
class Catcher:
    """What was caught. While `refuse` is a line such as `451 later`, every recipient gets that answer; `refuse_sender`
    and `refuse_content` answer MAIL and the content so. For the next `drops` mails the connection is cut after the
    content has come, which is kept (or lost, with `loses`). While `mute`, nothing is ever said. `greetings` counts
    connections.
    """

    port: int = 0
    refuse: str = ""
    refuse_sender: str = ""
    refuse_content: str = ""
    drops: int = 0
    loses: bool = False
    mute: bool = False
    utf8: bool = False
    greetings: int = 0
    mails: list[Caught] = field(default_factory=list)

    @property
    def url(self) -> str:
        """For SMTP_URL."""
        return f"smtp://127.0.0.1:{self.port}"


class _Talk(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as a sender needs; SMTPUTF8 when asked for, no STARTTLS."""

    def say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self) -> None:
        catcher: Catcher = self.server.catcher  # type: ignore[attr-defined]  # set by `catching`
        sender, recipients = "", list[str]()
        catcher.greetings += 1
        if catcher.mute:
            self.rfile.readline()
            return
        self.say("220 catcher")
        while line := self.rfile.readline().decode("utf-8", "replace").strip():
            verb = line.upper()
            if verb.startswith("DATA"):
                self.say("354 go on")
                body = bytearray()
                while (part := self.rfile.readline()) not in {b".\r\n", b""}:
                    body += part.removeprefix(b".") if part.startswith(b"..") else part
                if catcher.refuse_content:
                    self.say(catcher.refuse_content)
                    continue
                if catcher.drops and catcher.loses:
                    catcher.drops -= 1
                    return
                parsed = message_from_bytes(bytes(body), policy=policy.default)
                assert isinstance(parsed, EmailMessage)
                catcher.mails.append(Caught(sender, recipients, parsed))
                if catcher.drops:
                    catcher.drops -= 1
                    return
                self.say("250 kept")
            elif verb.startswith("EHLO") and catcher.utf8:
                self.say("250-catcher")
                self.say("250 SMTPUTF8")
            elif verb.startswith("MAIL FROM:") and catcher.refuse_sender:
                self.say(catcher.refuse_sender)
            elif verb.startswith("RCPT TO:") and catcher.refuse:
                self.say(catcher.refuse)
            elif verb.startswith("MAIL FROM:"):
                sender, recipients = line[10:].split(">")[0].lstrip("<"), []
                self.say("250 ok")
            elif verb.startswith("RCPT TO:"):
                recipients.append(line[8:].split(">")[0].lstrip("<"))
                self.say("250 ok")
            elif verb.startswith("QUIT"):
                self.say("221 bye")
                return
            else:
                self.say("250 ok")


@contextmanager
def catching() -> Iterator[Catcher]:
    """A catcher on a port of its own, until the block ends."""
    catcher = Catcher()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Talk) as server:
        server.daemon_threads = True
        server.catcher = catcher  # type: ignore[attr-defined]  # read by `_Talk`
        catcher.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield catcher
        finally:
            server.shutdown()
            thread.join()
