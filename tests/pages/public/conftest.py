"""The mails that left, as they were printed."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from portal.jobs.runner import run_job


@pytest.fixture
def letters(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[tuple[str, str]]]:
    """Send what waits, with SMTP_URL=console; answers (address, text) of each mail since the last time."""

    def read() -> list[tuple[str, str]]:
        run_job("send_mail", by_hand=True)
        return re.findall(r"^--- mail to (\S+): (.*?)^---$", capsys.readouterr().err, re.MULTILINE | re.DOTALL)

    return read


def path_in(text: str, door: str) -> str:
    """The path of the link in a mail."""
    found = re.search(rf"/{door}/[\w-]+", text)
    assert found, text
    return found[0]
