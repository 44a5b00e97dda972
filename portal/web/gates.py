"""Who may enter. Every blueprint declares its audience; a view may ask for a capability besides."""

from __future__ import annotations

from enum import StrEnum
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from flask import Blueprint, current_app, g, request

from portal.accounts.models import Kind, State
from portal.accounts.standing import owes_factor
from portal.audit import events
from portal.audit.record import record
from portal.core.access import SCOPES, check_recent
from portal.core.actor import ActorKind
from portal.core.errors import Closing, FactorNeeded, Forbidden, NotFound, SignInNeeded
from portal.core.text import gettext
from portal.web.identity import actor, machine_actor, viewer
from portal.web.limits import count_caller

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask.blueprints import BlueprintSetupState

    from portal.accounts.models import Account
    from portal.core.access import Capability
    from portal.web.identity import Viewer

P = ParamSpec("P")
R = TypeVar("R")


class Audience(StrEnum):
    """For whom a door is."""

    PUBLIC = "public"
    ACCOUNT = "account"
    STAFF = "staff"
    ADMIN = "admin"
    MACHINE = "machine"
    OPS = "ops"


def guard(blueprint: Blueprint, audience: Audience) -> None:
    """Declare for whom a blueprint and all below it is, and keep everybody else out."""
    blueprint.before_request(_CHECKS[audience])

    def declare(state: BlueprintSetupState) -> None:
        state.app.extensions.setdefault("audiences", {})[blueprint.name] = audience

    blueprint.record(declare)


def _anybody() -> None:
    """Open; the verbs behind decide."""


class Standing(StrEnum):
    """In what state an account that is signed in may find nearly all doors shut."""

    CLOSING = "closing"
    ENROLLING = "enrolling"


def open_while(*standings: Standing) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Keep this view open to accounts that are closing, or that have to set up a second factor first."""

    def dress(view: Callable[P, R]) -> Callable[P, R]:
        view.__open_while__ = frozenset(standings)  # type: ignore[attr-defined]  # read by the gate
        return view

    return dress


def _signed_in() -> None:
    _check_whole(_somebody().account)


def _somebody() -> Viewer:
    actor()  # from here on the session is in use
    person = viewer()
    if person is None:
        raise SignInNeeded
    return person


def _check_whole(account: Account) -> None:
    """An account on its way out, or without a factor that it must have, gets no further than what it needs for that."""
    view = current_app.view_functions[request.endpoint or ""]
    opened: frozenset[Standing] = getattr(view, "__open_while__", frozenset())
    if account.state == State.CLOSING and Standing.CLOSING not in opened:
        raise Closing
    if owes_factor(account) and Standing.ENROLLING not in opened:
        raise FactorNeeded


def _of_kind(*kinds: Kind) -> Callable[[], None]:
    def check() -> None:
        account = _somebody().account
        if account.kind not in kinds:
            raise NotFound(trace=(note_refusal,))  # for whom it is not, it is not there
        _check_whole(account)

    return check


def _machine() -> None:
    if request.method != "OPTIONS":
        g.actor = machine_actor()
        count_caller()


_CHECKS: dict[Audience, Callable[[], None]] = {
    Audience.PUBLIC: _anybody,
    Audience.ACCOUNT: _signed_in,
    Audience.STAFF: _of_kind(Kind.STAFF),
    Audience.ADMIN: _of_kind(Kind.ADMIN),
    Audience.MACHINE: _machine,
    Audience.OPS: _anybody,
}


def note_refusal() -> None:
    """Leave an entry of somebody known who wanted what they may not have. Of strangers the log tells."""
    who = actor()
    if who.kind is not ActorKind.NOBODY:
        record(who, events.ACCESS_REFUSED, facts={"what": str(request.endpoint)}, result="refused")


def lacking(*any_of: Capability) -> Forbidden:
    """What to say to whoever holds none of these; a client is told by which scope it would."""
    if actor().kind is not ActorKind.CLIENT:
        return Forbidden()
    scopes = [name for name, held in SCOPES.items() if not held.isdisjoint(any_of)]
    if not scopes:
        return Forbidden(gettext("This is for accounts: no scope of a client opens it."))
    return Forbidden(gettext("This client lacks the scope %(scopes)s.", scopes=" / ".join(scopes)))


def requires(*any_of: Capability) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Keep out of a view whoever holds none of the capabilities, before anything is read."""

    def dress(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            if actor().capabilities.isdisjoint(any_of):
                raise lacking(*any_of)
            return view(*args, **kwargs)

        guarded.__capabilities__ = any_of  # type: ignore[attr-defined]  # read by `doorward routes`
        return guarded

    return dress


def asks_again(*, factor: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Show a page of a dangerous act only to whoever proved shortly before who they are, so that nothing is typed for
    nothing. The verb behind asks the same.
    """

    def dress(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            check_recent(actor(), factor=factor)
            return view(*args, **kwargs)

        return guarded

    return dress
