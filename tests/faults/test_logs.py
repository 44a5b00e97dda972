"""What a fault leaves in the log: where it happened, never what people typed."""

from __future__ import annotations

from typing import Literal

import pytest
import structlog

from portal.core.settings import Settings
from portal.web.logs import set_up_logs


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_traceback_shows_no_local_variable(
    log_format: Literal["console", "json"], capsys: pytest.CaptureFixture[str]
) -> None:
    def check(typed: str) -> None:
        raise RuntimeError(f"cannot check {len(typed)} characters")

    set_up_logs(Settings(log_format=log_format, log_level="error"))
    try:
        check("seven quiet" + " lanterns")
    except RuntimeError:
        structlog.get_logger().exception("request.failed")
    logged = capsys.readouterr().err
    assert "cannot check 20 characters" in logged
    assert "in check" in logged or '"check"' in logged
    assert "quiet lanterns" not in logged
