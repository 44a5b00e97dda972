"""One word in every place: endpoint, module, address and template of a page say the same."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import jinja2
from flask import Flask
from jinja2.meta import find_referenced_templates

from portal.core.places import templates_dir
from portal.web.identity import HOMES
from tests.structure.source import Module, portal_modules, string_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from portal.web.frame import Doorward

PAGES = {"public", "account", "staff", "admin"}
# What has a page of its own below the page of another subject.
BELOW = {
    "account.authenticator": "security",
    "account.passkeys": "security",
    "account.password": "security",
    "account.recovery_codes": "security",
    "admin.record": "users/<uuid:user_id>",
    "admin.view": "users/<uuid:user_id>",
    "staff.record": "users/<uuid:user_id>",
    "staff.view": "users/<uuid:user_id>",
}
# What belongs to somebody is under whose it is.
OWNED = {"me": "me", "user": "users/<uuid:user_id>"}
# The subject that answers at the audience's own address. Public pages have addresses of their own.
FRONT = {"account": "home", "staff": "desk", "admin": "dashboard"}


def misnamed_routes(app: Flask) -> list[str]:
    """Each route whose endpoint, module and address do not say the same word."""
    faults = []
    for rule in app.url_map.iter_rules():
        audience, *rest = rule.endpoint.split(".")
        if audience not in PAGES | {"api"}:
            continue
        if len(rest) != 2:
            faults.append(f"{rule.endpoint} is not audience.subject.view")
            continue
        module = app.view_functions[rule.endpoint].__module__
        wanted = f"portal.api.{rest[0]}" if audience == "api" else f"portal.pages.{audience}.{rest[0]}"
        if module != wanted:
            faults.append(f"{rule.endpoint} lives in {module}")
        if audience != "public" and not below(rule.rule, address_of(audience, rest[0])):
            faults.append(f"{rule.endpoint} answers at {rule.rule}")
    return faults


def address_of(audience: str, subject: str) -> str:
    """The address under which a subject answers."""
    top = "/api/v1" if audience == "api" else f"/{audience}"
    owner, _, owned = subject.partition("_")
    if audience == "api" and owned and owner in OWNED:
        return f"{top}/{OWNED[owner]}/{owned.replace('_', '-')}"
    if above := BELOW.get(f"{audience}.{subject}"):
        top = f"{top}/{above}"
    return top if FRONT.get(audience) == subject else f"{top}/{subject.replace('_', '-')}"


def below(address: str, top: str) -> bool:
    """Whether the address is `top` or lies under it."""
    return address == top or address.startswith(f"{top}/")


def unhung_subjects(app: Flask, modules: Iterable[Module]) -> list[str]:
    """Each module with a blueprint of which no route is in the url map."""
    hung = {view.__module__ for view in app.view_functions.values()}
    return [
        f"{module.name} is not registered"
        for module in modules
        if module.folder in {"pages", "api"} and "\nblueprint = " in module.text and module.name not in hung
    ]


def rendered(module: Module) -> Iterator[tuple[int, str | None]]:
    """(line, template) of every render_template and write_mail; None where the name is not a literal."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        name = module.dotted(node.func)
        if name == "flask.render_template":
            yield node.lineno, string_of(node.args[0])
        elif name == "portal.mail.outbox.write_mail":
            letter = string_of(node.args[1])
            yield node.lineno, f"mail/{letter}.txt" if letter else None
            yield node.lineno, f"mail/{letter}.html" if letter else None


def misplaced_templates(modules: Iterable[Module]) -> list[str]:
    """Each template that a page renders from another place than its own."""
    faults = []
    for module in modules:
        own = module.name.removeprefix("portal.pages.").replace(".", "/") + "/"
        for line, template in rendered(module):
            if template is None:
                faults.append(f"{module.name}:{line} renders what is not a literal")
            elif module.folder == "pages" and not template.startswith(own):
                faults.append(f"{module.name}:{line} renders {template}")
    return faults


def template_faults(folder: Path, modules: Iterable[Module]) -> list[str]:
    """Each template that is asked for and missing, and each that nobody renders or includes."""
    environment = jinja2.Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.*")}
    waiting = [template for module in modules for _, template in rendered(module) if template]
    seen: set[str] = set()
    faults = []
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name not in files:
            faults.append(f"{name} is missing")
            continue
        for wanted in find_referenced_templates(environment.parse(files[name].read_text())):
            if wanted is None:
                faults.append(f"{name} includes what is not a literal")
            else:
                waiting.append(wanted)
    return faults + [f"{name} is rendered by nobody" for name in sorted(files.keys() - seen)]


def test_endpoint_module_and_address_say_the_same(site: Doorward) -> None:
    assert misnamed_routes(site) == []


def test_a_route_under_another_name_is_reported() -> None:
    app = Flask("planted")
    app.add_url_rule("/account/tokens", "account.keys.index", lambda: "")
    app.add_url_rule("/admin", "admin.index", lambda: "")
    app.view_functions["account.keys.index"].__module__ = "portal.pages.account.keys"
    assert misnamed_routes(app) == [
        "account.keys.index answers at /account/tokens",
        "admin.index is not audience.subject.view",
    ]
    app.view_functions["account.keys.index"].__module__ = "portal.pages.admin.users"
    assert "account.keys.index lives in portal.pages.admin.users" in misnamed_routes(app)


def test_every_subject_is_hung_in(site: Doorward) -> None:
    assert unhung_subjects(site, portal_modules()) == []


def test_a_forgotten_subject_is_reported(site: Doorward) -> None:
    text = 'from flask import Blueprint\n\nblueprint = Blueprint("webhooks", __name__)\n'
    forgotten = Module("portal.pages.admin.webhooks", text)
    assert unhung_subjects(site, [forgotten]) == ["portal.pages.admin.webhooks is not registered"]


def test_pages_render_what_lies_in_their_own_place() -> None:
    assert misplaced_templates(portal_modules()) == []


def test_a_template_of_elsewhere_is_reported() -> None:
    text = "from flask import render_template\ndef index(name):\n    return render_template({})\n"
    for template in ('"admin/users/index.html"', '"account/keys.html"', "name"):
        assert len(misplaced_templates([Module("portal.pages.account.keys", text.format(template))])) == 1


def test_every_template_is_there_and_used() -> None:
    assert template_faults(templates_dir(), portal_modules()) == []


def test_a_missing_and_an_unused_template_are_reported(tmp_path: Path) -> None:
    (tmp_path / "account").mkdir()
    (tmp_path / "account/index.html").write_text('{% extends "layout.html" %}{% include "account/_row.html" %}')
    (tmp_path / "layout.html").write_text("")
    (tmp_path / "account/_old.html").write_text("")
    text = 'from flask import render_template\nrender_template("account/index.html")\n'
    faults = template_faults(tmp_path, [Module("portal.pages.account.home", text)])
    assert faults == ["account/_row.html is missing", "account/_old.html is rendered by nobody"]


def test_every_kind_has_a_home_that_is_there(site: Doorward) -> None:
    adapter = site.url_map.bind("localhost")
    assert {adapter.match(address)[0] for address in HOMES.values()} == {
        f"{audience}.{subject}.index" for audience, subject in FRONT.items()
    }
