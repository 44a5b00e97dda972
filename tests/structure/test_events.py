"""Every event of the audit log happens somewhere, and everything recorded is an event with its own facts."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sqlalchemy import select

from portal.audit import events
from portal.audit.models import AuditEntry
from portal.core.database import db
from tests.structure.source import Module, portal_modules, string_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.visitor import Visitor

HOME = "portal.audit.events"
# Declared before what they tell can happen.
NOT_YET: dict[str, str] = {}


def constants() -> set[str]:
    """The names of all events."""
    return {name for name, value in vars(events).items() if isinstance(value, events.Event)}


def events_used(modules: Iterable[Module]) -> set[str]:
    """The events that other modules speak of."""
    return {
        name.removeprefix(f"{HOME}.")
        for module in modules
        if module.name != HOME
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Name | ast.Attribute) and (name := module.dotted(node)).startswith(f"{HOME}.")
    }


def odd_records(modules: Iterable[Module]) -> list[str]:
    """Each record(…) whose event is not one, or whose facts, where spelt out, are not those of the event."""
    faults = []
    for module in modules:
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call) or module.dotted(node.func) != "portal.audit.record.record":
                continue
            event = getattr(events, module.dotted(node.args[1]).removeprefix(f"{HOME}."), None)
            where = f"{module.name}:{node.lineno} {ast.unparse(node.args[1])}"
            if not isinstance(event, events.Event):
                faults.append(f"{where} is no event")
                continue
            facts = [*node.args[3:4], *(word.value for word in node.keywords if word.arg == "facts")]
            if not facts and event.facts:
                faults.append(f"{where} carries no facts")
            elif facts and isinstance(facts[0], ast.Dict):
                spelt = {string_of(key) or "?" for key in facts[0].keys}
                if spelt != event.facts:
                    faults.append(f"{where} carries {sorted(spelt)}")
    return faults


def test_every_event_happens_or_says_why_not_yet() -> None:
    assert constants() - events_used(portal_modules()) == set(NOT_YET)


def test_an_event_that_never_happens_is_seen() -> None:
    text = (
        "from portal.audit import events\nfrom portal.audit.events import KEY_CREATED\n(KEY_CREATED, events.SIGNED_IN)"
    )
    assert events_used([Module("portal.keys.service", text)]) == {"KEY_CREATED", "SIGNED_IN"}
    assert events_used([Module(HOME, "KEY_CREATED = 1")]) == set()


def test_everything_recorded_is_an_event_with_its_facts() -> None:
    assert odd_records(portal_modules()) == []


def test_a_record_with_other_facts_is_reported() -> None:
    head = "from portal.audit import events\nfrom portal.audit.record import record\n"
    for call in (
        "record(actor, events.KEY_LOST, target)",
        "record(actor, events.KEY_CREATED, target)",
        "record(actor, events.KEY_CREATED, target, {'name': 1})",
        "record(actor, 'key.created', target)",
    ):
        assert len(odd_records([Module("portal.keys.service", head + call)])) == 1, call
    good = head + "record(actor, events.KEY_CREATED, target, {'name': 1, 'prefix': 2})"
    assert odd_records([Module("portal.keys.service", good)]) == []


def test_a_refusal_leaves_an_entry(person: Callable[..., Visitor]) -> None:
    assert person("max").get("/admin/users").status == 403
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "access.refused")).one()
    assert (entry.actor_name, entry.facts, entry.result) == ("max", {"what": "admin.users.index"}, "refused")


def test_so_does_a_page_of_others_though_it_is_said_not_to_be_there(person: Callable[..., Visitor]) -> None:
    assert person("theo").get("/admin/users").status == 404
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "access.refused")).one()
    assert (entry.actor_name, entry.facts, entry.result) == ("theo", {"what": "admin.users.index"}, "refused")
