"""Requests made up by schemathesis from the document, sent as whoever calls; each answer is held against the document.

The requests are made once and sent to both databases as everybody: to make one takes longer than to answer it.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any

import orjson
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import HypothesisException
from schemathesis import GenerationMode, checks
from schemathesis.transport.wsgi import WSGI_TRANSPORT
from sqlalchemy import select

from portal.accounts.models import Account
from portal.api.document import make_document
from portal.core.database import db, transaction
from portal.core.ids import new_id
from portal.keys.models import ApiKey
from portal.messages.flush import flush
from portal.messages.models import MessageLog
from portal.prompts.models import Prompt
from portal.prompts.service import PromptWords, create_prompt
from portal.tokens.access_tokens import ACCOUNT_SCOPE, make_access_token
from portal.tokens.families import begin_family
from portal.usage.models import Plan
from tests.conftest import machines_of, make_key
from tests.people import actor_named, make_account

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

Request = dict[str, Any]
# Beside our own look at each answer (tests/described.py), which is stricter: no member that is not told.
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


@cache
def _operations(document: bytes) -> list[Any]:
    schema: Any = schemathesis.openapi.from_dict(orjson.loads(document))
    made = [one.ok() for one in schema.get_all_operations()]
    # What could end the one who calls comes last.
    return sorted(made, key=lambda one: (one.method.upper() == "DELETE", "auth/" in one.path))


@cache
def requests_of(document: bytes, examples: int) -> list[Request]:
    """Requests of every operation of a document, good ones and a third of others, as Werkzeug's client takes them."""
    found: list[Request] = []
    wrong = max(1, examples // 3)
    for operation in _operations(document):
        for mode, most in ((GenerationMode.POSITIVE, examples - wrong), (GenerationMode.NEGATIVE, wrong)):
            for place, case in enumerate(_cases(operation, mode, most)):
                asked = WSGI_TRANSPORT.serialize_case(case, base_url="http://localhost")
                asked.pop("base_url", None)
                asked["headers"] = {
                    name: value
                    for name, value in dict(asked["headers"]).items()
                    if name not in {"Authorization", "Host"}
                }
                found.append({"case": case, "asked": asked, "path": operation.path, "lively": place % 2 == 0})
    return found


def _cases(operation: Any, mode: GenerationMode, most: int) -> list[Any]:
    cases: list[Any] = []

    @settings(
        max_examples=most,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(operation.as_strategy(generation_mode=mode))
    def keep(case: Any) -> None:
        cases.append(case)

    try:
        keep()
    except HypothesisException:
        # An operation that takes nothing can be asked in no wrong way.
        if mode is GenerationMode.POSITIVE:
            raise
    return cases


def example_of(operation: dict[str, Any]) -> tuple[str, Any] | None:
    """The example of an operation's body, and its media type."""
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        if "example" in content:
            return media_type, content["example"]
    return None


class World:
    """Who calls, and what their addresses may name."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.client: FlaskClient = app.test_client()
        self.people = {name: make_account(name) for name in ("alice", "bob", "ada")}
        self.service = machines_of(app)()  # type: ignore[arg-type]  # it is ours
        self.keys = {name: make_key(self.people[name]) for name in ("alice", "bob")}
        with transaction():
            for name in ("alice", "bob"):
                who = actor_named(name)
                create_prompt(who, self.people[name].id, PromptWords("Greeting", "Say hello.", None))
        said = [{"role": "user", "content": "Hello?"}]
        records = [{"id": name, "username": name, "model": "m", "messages": said} for name in ("alice", "bob")]
        assert self.service.post("/message-logs", {"records": records}).status_code == 202
        flush()

    def document(self) -> bytes:
        """The document, as it is told."""
        return orjson.dumps(make_document(self.app), option=orjson.OPT_SORT_KEYS)

    def credential(self, name: str) -> dict[str, str]:
        """The header by which somebody calls; fresh, as what they did may have ended the one before."""
        if name == "nobody":
            return {}
        if name == "service":
            return self.service.headers()
        account = db.session.get_one(Account, self.people[name].id)
        with transaction():
            family, _ = begin_family(account, address="127.0.0.1", device="tests", method="password", proven=True)
        token = make_access_token(account.id, kind=account.kind, scope=ACCOUNT_SCOPE, family_id=family.id)
        return {"Authorization": f"Bearer {token}"}

    def address(self, path: str, name: str) -> str:
        """The path with things that are there: one's own, or Bob's for those who look after others."""
        whose = self.people["alice" if name == "alice" else "bob"].id
        rows = {
            "key_id": select(ApiKey.id).where(ApiKey.user_id == whose),
            "prompt_id": select(Prompt.id).where(Prompt.user_id == whose),
            "log_id": select(MessageLog.id).where(MessageLog.user_id == whose),
            "plan_id": select(Plan.id),
        }

        def fill(found: re.Match[str]) -> str:
            if found[1] == "user_id":
                return str(whose)
            query = rows.get(found[1])
            return str((db.session.scalar(query.limit(1)) if query is not None else None) or new_id())

        return re.sub(r"{(\w+)}", fill, path)

    def send(self, request: Request, name: str, credential: dict[str, str]) -> int:
        """Ask as somebody; answers the status, once the answer was held against the document."""
        asked = dict(request["asked"])
        asked["headers"] = {**asked["headers"], **credential}
        if request["lively"]:
            asked["path"] = self.address(request["path"], name)
            asked["headers"].setdefault("X-Reason", "they asked")
            if isinstance(asked.get("json"), dict):
                asked["json"] = self._lively(asked["json"])
        answer = self.client.open(**asked)
        assert answer.status_code < 500, f"{name}: {asked}\n{answer.get_data()!r}"
        request["case"].validate_response(answer, checks=CHECKS)
        return answer.status_code

    def _lively(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body with names that somebody has."""
        there = {"username": "bob", "user_id": str(self.people["bob"].id), "key": self.keys["bob"]}
        return {name: there.get(name, value) if value is not None else None for name, value in body.items()}


CALLERS = ("nobody", "service", "alice", "ada")


def ask_everything(app: Flask, examples: int) -> Counter[int]:
    """Every operation by everybody; answers how often each status came."""
    world = World(app)
    came: Counter[int] = Counter()
    credentials: dict[str, dict[str, str]] = {}
    for request in requests_of(world.document(), examples):
        for name in CALLERS:
            if name not in credentials:
                credentials[name] = world.credential(name)
            status = world.send(request, name, credentials[name])
            if status == 401 and name in world.people and _is_active(world, name):
                credentials.pop(name)
            came[status] += 1
    return came


def _is_active(world: World, name: str) -> bool:
    return db.session.get_one(Account, world.people[name].id).state == "active"
