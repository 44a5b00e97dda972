"""A crowd that spends, gives back, leases and settles at random against real servers, while somebody changes limits,
plans and credits; at the end every counter, balance and ledger must be what the answers add up to."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from random import Random
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import func, select

from portal.accounts.models import User
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import Conflict, PortalError
from portal.keys.models import ApiKey
from portal.usage.credits import adjust_credits, find_drift, grant_credits
from portal.usage.models import CreditBalance, CreditEntry, Lease, Plan, Refund, UsageDay, UsageDetail
from portal.usage.plan_changes import change_plan
from portal.usage.plans import PlanTerms, create_plan, edit_plan, terms_of
from portal.web.frame import Doorward
from tests.people import make_account
from tests.races import race
from tests.servers import Caller, Server

USERS, KEYS = 6, 2
BOSS = operator_actor().because("a test")
JSON = {"Content-Type": "application/json"}


def zone_of_morning() -> str:
    """A zone in which it is between eight and nine: no day ends while a test runs."""
    return f"Etc/GMT{clock.now().hour - 8:+d}" if clock.now().hour < 20 else f"Etc/GMT{clock.now().hour - 8 - 24:+d}"


@dataclass
class Books:
    """What the answers add up to."""

    used: Counter[UUID] = field(default_factory=Counter)
    by_key: Counter[UUID] = field(default_factory=Counter)
    credits: Counter[UUID] = field(default_factory=Counter)
    refunds: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, code: str, user: UUID, key: UUID | None = None, conversations: int = 0, credits: int = 0) -> None:
        """Units taken, or given back where negative."""
        with self.lock:
            self.codes[code] += 1
            self.used[user] += conversations
            self.credits[user] -= credits
            if key is not None:
                self.by_key[key] += conversations


@dataclass
class Target:
    """A user and a key of theirs."""

    user: UUID
    key: UUID
    secret: str


class Client:
    """One thread's client, with its own chance."""

    def __init__(self, server: Server, token: str, targets: list[Target], books: Books, seed: int) -> None:
        self.caller: Caller = server.caller(token)
        self.targets, self.books, self.chance = targets, books, Random(seed)
        self.spent: list[tuple[str, Target, bool, int]] = []
        self.leases: list[tuple[str, Target, int, int]] = []
        self.acts: list[Callable[[], None]] = [
            self.verify, self.verify, self.verify, self.consume, self.verify_many, self.refund, self.lease, self.settle,
        ]  # fmt: skip

    def step(self) -> None:
        """One random act."""
        self.chance.choice(self.acts)()

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """The answer with 200; None for a refusal by status. What is named may be sent twice."""
        named = {"Idempotency-Key": str(uuid4())} if self.chance.random() < 0.4 else {}
        said: dict[str, Any] | None = None
        for _ in range(2 if named and self.chance.random() < 0.5 else 1):
            made = self.send(path, body, named)
            if said is not None and made is not None:
                assert made == said, path
            said = said or made
        return said

    def send(self, path: str, body: dict[str, Any], named: dict[str, str]) -> dict[str, Any] | None:
        """One call. Unavailable means that nothing was done."""
        status, answer, _ = self.caller.request("POST", f"/api/v1/{path}", orjson.dumps(body), {**JSON, **named})
        assert status in {200, 404, 409, 422, 503}, answer
        if status != 200:
            self.books.note(str(status), UUID(int=0))
            return None
        made: dict[str, Any] = orjson.loads(answer)
        return made

    def cost(self) -> tuple[int, int]:
        """(conversations, credits)."""
        return self.chance.randint(0, 3), self.chance.choice([0, 0, 1, 2, 5])

    def take(self, said: dict[str, Any], target: Target, cost: tuple[int, int], *, by_key: bool) -> None:
        """Write an answer down."""
        if not said["valid"]:
            self.books.note(said["code"], target.user)
            return
        daily, key_daily = said["daily"], said.get("key_daily")
        for told in (daily, key_daily):
            if cost[0] and told and told["limit"] is not None:
                assert told["used"] <= told["limit"], said
        assert said["credits"]["remaining"] >= 0
        self.books.note("VALID", target.user, target.key if by_key else None, *cost)
        self.spent.append((said["decision_id"], target, by_key, cost[0]))

    def question(self, target: Target, cost: tuple[int, int]) -> dict[str, Any]:
        """The body of a verify."""
        spent = {"conversations": cost[0], "credits": cost[1]}
        return {"key": target.secret, "cost": spent, "model": self.chance.choice(["", "m-1"])}

    def verify(self) -> None:
        """One question."""
        target, cost = self.chance.choice(self.targets), self.cost()
        if (said := self.post("keys/verify", self.question(target, cost))) is not None:
            self.take(said, target, cost, by_key=True)

    def verify_many(self) -> None:
        """A few."""
        asked = [(self.chance.choice(self.targets), self.cost()) for _ in range(self.chance.randint(2, 8))]
        said = self.post("keys/verify-many", {"items": [self.question(*one) for one in asked]})
        for (target, cost), answer in zip(asked, said["items"] if said else [], strict=said is not None):
            self.take(answer, target, cost, by_key=True)

    def consume(self) -> None:
        """Without a key."""
        target, cost = self.chance.choice(self.targets), self.cost()
        spent = {"conversations": cost[0], "credits": cost[1]}
        if (said := self.post("usage/consume", {"user_id": str(target.user), "cost": spent})) is not None:
            self.take(said, target, cost, by_key=False)

    def refund(self) -> None:
        """One of the last decisions, or one taken back already."""
        if not self.spent:
            return
        decision, target, by_key, _ = self.spent[-self.chance.randint(1, min(5, len(self.spent)))]
        if (said := self.post("usage/refund", {"decision_id": decision})) is not None:
            with self.books.lock:
                self.books.refunds[decision] += 1
            back = said["refunded"]
            key = target.key if by_key else None
            self.books.note("refunded", target.user, key, -back["conversations"], -back["credits"])

    def lease(self) -> None:
        """A block."""
        target, (conversations, credits) = self.chance.choice(self.targets), self.cost()
        if not conversations and not credits:
            return
        asked = {"key": target.secret, "conversations": conversations * 3, "credits": credits * 2, "ttl_s": 300}
        if (said := self.post("usage/leases", asked)) is None:
            return
        granted = said["granted"]["conversations"], said["granted"]["credits"]
        assert bool(said["lease_id"]) is said["valid"]
        self.books.note(said["code"], target.user, target.key, *granted)
        if said["lease_id"]:
            self.leases.append((said["lease_id"], target, *granted))

    def settle(self) -> None:
        """Report a part; at the end give the rest back."""
        if not self.leases:
            return
        lease_id, target, conversations, credits = self.leases.pop()
        used = {"conversations": self.chance.randint(0, conversations), "credits": self.chance.randint(0, credits)}
        if (said := self.post(f"usage/leases/{lease_id}/settle", {"used": used})) is not None:
            back = said["returned"]
            self.books.note("settled", target.user, target.key, -back["conversations"], -back["credits"])


