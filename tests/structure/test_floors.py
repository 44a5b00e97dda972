"""Import only from a smaller number; HTTP stays upstairs; no import hides in a function."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.structure.source import FLOORS, ROOT, Module, folder_of, imports_of, modules_in, portal_modules

if TYPE_CHECKING:
    from collections.abc import Iterable

HTTP = {"flask", "flask_login", "flask_migrate", "flask_sqlalchemy", "flask_wtf", "werkzeug", "wtforms"}
# The extension that holds the session; it knows an application, not a request.
HTTP_BELOW = {("portal.core.database", "flask_sqlalchemy")}
NOT_FOR_PORTAL = {"tests", "tools", "integrations", "benchmarks", "config", "wsgi"}


def floor_faults(modules: Iterable[Module]) -> list[str]:
    """Each import that does not lead down."""
    faults = []
    for module in modules:
        here = FLOORS.get(module.folder)
        if here is None:
            faults.append(f"{module.name} stands on no floor")
            continue
        for found in imports_of(module):
            top = found.target.partition(".")[0]
            if found.target.startswith(".") or top in NOT_FOR_PORTAL:
                faults.append(f"{module.name}:{found.line} imports {found.target}")
                continue
            there = folder_of(found.target) if top == "portal" else module.folder
            if there != module.folder and FLOORS.get(there, 99) >= here:
                faults.append(f"{module.name}:{found.line} on {here} imports {found.target} on {FLOORS.get(there)}")
    return faults


def http_faults(modules: Iterable[Module]) -> list[str]:
    """Each import of what speaks HTTP below the floor of web."""
    return [
        f"{module.name}:{found.line} imports {found.target}"
        for module in modules
        if module.is_feature
        for found in imports_of(module)
        if (top := found.target.partition(".")[0]) in HTTP and (module.name, top) not in HTTP_BELOW
    ]


def hidden_faults(modules: Iterable[Module]) -> list[str]:
    """Each import of our own modules inside a function."""
    return [
        f"{module.name}:{found.line} imports {found.target} inside {found.function}"
        for module in modules
        for found in imports_of(module)
        if found.function and found.target.partition(".")[0] == "portal"
    ]


def outside_faults(modules: Iterable[Module]) -> list[str]:
    """Each import of portal in a package that other people's apps install."""
    return [
        f"{module.name}:{found.line} imports {found.target}"
        for module in modules
        for found in imports_of(module)
        if found.target.partition(".")[0] == "portal"
    ]


def test_every_import_leads_down() -> None:
    assert floor_faults(portal_modules()) == []


def test_an_import_that_leads_up_is_reported() -> None:
    up = Module("portal.accounts.models", "from portal.keys.service import create_key\n")
    assert floor_faults([up]) == ["portal.accounts.models:1 on 4 imports portal.keys.service.create_key on 6"]


def test_an_import_between_neighbours_is_reported_also_when_only_for_types() -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import portal.clients.models\n"
    assert len(floor_faults([Module("portal.accounts.links", text)])) == 1


def test_an_import_of_the_package_itself_counts_as_its_top() -> None:
    assert len(floor_faults([Module("portal.web.frame", "from portal import create_app\n")])) == 1
    assert floor_faults([Module("portal.serving", "from portal import create_app\n")]) == []


def test_an_import_by_name_counts() -> None:
    text = 'from importlib import import_module\nmodels = import_module("portal.keys.models")\n'
    assert len(floor_faults([Module("portal.core.ids", text)])) == 1


def test_a_folder_without_a_floor_is_reported() -> None:
    assert floor_faults([Module("portal.surprise.service", "")]) == ["portal.surprise.service stands on no floor"]


def test_portal_imports_nothing_of_tests_and_tools() -> None:
    bad = [
        Module("portal.core.ids", "from tests.people import PASSWORD\n"),
        Module("portal.cli", "import tools.lock\n"),
    ]
    assert len(floor_faults(bad)) == 2


def test_http_stays_on_the_floor_of_web_and_above() -> None:
    assert http_faults(portal_modules()) == []


def test_a_feature_that_reads_the_request_is_reported() -> None:
    bad = Module("portal.keys.service", "from flask import request\n")
    assert http_faults([bad]) == ["portal.keys.service:1 imports flask.request"]
    assert http_faults([Module("portal.core.database", "import flask_login\n")]) != []
    assert http_faults([Module("portal.web.gates", "from flask import request\n")]) == []


def test_no_import_of_our_own_hides_in_a_function() -> None:
    assert hidden_faults(portal_modules()) == []


def test_a_hidden_import_is_reported() -> None:
    text = "class Key:\n    def owner(self):\n        from portal.accounts.models import User\n        return User\n"
    assert len(hidden_faults([Module("portal.keys.models", text)])) == 1
    assert len(hidden_faults([Module("portal.cli", 'def f():\n    return __import__("portal.ops")\n')])) == 1


def test_integrations_know_nothing_of_portal() -> None:
    assert outside_faults(modules_in("integrations")) == []


def test_an_integration_that_imports_portal_is_reported() -> None:
    bad = Module("integrations.python.doorward_client.asgi", "import httpx\nfrom portal.core import ids\n")
    assert outside_faults([bad]) == ["integrations.python.doorward_client.asgi:2 imports portal.core.ids"]


def test_the_drawing_of_the_house_has_the_same_floors() -> None:
    drawn: dict[str, int] = {}
    for number, names in re.findall(r"^\| (\d+) \| ([^|]+) \|", (ROOT / "docs/architecture.md").read_text(), re.M):
        drawn |= {name.removesuffix(".py"): int(number) for name in re.findall(r"`([^`]+)`", names)}
    assert drawn == FLOORS
