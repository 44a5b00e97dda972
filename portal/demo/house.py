"""What a demo needs before its users: plans, an admin, three staff members, and a service client."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from portal.accounts.models import Admin, StaffMember, State
from portal.accounts.names import search_text_of
from portal.audit import events
from portal.audit.record import record
from portal.clients.models import ServiceClient
from portal.clients.service import create_client
from portal.core import access, clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.ids import new_id
from portal.signin.passwords import hash_password
from portal.usage.plans import PlanTerms, create_plan, plan_named

if TYPE_CHECKING:
    from uuid import UUID

    from portal.demo.naming import Namer
    from portal.usage.models import Plan

CLIENT = "Demo gateway"
ADMIN = ("ada", "Ada Lindqvist")
STAFF = (("tess", "Tess Moreau", 1), ("theo", "Theo Okafor", 2), ("tara", "Tara Iyer", 3))
TERMS = (
    PlanTerms("free", 100, retention_days=30),
    PlanTerms("plus", 1_000, credits_per_month=1_000, key_count=20),
    PlanTerms("studio", 5_000, credits_per_month=5_000, key_count=50),
    PlanTerms("team", None, credits_per_month=20_000, key_count=100, retention_days=730, prices={"m-2-large": 2}),
)


@dataclass(frozen=True, slots=True)
class Login:
    """A password just made, and its hash."""

    password: str
    hashed: str


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """What users need to know of a plan while they are made. `daily_limit` None is unlimited."""

    id: UUID
    name: str
    daily_limit: int | None
    credits_per_month: int
    prices: dict[str, int]
    retention_days: int | None


@dataclass(frozen=True, slots=True)
class House:
    """What was made, with the secrets that are told once."""

    plans: dict[str, DemoPlan]
    admin: tuple[str, str]
    staff: list[tuple[str, str, int]]
    client_id: UUID
    client_token: str


def make_login() -> Login:
    """A password and its hash, which takes a quarter of a second: made once for many."""
    password = secrets.token_urlsafe(18)
    return Login(password, hash_password(password))


def make_house(namer: Namer, *, users: int, logs: int) -> House:
    """Make it in one transaction, together with the entry in the audit log that tells of the whole run."""
    for_admin, for_staff = make_login(), make_login()
    names = namer.take([(ADMIN[0], "example.org"), *((name, "example.org") for name, _, _ in STAFF)])
    with transaction():
        actor = operator_actor()
        record(actor, events.USERS_SEEDED, None, {"users": users, "logs": logs})
        plans = [plan_named(terms.name) or create_plan(actor, terms) for terms in TERMS]
        db.session.add(_admin(names[0], for_admin))
        for name, (_, shown, level) in zip(names[1:], STAFF, strict=True):
            db.session.add(_staff(name, shown, level, for_staff))
        client, token = create_client(actor, name=_client_name(), scopes=sorted(access.SCOPES))
    return House(
        plans={plan.name: _demo_plan(plan) for plan in plans},
        admin=(names[0], for_admin.password),
        staff=[(name, for_staff.password, level) for name, (_, _, level) in zip(names[1:], STAFF, strict=True)],
        client_id=client.id,
        client_token=token,
    )


def _demo_plan(plan: Plan) -> DemoPlan:
    return DemoPlan(
        plan.id, plan.name, plan.daily_limit, plan.credits_per_month, dict(plan.prices), plan.retention_days
    )


def _columns(name: str, shown: str, login: Login) -> dict[str, object]:
    now, email = clock.now(), f"{name}@example.org"
    return {
        "id": new_id(),
        "username": name,
        "username_canonical": name,
        "email": email,
        "email_canonical": email,
        "email_verified_at": now,
        "display_name": shown,
        "search_text": search_text_of(name, email, shown),
        "password_hash": login.hashed,
        "state": State.ACTIVE.value,
        "created_at": now,
        "last_seen_at": now,
    }


def _admin(name: str, login: Login) -> Admin:
    return Admin(**_columns(name, ADMIN[1], login), permissions=sorted(access.PERMISSIONS))


def _staff(name: str, shown: str, level: int, login: Login) -> StaffMember:
    return StaffMember(**_columns(name, shown, login), level=level)


def _client_name() -> str:
    query = select(ServiceClient.name).where(ServiceClient.name.startswith(CLIENT, autoescape=True))
    held = set(db.session.scalars(query))
    number = 1
    while (name := CLIENT if number == 1 else f"{CLIENT} {number}") in held:
        number += 1
    return name
