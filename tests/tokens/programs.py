"""A program that got tokens for a person, as the tests hold it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from portal.core.database import transaction
from portal.tokens.families import begin_family

if TYPE_CHECKING:
    from uuid import UUID

    from werkzeug.test import TestResponse

    from portal.accounts.models import Account
    from portal.web.frame import Doorward

TOKEN = "/api/v1/auth/token"


@dataclass
class Program:
    """Whoever holds tokens. `refresh_tokens` are all it was given, the newest last."""

    app: Doorward
    access_token: str = ""
    refresh_tokens: list[str] = field(default_factory=list)
    agent: str = "a program"

    def ask(self, grant: str, **form: str) -> TestResponse:
        """Ask the token endpoint, and keep the tokens where there are some."""
        sent = {"grant_type": grant, **form}
        answer = self.app.test_client().post(TOKEN, data=sent, headers={"User-Agent": self.agent})
        assert answer.headers["Cache-Control"] == "no-store"
        if answer.status_code == 200:
            self.access_token = answer.get_json()["access_token"]
            self.refresh_tokens.append(answer.get_json()["refresh_token"])
        return answer

    def refresh(self, which: int = -1) -> str:
        """Change a refresh token for the next; answers `ok` or the error."""
        return str(self.ask("refresh_token", refresh_token=self.refresh_tokens[which]).get_json().get("error", "ok"))

    def is_in(self) -> bool:
        """Whether the access token opens the API."""
        return self.get("/audit").status_code != 401

    def get(self, path: str) -> TestResponse:
        """GET with the access token."""
        sent = {"Authorization": f"Bearer {self.access_token}"}
        return self.app.test_client().get(f"/api/v1{path}", headers=sent)


def program_of(app: Doorward, account: Account, **about: Any) -> tuple[Program, UUID]:
    """A program with fresh tokens of this account, made without its password, and the family they are of."""
    given = {"address": "127.0.0.1", "device": "a program", "method": "password", "proven": True, **about}
    with transaction():
        family, token = begin_family(account, **given)
    program = Program(app, refresh_tokens=[token])
    assert program.refresh() == "ok"
    del program.refresh_tokens[0]
    return program, family.id