@dataclass
class Crowd:
    """The house they spend in, and the somebody who changes it meanwhile."""

    app: Doorward
    key_of: Callable[..., str]
    books: Books = field(default_factory=Books)
    targets: list[Target] = field(default_factory=list)
    own: Counter[UUID] = field(default_factory=Counter)
    done: threading.Event = field(default_factory=threading.Event)

    def furnish(self, limit: int, credits: int) -> None:
        """Users, keys, two plans."""
        with transaction():
            for name, grants in (("small", 0), ("large", 50)):
                create_plan(BOSS, PlanTerms(name, limit, credits_per_month=grants, prices={"m-1": 1}))
        zone = zone_of_morning()
        assert 8 <= datetime.now(ZoneInfo(zone)).hour <= 20
        for number in range(USERS):
            user = make_account(f"crowd-{number}", daily_limit_override=limit, time_zone=zone)
            with transaction():
                grant_credits(BOSS, user.id, credits)
            self.own[user.id] += credits
            for place in range(KEYS):
                secret = self.key_of(user, f"key-{place}")
                key = db.session.scalars(select(ApiKey).order_by(ApiKey.id.desc()).limit(1)).one()
                if place:
                    with transaction():
                        key.daily_limit = limit // 2
                self.targets.append(Target(user.id, key.id, secret))

    def disturb(self, seed: int) -> None:
        """Change limits, plans and credits till the crowd has gone."""
        chance = Random(seed)
        with self.app.app_context():
            while not self.done.wait(0.02):
                user_id = chance.choice(self.targets).user
                try:
                    with transaction():
                        self.change(chance, user_id)
                except PortalError:
                    pass
                finally:
                    db.session.remove()

    def change(self, chance: Random, user_id: UUID) -> None:
        """One change."""
        user = db.session.get_one(User, user_id)
        what = chance.randrange(5)
        if what == 0:
            amount = chance.randint(1, 50)
            grant_credits(BOSS, user_id, amount)
            self.own[user_id] += amount
        elif what == 1:
            amount = chance.randint(-30, -1)
            try:
                adjust_credits(BOSS, user_id, amount)
            except Conflict:
                return
            self.own[user_id] += amount
        elif what == 2:
            user.daily_limit_override = chance.choice([None, *range(200, 100_000, 999)])
        elif what == 3:
            plan = db.session.scalars(select(Plan).where(Plan.name == chance.choice(["small", "large"]))).one()
            change_plan(BOSS, user_id, plan.id)
        else:
            plan = db.session.scalars(select(Plan).where(Plan.name == "small")).one()
            terms = replace(terms_of(plan), daily_limit=chance.randint(300, 90_000))
            edit_plan(BOSS, plan.id, terms, version=plan.version)

    def check(self) -> None:
        """Hold the database against the answers."""
        db.session.expire_all()
        assert max(self.books.refunds.values(), default=0) <= 1
        assert db.session.scalar(select(func.count()).select_from(Refund)) == len(self.books.refunds)
        for user_id in {target.user for target in self.targets}:
            used = list(db.session.scalars(select(UsageDay.used).where(UsageDay.user_id == user_id)))
            assert sum(used) == self.books.used[user_id]
            assert len(used) <= 1
            details = db.session.scalars(select(UsageDetail).where(UsageDetail.user_id == user_id)).all()
            assert sum(row.used for row in details) == sum(used)
            assert -sum(row.credits for row in details) == self.books.credits[user_id]
            balance = db.session.get_one(CreditBalance, user_id)
            entries = db.session.scalars(select(CreditEntry).where(CreditEntry.user_id == user_id)).all()
            left = balance.plan_credits + balance.own_credits
            assert sum(entry.amount for entry in entries) == left
            assert min(entry.balance for entry in entries) >= 0
            granted = sum(entry.amount for entry in entries if entry.actor_kind == "job")
            assert self.own[user_id] + granted + self.books.credits[user_id] == left
        for target in self.targets:
            by_key = select(func.coalesce(func.sum(UsageDetail.used), 0)).where(UsageDetail.key_id == target.key)
            assert db.session.scalar(by_key) == self.books.by_key[target.key]
        assert find_drift().count == 0
        unsettled = db.session.scalar(select(func.count()).select_from(Lease).where(Lease.state == "lost"))
        assert unsettled == 0


def let_loose(crowd: Crowd, servers: list[Server], token: str, *, threads: int, steps: int, seed: int) -> Counter[str]:
    """So many threads take so many steps in all. Answers how often each code was heard."""
    left, lock = [steps], threading.Lock()

    def run(number: int) -> None:
        client = Client(servers[number % len(servers)], token, crowd.targets, crowd.books, seed * 1000 + number)
        while True:
            with lock:
                left[0] -= 1
                if left[0] < 0:
                    break
            client.step()
        client.caller.close()

    disturber = threading.Thread(target=crowd.disturb, args=(seed,))
    disturber.start()
    try:
        race(threads, run)
    finally:
        crowd.done.set()
        disturber.join(60)
    crowd.check()
    return crowd.books.codes
