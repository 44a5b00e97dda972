"""What the documents name is there: files, tables, commands, and the folders of a floor."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from portal.cli import main
from portal.core.database import db
from portal.core.places import ROOT
from portal.web.frame import Doorward
from tests.structure.source import FLOORS

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMED = re.compile(r"`((?:[\w.-]+/)+[\w.-]*)(?::[^`]*)?`")
LINKED = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
PLACES = (ROOT, ROOT / "portal")


def is_ours(name: str) -> bool:
    """Whether this means a file of the checkout, named from its top or from portal/; `keys/s` and addresses do not."""
    begins = any((place / name.partition("/")[0]).is_dir() for place in PLACES)
    return name.endswith((".py", ".md", ".html", ".css")) or (begins and name.endswith("/"))


def is_there(name: str) -> bool:
    """Whether it is there."""
    return any((place / name).exists() for place in PLACES)


def test_files_are_told_from_other_words() -> None:
    assert is_ours("usage/nothing.py")
    assert not is_ours("nowhere/")
    assert not is_there("usage/nothing.py")
    assert not any(map(is_ours, ("keys/s", "application/json", "192.0.2.7/24", "usage/consume")))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_is_named_is_there(document: Path) -> None:
    text = document.read_text("utf-8")
    missing = [name for name in NAMED.findall(text) if is_ours(name) and not is_there(name)]
    assert missing == []
    assert [link for link in LINKED.findall(text) if not (document.parent / link).exists()] == []


def test_every_heading_that_is_linked_is_there() -> None:
    for document in DOCUMENTS:
        text = document.read_text("utf-8")
        for file, heading in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", text):
            whole = (document.parent / file).read_text("utf-8") if file else text
            headings = re.findall(r"^#+ (.*)$", whole, flags=re.M)
            assert heading in {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}


def test_the_floors_are_those_of_the_structure_test() -> None:
    table = (ROOT / "docs/architecture.md").read_text("utf-8").partition("| floor |")[2].partition("\n\n")[0]
    told: dict[str, int] = {}
    for row in table.splitlines()[2:]:
        _, floor, folders, *_ = row.split("|")
        told |= {name.removesuffix(".py"): int(floor) for name in re.findall(r"`([\w.]+)`", folders)}
    assert told == FLOORS


def test_the_tables_are_those_of_the_database(app: Doorward) -> None:
    told = (ROOT / "docs/architecture.md").read_text("utf-8").partition("| table |")[2].partition("\n\n")[0]
    names = [name for row in told.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert len(names) > 8
    assert [name for name in names if name not in db.metadata.tables] == []


def test_the_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    told = re.search(r"`doorward --help` \| the command: (.*) \|", readme)
    assert told
    assert isinstance(main, click.Group)
    assert set(told[1].split(", ")) == set(main.commands)
