"""Print who may do what, as the code has it: `python tools/access_table.py > docs/access.md`.

Capabilities and their holders come from portal/core/access.py; verbs and what they want from the guards they wear.
"""

from __future__ import annotations

import pkgutil
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from types import FunctionType

import portal
from portal import create_app
from portal.core import access
from portal.core.access import Capability
from portal.core.settings import load
from portal.web.routes import list_routes

HEAD = """\
# Who may do what

Made by `python tools/access_table.py > docs/access.md` from the code; a test compares the two.
What is not listed is denied.
"""
CAPABILITIES = """
## Capabilities

Every capability is a named right. Users and support levels hold what is marked; an admin holds what the own permissions
grant, and `every admin` without any; a service client holds what its scopes grant. Jobs and whoever runs `doorward` on
the machine hold all of them.

| capability | what its holder may do | users | level 1 | level 2 | level 3 | admins with | clients with |
|---|---|---|---|---|---|---|---|
"""
VERBS = """
## Verbs

Every act is one function, a verb, which pages and API call alike. An actor needs one of the capabilities named. Of a
person some want that they proved who they are shortly before: within 5 minutes, or within 10 by a second factor where
one is set up. Some want grounds: of staff an open case about this user, of admins a reason.

| verb | open to | proof of who one is | grounds |
|---|---|---|---|
"""


DOORS = """
## Doors

Every address with whom its door lets in, as `doorward routes` lists them. What is for staff or admins is not there for
anybody else. Of the capabilities any one opens the door; the verb behind asks again.

| address | methods | for | capability |
|---|---|---|---|
"""


def mark(held: bool) -> str:
    """A cell that says yes or nothing."""
    return "yes" if held else ""


def names(words: list[str]) -> str:
    """A cell of code words."""
    return ", ".join(f"`{word}`" for word in words)


def capability_rows() -> list[str]:
    """One line for each capability with its holders."""
    rows = []
    for capability in Capability:
        permissions = [name for name, granted in access.PERMISSIONS.items() if capability in granted]
        scopes = [name for name, granted in access.SCOPES.items() if capability in granted]
        cells = [
            f"`{capability}`",
            capability.sentence,
            mark(capability in access.USER),
            *(mark(capability in access.of_level(level)) for level in (1, 2, 3)),
            "every admin" if capability in access.ADMIN else names(permissions),
            names(scopes),
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return rows


RECENCY = {"": "", "any": "within 5 minutes", "factor": "within 10 minutes, by second factor"}


def verbs() -> dict[str, tuple[tuple[Capability, ...] | str, str, str]]:
    """Every verb by its dotted name: what it wants or why it is open, how fresh a proof, what grounds."""
    found = {}
    for module in pkgutil.walk_packages(portal.__path__, "portal."):
        for name, value in vars(import_module(module.name)).items():
            wanted = getattr(value, "__access__", None) if isinstance(value, FunctionType) else None
            if wanted is not None and value.__module__ == module.name:
                fresh = RECENCY[getattr(value, "__recently__", "")]
                found[f"{module.name.removeprefix('portal.')}.{name}"] = (
                    wanted,
                    fresh,
                    "case or reason" if getattr(value, "__case__", False) else "",
                )
    return dict(sorted(found.items()))


def verb_rows() -> list[str]:
    """One line for each verb."""
    return [
        f"| `{name}` | {f'everybody: {wanted}' if isinstance(wanted, str) else names([str(one) for one in wanted])} |"
        f" {fresh} | {grounds} |"
        for name, (wanted, fresh, grounds) in verbs().items()
    ]


def door_rows() -> list[str]:
    """One line for each address."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        app = create_app(load({}, folder=place, data_dir=place, database_url="", log_level="error"))
        return [
            f"| `{one.route}` | {', '.join(one.methods)} | {one.audience} | {names(one.capabilities)} |"
            for one in list_routes(app)
        ]


def access_table() -> str:
    """The whole page."""
    tables = {CAPABILITIES: capability_rows(), VERBS: verb_rows(), DOORS: door_rows()}
    return HEAD + "".join(head + "\n".join(rows) + "\n" for head, rows in tables.items())


if __name__ == "__main__":
    sys.stdout.write(access_table())
