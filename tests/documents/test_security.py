"""The page of promises: each is there once, and the tests it names are."""

from __future__ import annotations

import re

from tests.structure.source import ROOT

LINE = re.compile(r"^\| (S\d{3}) \| (.+?) \| (.+?) \|$", re.M)
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def missing(text: str) -> list[str]:
    """Each test that is named and is not there."""
    faults = []
    for path, name in NAMED.findall(text):
        file = ROOT / path
        if not file.is_file() or not re.search(rf"^\s*def {name}\(", file.read_text(), re.M):
            faults.append(f"{path}::{name}")
    return faults


def test_every_test_that_is_named_is_there() -> None:
    text = (ROOT / "docs/security.md").read_text()
    assert len(NAMED.findall(text)) > 100
    assert missing(text) == []


def test_a_test_that_went_is_reported() -> None:
    gone = "`tests/documents/test_security.py::test_that_went`"
    nowhere = "`tests/documents/test_nothing.py::test_that_went`"
    assert len(missing(gone + nowhere)) == 2
    assert missing("`tests/documents/test_security.py::test_a_test_that_went_is_reported`") == []


def test_every_promise_stands_once_with_its_proof_or_what_is_missing() -> None:
    lines = LINE.findall((ROOT / "docs/security.md").read_text())
    assert [number for number, _, _ in lines] == [f"S{number:03}" for number in range(1, 120)]
    assert [number for number, _, proof in lines if not (NAMED.search(proof) or len(proof.split()) > 2)] == []
