"""What lists of the audit log read from the address: a word that may be many things, an event, a result, days."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from portal.accounts.directory import account_named
from portal.audit.events import EVENTS
from portal.audit.reading import AuditFilter
from portal.core.ids import parse_id
from portal.web.lists import typed
from portal.web.log_filters import typed_days

if TYPE_CHECKING:
    from uuid import UUID

CASE = re.compile(r"[Cc]-[0-9A-Za-z]{4,10}")
RESULTS = ("done", "refused")


@dataclass(frozen=True, slots=True)
class TypedAudit:
    """A filter of the audit log as it was typed. `nobody`: a name was asked for that nobody has."""

    wanted: AuditFilter
    search: str
    event: str
    result: str
    first: str
    last: str
    nobody: bool = False

    @property
    def folded_out(self) -> bool:
        """Whether anything besides the search narrows the list."""
        wanted = self.wanted
        narrow = (self.event, self.result, self.first, self.last, wanted.actor_id, wanted.target_id, self.nobody)
        return any(narrow)

    @property
    def address(self) -> dict[str, str]:
        """The filter as the address has it, for what goes on with what the list showed."""
        names = ("q", "event", "result", "from", "to", "actor", "target", "request")
        return {name: typed(name) for name in names if typed(name)}


def typed_audit() -> TypedAudit:
    """The filter in the address. What is no event, result or day is no filter."""
    event = typed("event") if typed("event") in EVENTS else ""
    result = typed("result") if typed("result") in RESULTS else ""
    days, search = typed_days(), typed("q").strip()
    known = {name: id_of(typed(name).strip()) for name in ("actor", "target")}
    wanted = AuditFilter(
        event=event or None,
        actor_id=known["actor"],
        target_id=known["target"],
        result=result or None,
        since=days.since,
        until=days.until,
    )
    wanted = _searched(wanted, search or typed("request").strip())
    nobody = any(typed(name).strip() and known[name] is None for name in known)
    return TypedAudit(wanted, search, event, result, days.first, days.last, nobody)


def id_of(text: str) -> UUID | None:
    """The id that was typed, or that of the account of this username or e-mail."""
    known = parse_id(text)
    if known is not None or not text:
        return known
    account = account_named(text)
    return account.id if account else None


def _searched(wanted: AuditFilter, text: str) -> AuditFilter:
    """The filter with a word that may be a network address, a case, somebody's name or id, or a request."""
    if not text:
        return wanted
    try:
        return replace(wanted, address=str(ipaddress.ip_address(text)))
    except ValueError:
        pass
    if CASE.fullmatch(text):
        return replace(wanted, case=text.upper())
    return replace(wanted, about=id_of(text), request_id=text)
