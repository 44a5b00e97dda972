"""What the writer of hot statements has proved once it believes until another connection commits.

So no statement of its own may change what was proved: accounts, plans, clients, and of keys nothing but their last use.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from tests.structure.source import Module, portal_modules

if TYPE_CHECKING:
    from collections.abc import Iterable

CHANGE = re.compile(
    r"\b(INSERT INTO|UPDATE|DELETE FROM|REPLACE INTO)\s+(accounts|users|plans|service_clients|api_keys)\b"
)
# Says nothing of what was proved; and raises no version.
LAST_USE = re.compile(r"UPDATE api_keys SET( last_used_\w+ = :\w+,?)+\s+WHERE id = :key_id")


def changes_of_what_is_proved(modules: Iterable[Module]) -> list[str]:
    """Each SQL text that changes one of these tables beside the ORM, whose connections are not the writer's."""
    return [
        f"{module.name}: {told}"
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for told in (" ".join(node.value.split()),)
        if CHANGE.match(told) and not LAST_USE.fullmatch(told)
    ]


def test_no_statement_changes_what_the_writer_believes() -> None:
    assert changes_of_what_is_proved(portal_modules()) == []


def test_such_statements_are_reported() -> None:
    for told in (
        "UPDATE accounts SET version = version + 1 WHERE id = :id",
        "UPDATE users SET boost_extra = :extra",
        "DELETE FROM api_keys WHERE id = :id",
        "UPDATE api_keys SET revoked_at = :at WHERE id = :key_id",
        "UPDATE api_keys SET last_used_at = :at, version = :version WHERE id = :key_id",
        "INSERT INTO plans (id) VALUES (:id)",
        "UPDATE service_clients\n    SET disabled_at = :at",
    ):
        assert changes_of_what_is_proved([Module("portal.usage.statements", f"TEXT = {told!r}")]), told


def test_the_last_use_of_a_key_is_none() -> None:
    texts = "UPDATE api_keys SET last_used_at = :at, last_used_by = :name WHERE id = :key_id"
    assert changes_of_what_is_proved([Module("portal.usage.statements", f"TEXT = {texts!r}")]) == []
