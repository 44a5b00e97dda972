"""What is measured: the request, by whom it is answered, and what it must reach."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.apps import FRAME_PATH, PARSE_PATH
from benchmarks.crowd import secret_of, spread
from benchmarks.load import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.stores import Store

HOT, WIDE, MANY = 200, 10_000, 100
VERIFY, VERIFY_MANY = "/api/v1/keys/verify", "/api/v1/keys/verify-many"
COST = {"conversations": 1, "credits": 0}


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the table. `units` are spent by a request at `credits` each; `must` and `goal` are ratios to hello
    on SQLite by durability (docs/performance.md)."""

    name: str
    words: str
    server: str
    request: Callable[[Store], Request]
    units: int = 0
    credits: int = 0
    must: tuple[tuple[str, float, float], ...] = ()

    def budget(self, durability: str) -> tuple[float, float] | None:
        """What it must reach and the goal, if there is such."""
        return next(((must, goal) for held, must, goal in self.must if held in {durability, "any"}), None)


def question(number: int, **more: object) -> str:
    """Verify's body for the key of this user."""
    return json.dumps({"key": secret_of(number), "cost": COST, "scopes": ["chat"], "model": "m-1", **more})


def posted(store: Store, path: str, bodies: list[str], *, unique: bool = False) -> Request:
    """A JSON POST by the store's client."""
    headers = {"Authorization": f"Bearer {store.token}", "Content-Type": "application/json"}
    return Request("POST", path, headers, bodies, unique)


def _front(_store: Store) -> Request:
    return Request("GET", "/", {}, [])


def _parse(path: str) -> Callable[[Store], Request]:
    def make(store: Store) -> Request:
        return posted(store, path, [question(number) for number in spread(store.users, HOT)])

    return make


def _keys(count: int, **more: object) -> Callable[[Store], Request]:
    def make(store: Store) -> Request:
        return posted(store, VERIFY, [question(number, **more) for number in spread(store.users, count)])

    return make


def _many(store: Store) -> Request:
    """Different keys in each body, as a gateway's batch has."""
    asked = [question(number) for number in spread(store.users, WIDE)]
    bodies = [asked[first : first + MANY] for first in range(0, len(asked) - MANY + 1, MANY)]
    return posted(store, VERIFY_MANY, [f'{{"items": [{",".join(body)}]}}' for body in bodies])


def _unique(store: Store) -> Request:
    bodies = [question(number) for number in spread(store.users, HOT)]
    return posted(store, VERIFY, bodies, unique=True)


_HOT_MUST = (("process", 0.42, 0.55), ("power", 0.30, 0.38))
_WIDE_MUST = (("process", 0.38, 0.50), ("power", 0.30, 0.38))

CASES: dict[str, Case] = {
    case.name: case
    for case in (
        Case("bare", "bare server, no Flask", "bare", _front),
        Case("hello", "hello: bare Flask, JSON", "hello", _front),
        Case("parse", "API route: parse and answer", "product", _parse(PARSE_PATH), must=(("any", 0.70, 0.80),)),
        Case("frame", "the same outside the express lane", "product", _parse(FRAME_PATH)),
        Case("look", "verify at no cost, 200 keys", "product", _keys(HOT, cost={"conversations": 0, "credits": 0})),
        Case("one", "verify+consume, one key", "product", _keys(1), units=1),
        Case("hot", "verify+consume, 200 keys", "product", _keys(HOT), units=1, must=_HOT_MUST),
        Case("wide", "verify+consume, 10,000 keys", "product", _keys(WIDE), units=1, must=_WIDE_MUST),
        Case("thousand", "verify+consume, 1,000 keys", "product", _keys(1_000), units=1),
        Case("credits", "the same at 3 credits, 200 keys", "product", _keys(HOT, cost={"credits": 3}), 1, 3),
        Case("many", "verify-many of 100", "product", _many, units=MANY),
        Case("unique", "verify with an Idempotency-Key each", "product", _unique, units=1),
    )
}
DEFAULT = ("bare", "hello", "parse", "frame", "one", "hot", "wide", "many", "unique")
GROWING = ("one", "hot", "thousand")
