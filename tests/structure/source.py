"""The source as trees: the modules of a folder or planted as text, what they import, which functions they hold."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
# Which floor a folder (or a module at the top) of portal stands on. `__init__` is portal/__init__.py.
FLOORS: dict[str, int] = {
    "core": 1,
    "audit": 2,
    "mail": 3,
    "repeats": 3,
    "work": 3,
    "accounts": 4,
    "clients": 4,
    "usage": 5,
    "prompts": 5,
    "tokens": 5,
    "signin": 6,
    "keys": 6,
    "messages": 6,
    "support": 7,
    "outside": 7,
    "insight": 8,
    "privacy": 8,
    "web": 9,
    "api": 10,
    "backup": 10,
    "jobs": 10,
    "ops": 10,
    "pages": 11,
    "migrating": 12,
    "__init__": 12,
    "demo": 12,
    "serving": 13,
    "cli": 14,
}


@dataclass(frozen=True)
class Module:
    """One module: its dotted name and its text."""

    name: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The text as a tree."""
        return ast.parse(self.text)

    @property
    def folder(self) -> str:
        """`core` for portal.core.clock, `__init__` for portal itself."""
        return folder_of(self.name)

    @property
    def is_feature(self) -> bool:
        """Whether it stands below web: knows the product and nothing of HTTP."""
        return FLOORS.get(self.folder, 0) < FLOORS["web"]

    @cached_property
    def names(self) -> dict[str, str]:
        """What each imported name stands for, dotted: `now` may be portal.core.settings.current."""
        known = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    known[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        return known

    @cached_property
    def functions(self) -> dict[str, ast.FunctionDef]:
        """The functions at the top of the module."""
        return {node.name: node for node in self.tree.body if isinstance(node, ast.FunctionDef)}

    def dotted(self, node: ast.AST) -> str:
        """The dotted name that an expression such as `events.KEY_CREATED` stands for; empty for anything else."""
        if isinstance(node, ast.Name):
            if node.id in self.functions:
                return f"{self.name}.{node.id}"
            return self.names.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            owner = self.dotted(node.value)
            return f"{owner}.{node.attr}" if owner else ""
        return ""


@dataclass(frozen=True)
class Import:
    """One import: of what, on which line, and inside which function if in one."""

    target: str
    line: int
    function: str | None = None


def folder_of(name: str) -> str:
    """The folder of portal that a dotted name leads into."""
    parts = name.split(".")
    if len(parts) > 2 or (len(parts) == 2 and parts[1] in FLOORS):
        return parts[1]
    place = ROOT.joinpath(*parts)
    return parts[1] if len(parts) == 2 and (place.is_dir() or place.with_suffix(".py").is_file()) else "__init__"


@cache
def modules_in(folder: str) -> tuple[Module, ...]:
    """Every module of a folder at the top of the checkout, sorted by name; none when there is no such folder."""
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found.append(Module(".".join(parts[:-1] if parts[-1] == "__init__" else parts), path.read_text()))
    return tuple(found)


def portal_modules() -> tuple[Module, ...]:
    """Every module of the package."""
    found = modules_in("portal")
    assert len(found) > 80, "the package was not found"
    return found


def imports_of(module: Module) -> Iterator[Import]:
    """Everything that a module imports, by statement or by name; `from a import b` is an import of a.b."""

    def walk(node: ast.AST, function: str | None) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            inside = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
            if isinstance(child, ast.Lambda):
                inside = "lambda"
            if isinstance(child, ast.Import):
                yield from (Import(alias.name, child.lineno, function) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                start = "." * child.level + (child.module or "")
                yield from (Import(f"{start}.{alias.name}", child.lineno, function) for alias in child.names)
            elif isinstance(child, ast.Call) and module.dotted(child.func) in {"importlib.import_module", "__import__"}:
                named = child.args[0] if child.args else None
                if isinstance(named, ast.Constant) and isinstance(named.value, str):
                    yield Import(named.value, child.lineno, function)
            yield from walk(child, inside)

    return walk(module.tree, None)


def string_of(node: ast.AST | None) -> str | None:
    """The text of a literal string, else None."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
