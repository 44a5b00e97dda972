"""From where staff and admins may sign in: the networks of the settings, or where those are empty, of the console."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update

from portal.accounts.models import Kind
from portal.audit import events
from portal.audit.record import Target, record
from portal.core import clock, settings
from portal.core.access import Capability, needs, recently
from portal.core.actor import PEOPLE
from portal.core.database import db
from portal.core.errors import Conflict, Invalid, NotFound
from portal.core.ids import new_id
from portal.core.networks import BadNetwork, inside, network_of, parsed_networks
from portal.core.text import gettext
from portal.signin.models import SignInNetwork

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor

MOST = 100
MOST_NOTE = 200
KINDS = (Kind.STAFF.value, Kind.ADMIN.value)


@dataclass(frozen=True, slots=True)
class Allowed:
    """The networks of one kind of account: of the settings, which then hold alone, and of the console."""

    kind: str
    given: list[str]
    listed: list[SignInNetwork]


def network_allows(kind: str, address: str | None) -> bool:
    """Whether accounts of this kind may be used from this address. Users may from everywhere, which asks nothing.

    An address that cannot be read is outside of every network; an entry that cannot be read lets nobody in.
    """
    if kind not in KINDS:
        return True
    return _allows(given_networks(kind) or _listed_texts(kind), address)


def given_networks(kind: str) -> list[str]:
    """What the settings say for this kind of account."""
    now = settings.current()
    return now.staff_allowed_networks if kind == Kind.STAFF else now.admin_allowed_networks


@needs(Capability.SETTING_MANAGE)
def list_networks(actor: Actor) -> list[Allowed]:
    """From where each kind of account may sign in."""
    rows = db.session.scalars(select(SignInNetwork).order_by(SignInNetwork.created_at, SignInNetwork.id)).all()
    return [Allowed(kind, given_networks(kind), [row for row in rows if row.kind == kind]) for kind in KINDS]


@needs(Capability.SETTING_MANAGE)
@recently()
def add_network(actor: Actor, kind: str, typed: str, note: str = "") -> SignInNetwork:
    """Let accounts of a kind sign in from this network too; the first of a kind shuts all others out.

    Raises Invalid, also where the actor could not go on from here; Conflict where the settings hold.
    """
    _check_listed(kind)
    said = note.strip()
    if len(said) > MOST_NOTE or not said.isprintable():
        raise Invalid({"note": gettext("At most %(most)s characters, in one line.", most=MOST_NOTE)})
    try:
        network = network_of(typed)
    except BadNetwork as error:
        raise Invalid({"network": str(error)}) from None
    _take_turns()
    texts = _listed_texts(kind)
    if network in texts:
        raise Invalid({"network": gettext("This network is on the list already.")})
    if len(texts) >= MOST:
        raise Invalid({"network": gettext("At most %(most)s networks.", most=MOST)})
    if _shuts_out(actor, kind, [*texts, network]):
        words = gettext(
            "You would shut yourself out: you come from %(address)s. Put that down first.",
            address=actor.address or gettext("an address that cannot be read"),
        )
        raise Invalid({"network": words})
    row = SignInNetwork(id=new_id(), kind=kind, network=network, note=said, created_at=clock.now())
    db.session.add(row)
    record(actor, events.NETWORK_ADDED, Target("network", row.id, network), {"kind": kind, "network": network})
    return row


@needs(Capability.SETTING_MANAGE)
@recently()
def remove_network(actor: Actor, network_id: UUID) -> SignInNetwork:
    """Take a network off the list; without any, signing in is open from everywhere again.

    Raises NotFound, and Conflict where the actor could not go on from here.
    """
    _take_turns()
    row = db.session.get(SignInNetwork, network_id)
    if row is None:
        raise NotFound
    left = [text for text in _listed_texts(row.kind) if text != row.network]
    if _shuts_out(actor, row.kind, left):
        words = gettext(
            "You would shut yourself out: you come from %(address)s, and no other network on the list holds it.",
            address=actor.address or gettext("an address that cannot be read"),
        )
        raise Conflict(words)
    _drop(actor, row)
    return row


@needs(Capability.SETTING_MANAGE)
@recently()
def clear_networks(actor: Actor, kind: str) -> int:
    """Take all networks of a kind off the list: the operator's way back in. Answers how many there were."""
    rows = db.session.scalars(select(SignInNetwork).where(SignInNetwork.kind == kind)).all()
    for row in rows:
        _drop(actor, row)
    return len(rows)


def _drop(actor: Actor, row: SignInNetwork) -> None:
    gone = delete(SignInNetwork).where(SignInNetwork.id == row.id).execution_options(synchronize_session=False)
    db.session.execute(gone)
    facts = {"kind": row.kind, "network": row.network}
    record(actor, events.NETWORK_REMOVED, Target("network", row.id, row.network), facts)


def _check_listed(kind: str) -> None:
    if kind not in KINDS:
        raise NotFound
    if given_networks(kind):
        setting = "STAFF_ALLOWED_NETWORKS" if kind == Kind.STAFF else "ADMIN_ALLOWED_NETWORKS"
        raise Conflict(gettext("The setting %(setting)s holds; change it there.", setting=setting))


def _take_turns() -> None:
    """Write the list as it is, so that of two changes at the same moment the second one sees the first."""
    same = update(SignInNetwork).values(note=SignInNetwork.note).execution_options(synchronize_session=False)
    db.session.execute(same)


def _listed_texts(kind: str) -> list[str]:
    return list(db.session.scalars(select(SignInNetwork.network).where(SignInNetwork.kind == kind)))


def _allows(texts: list[str], address: str | None) -> bool:
    return not texts or inside(address, parsed_networks(texts))


def _shuts_out(actor: Actor, kind: str, texts: list[str]) -> bool:
    if actor.kind not in PEOPLE or actor.kind.value != kind or given_networks(kind):
        return False
    return not _allows(texts, actor.address)
