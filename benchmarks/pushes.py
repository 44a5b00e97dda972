"""Records that are pushed: exchanges of about 2 KB, in made-up words as in benchmarks/talk.py, each with a new id."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any, Final

from benchmarks.crowd import spread
from benchmarks.load import MARK, Request
from benchmarks.talk import vocabulary

if TYPE_CHECKING:
    from benchmarks.stores import Store

PATH: Final = "/api/v1/message-logs"
ACCEPTED, REJECTED = '"status":"accepted"', '"status":"rejected"'
MESSAGE_BYTES: Final = 2048
HOT: Final = 200
BATCH: Final = 100
BODIES: Final = 20
# So many records stand in a conversation.
TURNS: Final = 5
Messages = list[dict[str, str]]


def draw_messages(chance: Random) -> Messages:
    """A question and its answer, whose JSON has MESSAGE_BYTES, a word more or less."""
    words, weights = vocabulary()
    said = chance.choices(words, cum_weights=weights, k=MESSAGE_BYTES // 4)
    asked, answered, size = said[:40], list[str](), 0
    size = sum(len(word) + 1 for word in asked) + len(json.dumps(_exchange([], [])))
    for word in said[40:]:
        if size >= MESSAGE_BYTES:
            break
        answered.append(word)
        size += len(word) + 1
    return _exchange(asked, answered)


def _exchange(asked: list[str], answered: list[str]) -> Messages:
    return [{"role": "user", "content": " ".join(asked)}, {"role": "assistant", "content": " ".join(answered)}]


def _record(chance: Random, user: int, place: int) -> dict[str, Any]:
    return {
        "id": f"{MARK}-{place}",
        "username": f"user{user:07d}",
        "conversation_id": f"{MARK}-{place // TURNS}",
        "model": f"m-{1 + chance.randrange(4)}",
        "messages": draw_messages(chance),
        "usage": {"prompt_tokens": 60, "completion_tokens": 260},
        "latency_ms": 800,
        "timestamp": "2026-11-01T10:00:00Z",
    }


def push_one(store: Store) -> Request:
    """One record a request, of 200 users in turn."""
    chance = Random("pushes of a benchmark")  # made-up words, no secrets
    return _posted(store, [_record(chance, user, 0) for user in spread(store.users, HOT)])


def push_many(store: Store) -> Request:
    """A hundred records a request, five to a conversation and its user."""
    chance = Random("pushes of a benchmark")  # made-up words, no secrets
    users = spread(store.users, HOT)
    bodies = [
        {"records": [_record(chance, users[(body * BATCH + at) // TURNS % len(users)], at) for at in range(BATCH)]}
        for body in range(BODIES)
    ]
    return _posted(store, bodies)


def _posted(store: Store, bodies: list[dict[str, Any]]) -> Request:
    headers = {"Authorization": f"Bearer {store.token}", "Content-Type": "application/json"}
    texts = [json.dumps(body, separators=(",", ":")) for body in bodies]
    return Request("POST", PATH, headers, texts, unique=True, good=ACCEPTED, bad=REJECTED)
