"""The users of a demo: drawn in batches, each with names, key, use, credits and a sign-in or two."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg.errors import UniqueViolation
from sqlalchemy.exc import IntegrityError

from portal.accounts.models import Account, Kind, State, User
from portal.accounts.names import search_text_of
from portal.audit import events
from portal.audit.models import AuditEntry
from portal.core.ids import new_id
from portal.demo.ledger import draw_ledger
from portal.demo.people import Person, draw_of, draw_person
from portal.demo.rows import ORDER, Rows, note_growth
from portal.demo.troubles import Sufferer, add_troubles
from portal.demo.usage import draw_days, fold_months, instant_in
from portal.keys.models import ApiKey
from portal.keys.service import build_key
from portal.usage.models import CreditBalance, CreditEntry, UsageDay, UsageDetail, UsageMonth

if TYPE_CHECKING:
    from random import Random

    from portal.demo.house import DemoPlan
    from portal.demo.ledger import Change
    from portal.demo.naming import Namer
    from portal.demo.usage import UsedDay

MOST_LISTED = 1_000
MOST_TALKERS = 5_000
BATCH = 500
TRIES = 5
# The first so many listed users have room left today: whoever tries a key from the list wants an answer.
SPARE = 20
# Conversations are this much younger than the purge would have them.
SPARE_DAYS = 5
USING, USING_LISTED = 0.30, 0.80
# A few may use more than their plan says.
OVERRIDE, OVERRIDDEN = 0.004, 2_500
KEYS = ("laptop", "notebook", "production", "staging", "home server", "nightly job", "phone", "research", "editor")
ADDRESSES = ("192.0.2", "198.51.100", "203.0.113")


@dataclass(frozen=True, slots=True)
class Talker:
    """Somebody who can have had conversations, and on which days."""

    id: UUID
    time_zone: str
    created_at: datetime
    days: tuple[date, ...]


@dataclass(slots=True)
class Crowd:
    """What is kept of the users made: those listed, and those who talk. Bounded however many there are."""

    listed: list[dict[str, Any]] = field(default_factory=list)
    talkers: list[Talker] = field(default_factory=list)

    def join(self, other: Crowd) -> None:
        """Take in what a batch kept."""
        self.listed += other.listed
        self.talkers += other.talkers[: MOST_TALKERS - len(self.talkers)]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What holds for every user of a run."""

    number: int
    plans: dict[str, DemoPlan]
    password: str
    hashed: str
    by_name: str
    now: datetime


