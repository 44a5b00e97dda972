"""Forms sent as a browser without scripts sends them, over one kept connection."""

from __future__ import annotations

import contextlib
import http.client
import re
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import bcrypt

from benchmarks.stores import prepare_sqlite
from portal.signin.passwords import SCHEME, prepared

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.stores import Store

PASSWORD = "seven quiet lanterns 42"  # of invented users
TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and how long it took."""

    status: int
    seconds: float


class Form:
    """One form of a page, with the cookie and the token that belong to it; each sending is of a fresh browser."""

    def __init__(self, port: int, path: str, address: str = "127.0.0.1") -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.path, self.address = path, address
        self.connection.request("GET", path)
        page = self.connection.getresponse()
        self.cookie = (page.headers["Set-Cookie"] or "").partition(";")[0]
        found = TOKEN.search(page.read().decode())
        if found is None:
            raise ValueError(f"there is no form at {path}")
        self.token = found[1]

    def send(self, fields: dict[str, str]) -> Answer:
        """Fill it and send it."""
        body = urlencode({"csrf_token": self.token, **fields})
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": self.cookie}
        begun = time.perf_counter()
        self.connection.request("POST", self.path, body, headers)
        answer = self.connection.getresponse()
        answer.read()
        return Answer(answer.status, time.perf_counter() - begun)

    def close(self) -> None:
        """Hang up."""
        self.connection.close()


def people_in(folder: Path, users: int, cost: int) -> tuple[Store, list[str]]:
    """A database with so many users who have PASSWORD, hashed at this cost; answers it and their usernames."""
    store = prepare_sqlite(folder, users)
    hashed = SCHEME + bcrypt.hashpw(prepared(PASSWORD), bcrypt.gensalt(cost)).decode()
    with contextlib.closing(sqlite3.connect(store.dsn, isolation_level=None)) as connection:
        connection.execute("UPDATE accounts SET password_hash = ?, email_verified_at = created_at", (hashed,))
        for table in ("failure_counts", "known_devices", "sessions", "outbox", "one_time_links"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608  # constants
        rows = connection.execute("SELECT username FROM accounts WHERE kind = 'user' ORDER BY id").fetchall()
    return store, [row[0] for row in rows]
