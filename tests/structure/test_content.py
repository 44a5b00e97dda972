"""What was said comes out by one way: few modules touch it, and every door reaches it through the verbs of opening.

The other half, with words in a database and every role at every address, is tests/pages/test_content.py.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from tests.structure.source import Module, portal_modules, string_of
from tests.structure.test_verbs import House

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MESSAGES = "portal.messages"
OPENING = f"{MESSAGES}.opening"
# What holds words, what makes words of what is sealed, and what answers which words were said where.
HOLDERS = {f"{MESSAGES}.models.MessageContent", f"{MESSAGES}.models.SealedContent"}
COLUMNS = {f"{MESSAGES}.models.{name}" for name in ("MessageLog.extra", "Conversation.title", "QuarantinedRecord.line")}
OPENERS = {f"{MESSAGES}.sealing.open_{name}" for name in ("content", "words", "title", "quarantined")}
FINDERS = {
    f"{MESSAGES}.searching.matching_words",
    f"{MESSAGES}.searching.sqlite_match",
    f"{MESSAGES}.hits.page_of_hits",
}
NAMES = HOLDERS | COLUMNS | OPENERS | FINDERS
SQL = re.compile(r"\b(FROM|JOIN|INTO|UPDATE)\s+(message_contents|sealed_contents|message_search)\b|message_contents\.")

# Every module that touches any of it, and what for.
TOUCHING = {
    OPENING: "the one way by which anybody reads or searches it",
    f"{MESSAGES}.searching": "the index: it answers which logs hold words, and no words",
    f"{MESSAGES}.hits": "pages of what the index answered, for opening alone",
    f"{MESSAGES}.store": "writes it, out of the spool",
    f"{MESSAGES}.quarantine": "stores again what was set aside; shows nothing of it",
    f"{MESSAGES}.sealing_job": "seals what lies open; shows nothing of it",
    f"{MESSAGES}.purging": "deletes what is kept no longer",
    f"{MESSAGES}.titles": "names a conversation anew by the words that are still kept",
    f"{MESSAGES}.purged_quarantine": "deletes what was set aside and is kept no longer",
    f"{MESSAGES}.export_rows": "counts and narrows what an export holds; the words come from opening",
    "portal.backup.restoring": "erases what no key opens, and fills the index again",
    "portal.demo.conversations": "writes what nobody said",
}
# What a door may call though it touches words and is not opening: no word of them comes back.
ANSWERS_NO_WORDS = {
    f"{MESSAGES}.quarantine._try_again": "stores the line it opens, and answers nothing of it",
    f"{MESSAGES}.sealing_job.open_logs": "tells how many lie open by their numbers",
    f"{MESSAGES}.export_rows._logs_of": "narrows an export whose verbs asked who may and why",
}
DOORS = {"pages", "api", "ops", "web"}


def touches(module: Module, root: ast.AST) -> Iterator[str]:
    """Everything below this node that touches words."""
    for node in ast.walk(root):
        if isinstance(node, ast.Name | ast.Attribute):
            name = module.dotted(node)
            if name in NAMES:
                yield name
            elif isinstance(node, ast.Attribute) and node.attr == "sealed_title":
                yield "sealed_title"
        elif isinstance(node, ast.Constant) and SQL.search(string_of(node) or ""):
            yield "SQL"


def touching(modules: Iterable[Module]) -> set[str]:
    """The modules that touch words anywhere."""
    return {
        module.name for module in modules if module.name != f"{MESSAGES}.models" and any(touches(module, module.tree))
    }


def ways_around(modules: Iterable[Module]) -> list[str]:
    """Each call of a door that reaches words without passing through a verb of opening."""
    house = House.of(modules)

    def stops(name: str) -> bool:
        return name in ANSWERS_NO_WORDS or (name.startswith(f"{OPENING}.") and house.is_verb(name))

    faults = []
    for module in house.modules.values():
        if module.folder not in DOORS:
            continue
        if any(touches(module, module.tree)):
            faults.append(f"{module.name} touches words itself")
        called = {module.dotted(node.func) for node in ast.walk(module.tree) if isinstance(node, ast.Call)}
        for name in sorted(called):
            if not name.startswith("portal.") or stops(name):
                continue
            for owner, part in house.reached(name, stops):
                if any(any(touches(owner, statement)) for statement in part.body):
                    faults.append(f"{module.name} reaches words by {owner.name}.{part.name}")
    return sorted(set(faults))


def test_only_these_modules_touch_what_was_said() -> None:
    assert touching(portal_modules()) == set(TOUCHING)


def test_no_door_reaches_words_but_through_opening() -> None:
    assert ways_around(portal_modules()) == []


def test_the_exceptions_are_still_there() -> None:
    house = House.of(portal_modules())
    assert [name for name in ANSWERS_NO_WORDS if house.function(name) is None] == []
    for name in NAMES - COLUMNS - HOLDERS:
        assert house.function(name) is not None, name
    models = next(module for module in portal_modules() if module.name == f"{MESSAGES}.models")
    for name in HOLDERS | COLUMNS:
        kind, _, column = name.removeprefix(f"{MESSAGES}.models.").partition(".")
        assert re.search(rf"class {kind}\(.*\n(?:.*\n)*?    {column or 'number'}: Mapped", models.text), name


def test_the_verbs_of_opening_say_who_may() -> None:
    module = next(module for module in portal_modules() if module.name == OPENING)
    bare = [
        name for name in module.functions if not name.startswith("_") and not House.of([module]).is_verb(name_of(name))
    ]
    assert bare == []


def name_of(function: str) -> str:
    """The dotted name of a function of opening."""
    return f"{OPENING}.{function}"


PAGE = "from portal.messages.planted import peek\npeek(1)\n"
PEEKS = {
    "selects the words": ("models import MessageContent", "MessageContent.messages"),
    "asks in SQL": ("models import MessageLog", "run('SELECT messages FROM message_contents')"),
    "opens what is sealed": ("sealing import open_content", "open_content(n, n, n)"),
    "asks the index": ("hits import page_of_hits", "page_of_hits(n)"),
    "looks at the metadata of the client": ("models import MessageLog", "MessageLog.extra"),
    "goes by another function": (
        "models import SealedContent",
        "_deep(n)\ndef _deep(n):\n    return SealedContent.sealed",
    ),
}


def test_a_way_around_is_reported_however_it_goes() -> None:
    page = Module("portal.pages.account.planted", PAGE)
    for way, (imported, what) in PEEKS.items():
        text = f"from portal.messages.{imported}\ndef peek(n):\n    return {what}\n"
        planted = Module("portal.messages.planted", text)
        assert touching([planted]) == {"portal.messages.planted"}, way
        (fault,) = ways_around([planted, page])
        assert fault.startswith("portal.pages.account.planted reaches words by portal.messages.planted."), way


def test_a_page_that_touches_words_itself_is_reported() -> None:
    text = "from portal.messages.models import MessageContent\nprint(MessageContent.messages)\n"
    assert ways_around([Module("portal.pages.admin.planted", text)]) == [
        "portal.pages.admin.planted touches words itself"
    ]


def test_a_page_that_goes_through_opening_is_not() -> None:
    text = "from portal.messages.opening import open_contents\ndef peek(actor):\n    return open_contents(actor, [])\n"
    opening = next(module for module in portal_modules() if module.name == OPENING)
    planted = Module("portal.messages.planted", text)
    assert ways_around([opening, planted, Module("portal.pages.account.planted", PAGE)]) == []
