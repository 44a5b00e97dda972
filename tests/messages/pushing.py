"""Whatever may be pushed, drawn at random, and what must hold of it however odd it is."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import select

from portal.core.database import db
from portal.messages.flush import flush
from portal.messages.models import MessageLog
from tests.conftest import Machine

KINDS = ("application/json", "application/json; charset=utf-8", "application/x-ndjson")
# With halves of characters, as JSON can say them.
TEXTS = st.text(st.characters(), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.fixed_dictionaries(
    {"username": st.sampled_from(["alice", "ALICE ", "alice@example.org", "nobody", "", 5])},
    optional={
        "id": st.sampled_from(["a", "b", "c", ""]) | TEXTS,
        "prompt": st.sampled_from(["hello", "", "\0"]) | TEXTS,
        "response": TEXTS,
        "messages": st.lists(st.fixed_dictionaries({"role": st.just("user")}, optional={"content": TEXTS}), max_size=2),
        "conversation_id": st.sampled_from(["one", "two"]) | TEXTS,
        "model": TEXTS,
        "usage": st.dictionaries(st.sampled_from(["input_tokens", "total_tokens"]), st.integers(-1, 2**31)),
        "timestamp": st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01", "yesterday", "9999-12-31T23:59:59Z"]),
        "metadata": VALUES,
        "latency_ms": st.integers(-1, 10) | st.floats(),
        "user_id": st.just(str(uuid.UUID(int=1))),
    },
)
BODIES = st.one_of(
    RECORDS,
    st.builds(lambda records: {"records": records}, st.lists(RECORDS, max_size=6)),
    st.builds(lambda records: {"records": records}, VALUES),
    VALUES,
)


@dataclass
class Ledger:
    """What was accepted so far, by the ids that were told."""

    gate: Machine
    accepted: set[str] = field(default_factory=set)

    def push(self, body: Any, kind: str, ascii_only: bool) -> None:
        """Push it, and hold the answer to its promise: a problem, or one result a record, in order; each accepted id
        is stored once by the next flush, and nothing else is."""
        sent = body["records"] if isinstance(body, dict) and list(body) == ["records"] else [body]
        if kind == KINDS[2]:
            sent = sent if isinstance(sent, list) else [body]
            text = "\n".join(json.dumps(record, ensure_ascii=ascii_only) for record in sent)
        else:
            text = json.dumps(body, ensure_ascii=ascii_only)
        answer = self.gate.client.post(
            "/api/v1/message-logs",
            data=text.encode(errors="surrogatepass"),
            headers={**self.gate.headers(), "Content-Type": kind},
        )
        if answer.status_code == 202:
            self._judge(sent, answer.get_json())
        else:
            assert answer.status_code in {400, 422}
            assert answer.mimetype == "application/problem+json"
        flush()
        found = db.session.scalars(select(MessageLog.source_id)).all()
        db.session.rollback()
        assert sorted(found) == sorted(self.accepted)

    def _judge(self, sent: list[Any], said: dict[str, Any]) -> None:
        results = said["results"]
        assert len(results) == len(sent)
        for record, result in zip(sent, results, strict=True):
            given = record.get("id") if isinstance(record, dict) else None
            assert result["status"] in {"accepted", "duplicate", "rejected"}
            assert (result["error"] is None) == (result["status"] != "rejected")
            if result["status"] == "accepted":
                assert result["id"] not in self.accepted
                assert result["id"] == given or (given is None and str(uuid.UUID(result["id"])) == result["id"])
                self.accepted.add(result["id"])
            elif result["status"] == "duplicate":
                assert result["id"] == given in self.accepted
            else:
                assert result["id"] in {None, given}
        for status in ("accepted", "duplicate", "rejected"):
            assert said[status] == sum(result["status"] == status for result in results)
