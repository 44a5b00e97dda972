"""Ten thousand logs are purged while others push and read."""

from __future__ import annotations

from collections.abc import Callable

from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.messages.purge_race import purge_beside_pushes


def test_while_ten_thousand_are_purged_pushes_are_taken_and_read(
    app: Doorward, machine: Callable[..., Machine]
) -> None:
    purge_beside_pushes(app, machine, 10)
