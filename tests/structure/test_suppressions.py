"""A check is silenced for one rule at a time, and says why."""

from __future__ import annotations

import io
import re
import tokenize
from typing import TYPE_CHECKING

from tests.structure.source import ROOT
from tests.structure.test_addresses import project_files

if TYPE_CHECKING:
    from collections.abc import Iterator

SILENCERS = re.compile(r"#\s*(noqa|type:\s*ignore|nosec|pragma:\s*no\s*cover|mypy:|ruff:|pylint:|pyright:)", re.I)
REASONED = re.compile(
    r"# (noqa: [A-Z]+\d+(, ?[A-Z]+\d+)*|type: ignore\[[\w-]+(, ?[\w-]+)*\]|nosec B\d+|pragma: no cover)"
    r"(  # (noqa: [A-Z]+\d+|nosec B\d+))*  # (?!noqa|nosec|type:)\w.{7,}"
)


def comments(text: str) -> Iterator[tuple[int, str]]:
    """(line, comment) of a module; strings that only look like comments are none."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def blanket_suppressions(name: str, text: str) -> list[str]:
    """Each comment that silences a check without naming the rule and the reason."""
    return [
        f"{name}:{line} {comment}"
        for line, comment in comments(text)
        if SILENCERS.search(comment) and not REASONED.match(comment)
    ]


def test_every_suppression_names_its_rule_and_reason() -> None:
    files = [path for path in project_files() if path.suffix == ".py"]
    assert len(files) > 100
    assert [
        fault for path in files for fault in blanket_suppressions(str(path.relative_to(ROOT)), path.read_text())
    ] == []


def test_a_blanket_suppression_is_reported() -> None:
    for comment in (
        "noqa",
        "noqa: S105",
        "noqa  # the public prefix of tokens",
        "type: ignore",
        "type: ignore  # flask-wtf is untyped",
        "type: ignore[misc]",
        "type: ignore[misc]  # why",
        "pragma: no cover",
        "noqa: S314  # nosec B314",
        "mypy: ignore-errors",
        "ruff: noqa",
    ):
        assert len(blanket_suppressions("f", f"x = 1  # {comment}\n")) == 1, comment
    for comment in ("noqa: S105  # the public prefix of tokens", "type: ignore[misc]  # flask-wtf is untyped"):
        assert blanket_suppressions("f", f"x = 1  # {comment}\n") == [], comment
