"""Addresses are built by functions that werkzeug compiles for each rule of each application, some 300 of them.

That costs as much as a small test. They depend on nothing but the rule, so the applications of the tests share them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from werkzeug.routing import Rule

_compile: Callable[..., Any] = Rule._compile_builder
_compiled: dict[tuple[Any, ...], Any] = {}


def _compile_once(rule: Rule, append_unknown: bool = True) -> Any:
    made_of = (rule.rule, tuple(rule._trace), repr(rule.defaults), append_unknown)
    if made_of not in _compiled:
        _compiled[made_of] = _compile(rule, append_unknown)
    return _compiled[made_of]


def share_builders() -> None:
    """Compile each rule once in this process."""
    setattr(Rule, "_compile_builder", _compile_once)  # noqa: B010  # the library types it as its own