def make_crowd(recipe: Recipe, namer: Namer, users: int) -> Crowd:
    """Make and store `users` users, one short transaction a batch."""
    crowd = Crowd()
    for first in range(0, users, BATCH):
        indexes = range(first, min(first + BATCH, users))
        for tried in range(TRIES):
            rows, batch = _draw_batch(recipe, namer, indexes, room=MOST_LISTED - len(crowd.listed))
            try:
                rows.store()
            except (IntegrityError, UniqueViolation):  # somebody took one of the names between looking and storing
                if tried == TRIES - 1:
                    raise
                continue
            crowd.join(batch)
            break
        note_growth(first // BATCH + 1, Account)
    note_growth(1, *ORDER)
    return crowd


def _draw_batch(recipe: Recipe, namer: Namer, indexes: range, *, room: int) -> tuple[Rows, Crowd]:
    chances = [draw_of(recipe.number, index) for index in indexes]
    people = [
        draw_person(chance, recipe.now, active=index == 0) for index, chance in zip(indexes, chances, strict=True)
    ]
    names = namer.take([(person.stem, person.domain) for person in people])
    rows, crowd = Rows(), Crowd()
    for index, chance, person, name in zip(indexes, chances, people, names, strict=True):
        listed = person.state == State.ACTIVE and len(crowd.listed) < room
        _draw_user(recipe, chance, person, name, rows, crowd, listed=listed, spare=listed and index < SPARE)
    return rows, crowd


def _draw_user(
    recipe: Recipe,
    chance: Random,
    person: Person,
    name: str,
    rows: Rows,
    crowd: Crowd,
    *,
    listed: bool,
    spare: bool,
) -> None:
    plan = recipe.plans[person.plan]
    user_id = new_id()
    override = OVERRIDDEN if chance.random() < OVERRIDE else None
    account = _add_account(recipe, chance, person, name, user_id, plan.id, rows, listed=listed)
    rows.add(User, account_id=user_id, daily_limit_override=override)
    uses = person.state == State.ACTIVE and chance.random() < (USING_LISTED if listed else USING)
    limit = plan.daily_limit if override is None else override
    since, zone, now = person.created_at, person.time_zone, recipe.now
    days: list[UsedDay] = []
    if uses:
        days = draw_days(chance, zone_name=zone, plan=plan.name, limit=limit, since=since, now=now, spare=spare)
    if days:
        seen = instant_in(zone, days[-1].day, 0.5 + 0.5 * chance.random(), now)
        account["last_seen_at"] = max(account["last_seen_at"], seen)
        kept = _days_kept(days, plan, now)
        if kept:
            crowd.talkers.append(Talker(user_id, zone, since, kept))
    secret = None
    key_id = UUID(int=0)
    if days or listed:
        key_id, secret = _add_key(chance, person, user_id, account["last_seen_at"] if days else None, rows)
    _add_use(recipe, chance, person, user_id, plan, days, key_id, rows)
    add_troubles(chance, Sufferer(user_id, key_id, zone, plan.name, limit), days, now, rows)
    if listed or chance.random() < 0.01:
        _add_sign_ins(recipe, chance, account, rows)
    if listed:
        crowd.listed.append(
            {
                "id": str(user_id),
                "username": name,
                "email": account["email"],
                "password": recipe.password,
                "api_key": secret,
            }
        )


def _days_kept(days: list[UsedDay], plan: DemoPlan, now: datetime) -> tuple[date, ...]:
    """The days whose conversations the first purge will not take away, with a few to spare to look at them."""
    least = now.date() - timedelta(days=plan.retention_days - SPARE_DAYS) if plan.retention_days else date.min
    return tuple(day.day for day in days if day.day > least)


def _add_account(
    recipe: Recipe,
    chance: Random,
    person: Person,
    name: str,
    user_id: UUID,
    plan_id: UUID,
    rows: Rows,
    *,
    listed: bool,
) -> dict[str, Any]:
    email = f"{name}@{person.domain}"
    invited = person.state == State.INVITED
    answered = person.created_at + min(timedelta(minutes=chance.uniform(1, 90)), recipe.now - person.created_at)
    verified = not invited and (listed or chance.random() < 0.97)
    stayed = (recipe.now - person.created_at) * chance.random() ** 0.5
    return rows.add(
        Account,
        id=user_id,
        kind=Kind.USER.value,
        username=name,
        username_canonical=name,
        email=email,
        email_canonical=email,
        email_verified_at=answered if verified else None,
        display_name=person.display_name,
        search_text=search_text_of(name, email, person.display_name),
        password_hash=None if invited else recipe.hashed,
        state=person.state,
        plan_id=plan_id,
        time_zone=person.time_zone,
        language=person.language,
        epoch=2 if person.state == State.SUSPENDED else 1,
        version=1,
        created_at=person.created_at,
        last_seen_at=person.created_at if invited else person.created_at + stayed,
    )


def _add_key(chance: Random, person: Person, user_id: UUID, last_used: datetime | None, rows: Rows) -> tuple[UUID, str]:
    made = build_key(user_id, chance.choice(KEYS))
    rows.add(
        ApiKey,
        id=made.key.id,
        user_id=user_id,
        name=made.key.name,
        prefix=made.key.prefix,
        digest=made.key.digest,
        scopes=made.key.scopes,
        networks=made.key.networks,
        created_at=person.created_at,
        last_used_at=last_used,
    )
    return made.key.id, made.secret


def _add_use(
    recipe: Recipe,
    chance: Random,
    person: Person,
    user_id: UUID,
    plan: DemoPlan,
    days: list[UsedDay],
    key_id: UUID,
    rows: Rows,
) -> None:
    """The days with their details and months, and the ledger whose spendings stand in the details too."""
    monthly = 0 if person.state == State.INVITED else plan.credits_per_month
    ledger = draw_ledger(
        chance,
        monthly=monthly,
        zone_name=person.time_zone,
        days=days,
        since=person.created_at,
        now=recipe.now,
    )
    rows.add(
        CreditBalance,
        user_id=user_id,
        plan_credits=ledger.plan_credits,
        plan_month=ledger.plan_month,
        plan_granted=monthly if ledger.plan_month else 0,
        own_credits=ledger.own_credits,
    )
    spent: dict[tuple[date, str], int] = {}
    for change in ledger.changes:
        _add_entry(recipe, change, user_id, rows)
        if change.day is not None:
            spent[change.day, change.model] = -change.amount
    for day in days:
        rows.add(UsageDay, user_id=user_id, day=day.day, used=day.used, closed_at=day.closed_at)
        for model, used in day.by_model.items():
            credits = spent.get((day.day, model), 0)
            rows.add(UsageDetail, user_id=user_id, day=day.day, key_id=key_id, model=model, used=used, credits=credits)
    for month, used in fold_months(days).items():
        rows.add(UsageMonth, user_id=user_id, month=month, used=used)


def _add_entry(recipe: Recipe, change: Change, user_id: UUID, rows: Rows) -> None:
    spending = change.kind == "spend"
    if spending:
        actor_kind, actor_name = "client", "Demo gateway"
    elif change.of_plan:
        actor_kind, actor_name = "job", "plan credits"
    else:
        actor_kind, actor_name = "admin", recipe.by_name
    rows.add(
        CreditEntry,
        id=new_id(),
        user_id=user_id,
        kind=change.kind,
        amount=change.amount,
        balance=change.balance,
        reason=change.reason,
        actor_kind=actor_kind,
        actor_name=actor_name,
        decision_id=new_id() if spending else None,
        created_at=change.at,
    )


def _add_sign_ins(recipe: Recipe, chance: Random, account: dict[str, Any], rows: Rows) -> None:
    """Sign-ins up to the last visit, and now and then a wrong password before one."""
    if account["state"] != State.ACTIVE:
        return
    address = f"{chance.choice(ADDRESSES)}.{chance.randint(1, 254)}"
    at: datetime = account["last_seen_at"]
    for _ in range(chance.randint(1, 3)):
        _add_audit(
            rows,
            event=events.SIGNED_IN.name,
            at=at,
            address=address,
            account=account,
            facts={"method": "password"},
        )
        if chance.random() < 0.15:
            tried = max(account["created_at"], at - timedelta(seconds=chance.uniform(8, 60)))
            _add_audit(
                rows,
                event=events.SIGN_IN_FAILED.name,
                at=tried,
                address=address,
                account=None,
                facts={"why": "wrong"},
            )
        at = max(account["created_at"], at - timedelta(hours=chance.uniform(10, 160)))


def _add_audit(
    rows: Rows, *, event: str, at: datetime, address: str, account: dict[str, Any] | None, facts: dict[str, Any]
) -> None:
    """An entry as the sign-in writes it: a failed one names nobody."""
    rows.add(
        AuditEntry,
        id=new_id(),
        at=at,
        event=event,
        actor_kind=Kind.USER.value if account else "nobody",
        actor_id=account["id"] if account else None,
        actor_name=account["username"] if account else "nobody",
        credential="session" if account else "none",
        target_type=Kind.USER.value if account else "account",
        target_id=account["id"] if account else None,
        target_name=account["username"] if account else None,
        facts=facts,
        address=address,
        result="done" if account else "refused",
    )
