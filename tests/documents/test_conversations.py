"""docs/conversations.md: its shell blocks run and answer what the page shows; its tables are the code's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from portal.core.access import SCOPES
from portal.core.settings import Settings
from portal.messages.keeping import CHOICES, Keeping, keeping_by
from portal.messages.records import MOST_RECORDS
from portal.messages.shape import KNOWN, MOST_BYTES, MOST_DEPTH, MOST_MESSAGES, MOST_MODEL, TOKENS
from portal.web.frame import Doorward
from tests.documents.guide import Guide
from tests.people import make_account
from tests.servers import Server

ITS_OWN = {"id", "user_id", "request_id", "received_at", "created_at", "updated_at", "made_at"}
ITS_OWN |= {"file", "keys", "revision", "tables", "rows", "bytes", "checked", "detail", "title"}
GUIDE = Guide("docs/conversations.md", ITS_OWN)


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # of both speak the tests of each part
def test_every_block_answers_what_the_page_shows(app: Doorward, served: Server, tmp_path: Path) -> None:
    make_account("alice")
    assert GUIDE.run(served, tmp_path) > 12


def test_every_field_of_a_record_is_told() -> None:
    told = set(re.findall(r"`(\w+)`", " ".join(GUIDE.column("field | meaning | left out"))))
    assert told == KNOWN
    usage = GUIDE.text.partition("| `usage` |")[2].partition("\n")[0]
    assert set(re.findall(r"`(\w+)`", usage)) == set(TOKENS)


def test_the_scopes_are_the_code_s() -> None:
    told = re.findall(r"`([\w:]+)`", " ".join(GUIDE.column("the client's scope | opens")))
    assert set(told) <= set(SCOPES)
    assert {scope for scope in SCOPES if scope.startswith(("logs:", "prompts:", "status:"))} == set(told)


def test_the_choices_are_the_code_s(app: Doorward) -> None:
    assert len(GUIDE.column("the user's choice | content | metadata")) == len(CHOICES) - 2  # three stand in one row
    assert keeping_by("plan", None) == Keeping(365, 365)
    assert keeping_by("30", 90) == Keeping(30, 90)
    assert keeping_by("365", 90) == Keeping(90, 90)
    assert keeping_by("metadata", 90) == Keeping(None, 90)
    assert keeping_by("nothing", 90) == keeping_by("plan", 0) == Keeping(None, None)


def test_the_numbers_are_the_code_s() -> None:
    assert (MOST_RECORDS, MOST_BYTES, MOST_DEPTH, MOST_MESSAGES, MOST_MODEL) == (1000, 256 * 1024, 32, 1000, 80)
    told = re.findall(r"`([A-Z_]+)` \(([\d,]+)", GUIDE.text)
    assert len(told) > 3
    for name, number in told:
        default = Settings.model_fields[name.lower()].default
        assert int(number.replace(",", "")) in {default, default // 1024**2 if isinstance(default, int) else None}, name
