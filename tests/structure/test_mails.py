"""Every mail has both its faces and a sender, and every link in one leads to a page."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest
from werkzeug.exceptions import HTTPException

from portal.accounts.links import PATHS
from portal.core.places import templates_dir
from portal.web.envelope import shown_path
from tests.structure.source import Module, portal_modules, string_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flask import Flask

    from portal.web.frame import Doorward

WRITE = "portal.mail.outbox.write_mail"
LINK = "portal.mail.rendering.site_link"


def letters_written(modules: Iterable[Module]) -> set[str]:
    """The template of every write_mail."""
    return {
        string_of(node.args[1]) or f"{module.name}:{node.lineno} is not a literal"
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and module.dotted(node.func) == WRITE
    }


def letters_drawn(files: Iterable[str]) -> dict[str, set[str]]:
    """The faces of each mail template; one that begins with _ is a part of others."""
    drawn: dict[str, set[str]] = {}
    for file in files:
        name, _, face = file.partition(".")
        if not name.startswith("_"):
            drawn.setdefault(name, set()).add(face)
    return drawn


def literal_links(modules: Iterable[Module]) -> set[str]:
    """Every path that is handed to site_link as it stands."""
    return {
        path
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and module.dotted(node.func) == LINK and (path := string_of(node.args[0]))
    }


def dead_links(app: Flask, paths: Iterable[str]) -> list[str]:
    """Each path that opens no page."""
    adapter = app.url_map.bind("localhost")
    dead = []
    for path in paths:
        try:
            adapter.match(path, method="GET")
        except HTTPException:
            dead.append(path)
    return dead


def mail_files() -> list[str]:
    """The names of all files in templates/mail."""
    return sorted(path.name for path in (templates_dir() / "mail").iterdir())


def test_every_mail_has_both_faces_and_a_sender() -> None:
    drawn = letters_drawn(mail_files())
    assert {name for name, faces in drawn.items() if faces != {"txt", "html"}} == set()
    assert letters_written(portal_modules()) == set(drawn)


def test_a_mail_without_a_face_or_sender_is_seen() -> None:
    assert letters_drawn(["reset.txt", "_letter.html"]) == {"reset": {"txt"}}
    text = "from portal.mail.outbox import write_mail\nwrite_mail(to, 'reset', {})\nwrite_mail(to, name, {})\n"
    assert letters_written([Module("m", text)]) == {"reset", "m:3 is not a literal"}


def test_every_link_in_a_mail_opens_a_page(site: Doorward) -> None:
    texts = [(templates_dir() / "mail" / name).read_text() for name in mail_files()]
    spelt = {path for text in texts for path in re.findall(r"{{ site_url }}(/[\w/-]+)", text)}
    literal = literal_links(portal_modules())
    assert spelt and literal
    assert dead_links(site, [*(path + "token" for path in PATHS.values()), *literal, *spelt]) == []


def test_a_dead_link_is_reported(site: Doorward) -> None:
    text = "from portal.mail.rendering import site_link\nlink = site_link('/forgot')\n"
    paths = literal_links([Module("portal.signin.reset", text)])
    assert dead_links(site, paths) == ["/forgot"]
    assert dead_links(site, ["/sign-out"]) == ["/sign-out"], "a link is opened with GET"


@pytest.mark.parametrize("path", PATHS.values())
def test_the_token_of_a_mailed_link_stays_out_of_the_log(path: str) -> None:
    assert "token" not in shown_path(path + "token")
