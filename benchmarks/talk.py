"""Logs of a benchmark, drawn by number: made-up words, few of them common and most of them rare, as in any language.

User 1 has one log in 20, at most 50,000; user 2 has 20; all others share the rest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import Any, Final

from benchmarks.crowd import CAME, id_of, written

Row = tuple[Any, ...]
BUSY, QUIET = 1, 2
FEW, MOST_BUSY = 20, 50_000
MODELS: Final = ("m-1", "m-2", "m-3", "m-4")
# How the models share the logs; the last one is rare.
SHARES: Final = (60, 30, 9, 1)
VOCABULARY: Final = 50_000
WORDS: Final = 120
TURNS: Final = 5
BATCH: Final = 5_000


def _columns(names: str) -> list[str]:
    return names.split()


TABLES: Final = {
    "conversations": _columns("id user_id client_id source_id title started_at last_at exchanges"),
    "message_logs": _columns(
        "number id client_id source_id digest user_id conversation_id model_id prompt_tokens completion_tokens "
        "total_tokens latency_ms at received_at"
    ),
    "message_contents": _columns("number user_id messages"),
}


@lru_cache(maxsize=1)
def vocabulary() -> tuple[list[str], list[float]]:
    """Every word, the commonest first, and how often each comes, added up."""
    words = [
        f"w{hashlib.sha256(str(rank).encode()).hexdigest()[: 3 + rank % 6]}x{rank:x}" for rank in range(VOCABULARY)
    ]
    return words, list(accumulate(1 / (rank + 3) for rank in range(VOCABULARY)))


def busy_of(logs: int) -> int:
    """How many logs the busy user has."""
    return min(MOST_BUSY, logs // 20)


def others_of(logs: int) -> int:
    """How many users there are besides the two."""
    return max(1, min(5_000, logs // 100))


def owner_of(number: int, logs: int) -> int:
    """Whose log this is. The two have theirs spread evenly over all."""
    conversation = number // TURNS
    conversations = max(1, logs // TURNS)
    if conversation % max(1, conversations // (FEW // TURNS)) == 1:
        return QUIET
    if conversation % max(1, logs // busy_of(logs)) == 0:
        return BUSY
    return 3 + conversation * 7919 % others_of(logs)


def at_of(number: int) -> str:
    """When it was: a log every half a minute."""
    return written(CAME + timedelta(seconds=30 * number))


def words_of(number: int) -> list[str]:
    """What is said in this log: made-up words."""
    words, weights = vocabulary()
    return Random(f"talk {number}").choices(words, cum_weights=weights, k=WORDS)


def model_of(number: int) -> int:
    """The id of the model of this log."""
    return 1 + Random(f"model {number}").choices(range(len(MODELS)), SHARES)[0]


def draw_logs(logs: int, client_id: str) -> Iterator[dict[str, list[Row]]]:
    """The rows of all logs by table, a batch at a time; `words` holds what SQLite's index takes."""
    for first in range(0, logs, BATCH):
        rows: dict[str, list[Row]] = {table: [] for table in [*TABLES, "words"]}
        for number in range(first, min(first + BATCH, logs)):
            user, conversation = owner_of(number, logs), number // TURNS
            user_id, at = id_of("user", user), at_of(number)
            if number % TURNS == 0:
                last = at_of(min(number + TURNS, logs) - 1)
                rows["conversations"].append(
                    (id_of("talk", conversation), user_id, client_id, f"c-{conversation}", "A talk", at, last, TURNS)
                )
            said = words_of(number)
            asked, answered = " ".join(said[:20]), " ".join(said[20:])
            messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
            rows["message_logs"].append(
                (
                    *(number + 1, id_of("log", number), client_id, f"l-{number}", b"0" * 16, user_id),
                    *(id_of("talk", conversation), model_of(number), 20, 100, 120, 800, at, at),
                )
            )
            rows["message_contents"].append((number + 1, user_id, json.dumps(messages)))
            rows["words"].append((number + 1, f"{asked}\n{answered}", f"u{user_id}"))
        yield rows
