"""Many at once against several servers: the answers and the books agree to the last unit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.servers import Server
from tests.usage.crowd import Crowd, let_loose

THREADS, STEPS = 16, 300


@pytest.mark.slow
@pytest.mark.parametrize("served", [2], indirect=True)
def test_the_books_are_what_the_answers_add_up_to(
    app: Doorward, served: Server, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    crowd, token = Crowd(app, key_of), machine("keys:verify", "usage:consume", "usage:lease").token or ""
    crowd.furnish(limit=60, credits=40)
    codes = let_loose(crowd, [served], token, threads=THREADS, steps=STEPS, seed=1)
    assert {"VALID", "DAILY_LIMIT_REACHED", "CREDITS_EXHAUSTED", "refunded", "settled"} <= set(codes), codes
