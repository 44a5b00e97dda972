"""Doors hold no queries: pages, routes and health ask features, never the database."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.structure.source import Module, imports_of, portal_modules

if TYPE_CHECKING:
    from collections.abc import Iterable

DOORS = {"pages", "api", "ops"}
DATABASE = ("sqlalchemy", "flask_sqlalchemy", "sqlite3", "psycopg", "portal.core.database")


def queries_in_doors(modules: Iterable[Module]) -> list[str]:
    """Each way to the database in a door: an import of it, or a query on a record's class."""
    faults = []
    for module in modules:
        if module.folder not in DOORS:
            continue
        for found in imports_of(module):
            if any(found.target == part or found.target.startswith(f"{part}.") for part in DATABASE):
                faults.append(f"{module.name}:{found.line} imports {found.target}")
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute) and node.attr in {"query", "metadata", "__table__"}:
                faults.append(f"{module.name}:{node.lineno} {ast.unparse(node)}")
    return faults


def test_doors_hold_no_queries() -> None:
    assert queries_in_doors(portal_modules()) == []


def test_a_query_in_a_door_is_reported() -> None:
    ways = (
        "from sqlalchemy import select",
        "import sqlalchemy.orm",
        "from portal.core.database import db",
        "from portal.core import database",
        "User.query.all()",
    )
    for way in ways:
        for door in ("portal.pages.account.keys", "portal.api.keys", "portal.ops"):
            assert len(queries_in_doors([Module(door, way)])) == 1, way
    assert queries_in_doors([Module("portal.keys.service", ways[0])]) == []
