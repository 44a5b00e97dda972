"""The side navigation: only what the person may open, with the present place marked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import request, url_for

if TYPE_CHECKING:
    from portal.core.access import Capability
    from portal.core.actor import Actor


@dataclass(frozen=True, slots=True)
class Entry:
    """One possible line of a navigation. `count` is how many things there wait for this person."""

    label: str
    endpoint: str
    icon: str
    capability: Capability
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line as shown."""

    label: str
    url: str
    icon: str
    current: bool
    count: int | None = None


def navigation(entries: list[Entry], actor: Actor) -> list[Line]:
    """The lines for this actor. A place is current with all pages of its subject, and with subjects that have pages
    below its own address and no line themselves."""
    subject = (request.endpoint or "").rpartition(".")[0]
    held = [(entry, url_for(entry.endpoint)) for entry in entries if actor.may(entry.capability)]
    own = [entry for entry, _ in held if entry.endpoint.rpartition(".")[0] == subject]
    above = own or [entry for entry, url in held if url.count("/") > 1 and request.path.startswith(f"{url}/")]
    return [Line(entry.label, url, entry.icon, entry in above, entry.count) for entry, url in held]
