"""Which processor cores serve and which one makes the load."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Cores:
    """Numbers of cores. Both are empty where the system pins nothing."""

    server: frozenset[int]
    load: frozenset[int]

    @property
    def words(self) -> str:
        """For the head of a table."""
        if not self.server:
            return "nothing is pinned here: ratios only, and rough ones"
        if self.server == self.load:
            return "ONE CORE for server and load: the figures are not to be quoted"
        return f"server on core {_listed(self.server)}, load on core {_listed(self.load)}"


def _listed(numbers: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))


def share_out(workers: int) -> Cores:
    """One core for the load; for the server as many as it has workers, and at least one is left for the load."""
    if sys.platform != "linux":
        return Cores(frozenset(), frozenset())
    own = sorted(os.sched_getaffinity(0))
    return Cores(frozenset(own[: max(1, min(workers, len(own) - 1))]), frozenset(own[-1:]))


@contextmanager
def pinned(numbers: frozenset[int]) -> Iterator[None]:
    """What is started inside runs on these cores; they are inherited."""
    if sys.platform != "linux" or not numbers:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, numbers)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
