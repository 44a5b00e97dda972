"""A hypothesis state machine over everything that spends, gives back or moves a limit, through the API and the verbs;
after each step the database must hold what the model (model.py) says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import func, select

from portal.accounts.days import month_of
from portal.accounts.lifecycle import edit_user
from portal.accounts.models import User
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import Conflict
from portal.keys.models import ApiKey
from portal.keys.service import build_key
from portal.keys.terms import KeyTerms
from portal.repeats.service import forget_kept
from portal.usage.boosts import boost_limit
from portal.usage.credits import adjust_credits, grant_credits
from portal.usage.leases import end_leases
from portal.usage.models import (
    CreditBalance,
    CreditEntry,
    Lease,
    Plan,
    Refund,
    UsageDay,
    UsageDetail,
    UsageMonth,
)
from portal.usage.months import turn_months
from portal.usage.plan_changes import STARTS, begin_due_plans, change_plan
from portal.usage.plans import PlanTerms, create_plan, edit_plan
from portal.usage.reset import close_finished_days
from tests.people import make_account
from tests.usage.model import KEPT, REFUNDABLE, Balance, Block, Held, Member, Paid, Terms

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from tests.conftest import Machine

# Half a second beside every midnight. All waiting is a multiple of seven seconds and no end of anything is.
BEGIN = datetime.fromisoformat("2026-03-10T09:20:00.5+00:00")
WAITS = (7, 35, 700, 3605, 6 * 3605, 86401, 2 * 86401, 31 * 86401)
BACKS = (3605, 86401)
ZONES = ("UTC", "Europe/Berlin", "Pacific/Kiritimati", "America/Los_Angeles", "Asia/Kathmandu")
BOSS = operator_actor().because("a test")
_numbers = count()

UNITS = st.integers(0, 4)
LIMITS = st.none() | st.integers(0, 12)
MODELS = st.sampled_from(["", "m-1"])
PICK = st.integers(0, 1_000)
TWO = st.integers(0, 1)
SHARE = st.integers(0, 4)


@dataclass
class Kept:
    """The answer to a call with an Idempotency-Key."""

    path: str
    body: dict[str, Any]
    answer: bytes
    at: datetime


class Spending(RuleBasedStateMachine):
    """Two members with two keys each, two plans, one gate."""

    gate: Machine

    @initialize()
    def furnish(self) -> None:
        """Make everybody."""
        self.at = BEGIN
        self.members: dict[UUID, Member] = {}
        self.holders: dict[str, tuple[Member, Held]] = {}
        self.paid: dict[str, Paid] = {}
        self.leases: list[str] = []
        self.kept: dict[str, Kept] = {}
        self.stand()
        number = next(_numbers)
        with transaction():
            self.plans = [self.make_plan(f"small-{number}", 8, 5), self.make_plan(f"large-{number}", None, 20)]
        for place in range(2):
            account = make_account(f"m-{number}-{place}", plan_id=self.plans[0].id)
            assert isinstance(account, User)
            member = Member(account.id, account.username, self.plans[0], account.calendar)
            self.members[account.id] = member
            with transaction():
                grant_credits(BOSS, account.id, 20)
            member.balance = Balance(5, 20, month_of(member.day(self.at)), 5)
            for limit in (None, 5):
                with transaction():
                    made = build_key(account.id, "key", KeyTerms("key", daily_limit=limit))
                    db.session.add(made.key)
                member.keys.append(Held(made.key.id, made.secret, limit))
                self.holders[made.secret] = (member, member.keys[-1])

    def make_plan(self, name: str, limit: int | None, credits: int) -> Terms:
        """A plan."""
        plan = create_plan(BOSS, PlanTerms(name, limit, credits_per_month=credits, prices={"m-1": 2}))
        return Terms(plan.id, name, limit, credits, 2)

    def stand(self) -> None:
        """Put the clock to the model's instant."""
        clock.shift(self.at - (clock.now() - clock.offset()))
        db.session.expire_all()

    def member(self, pick: int) -> Member:
        """One of them."""
        return list(self.members.values())[pick % 2]

    def account(self, member: Member) -> User:
        """As stored."""
        return db.session.get_one(User, member.id, populate_existing=True)

    # ---- Spending through the API ---------------------------------------------------------------------------------

    def send(self, path: str, body: dict[str, Any], *, named: bool = False, name: str = "") -> None:
        """Make the call, and hold the answer against the model. A call that names itself may be repeated later."""
        self.stand()
        name = name or (f"call-{next(_numbers)}" if named else "")
        answer = self.gate.post(path, body, headers={"Idempotency-Key": name} if name else {})
        assert "Idempotent-Replayed" not in answer.headers
        check: dict[str, Callable[[dict[str, Any], TestResponse], None]] = {
            "/keys/verify": self.check_verified,
            "/keys/verify-many": self.check_many,
            "/usage/consume": self.check_consumed,
            "/usage/refund": self.check_refunded,
            "/usage/leases": self.check_leased,
        }
        if path in check:
            check[path](body, answer)
        else:
            self.check_settled(path.split("/")[3], body, answer)
        if name and answer.status_code == 200:
            self.kept[name] = Kept(path, body, answer.data, self.at)

    def check_verified(self, body: dict[str, Any], answer: TestResponse) -> None:
        """The answer of verify."""
        assert answer.status_code == 200, answer.text
        self.check_one(body, answer.get_json())

    def check_many(self, body: dict[str, Any], answer: TestResponse) -> None:
        """The answers of verify-many: each sees what those before it spent."""
        assert answer.status_code == 200, answer.text
        for asked, said in zip(body["items"], answer.get_json()["items"], strict=True):
            self.check_one(asked, said)

    def check_consumed(self, body: dict[str, Any], answer: TestResponse) -> None:
        """The answer of consume."""
        assert answer.status_code == 200, answer.text
        self.check_one(body, answer.get_json())

    def whose(self, body: dict[str, Any]) -> tuple[Member, Held | None]:
        """Whom a question is about."""
        if "key" in body:
            return self.holders[body["key"]]
        if "username" in body:
            return next(member for member in self.members.values() if member.name == body["username"]), None
        return self.members[UUID(body["user_id"])], None

    def check_one(self, body: dict[str, Any], said: dict[str, Any]) -> None:
        """One question and its answer."""
        member, key = self.whose(body)
        conversations, credits = body["cost"]["conversations"], body["cost"].get("credits")
        if credits is None:
            credits = member.terms(self.at).price if body["model"] == "m-1" else 0
        code = member.judge(self.at, key, conversations, credits)
        assert said["code"] == code, (body, said)
        if code == "VALID":
            self.paid[said["decision_id"]] = member.spend(self.at, key, body["model"], conversations, credits)
        self.check_standing(member, key, said)

    def check_standing(self, member: Member, key: Held | None, said: dict[str, Any]) -> None:
        """What an answer says is left."""
        day = member.day(self.at)
        assert (said["daily"]["used"], said["daily"]["limit"]) == (member.used_on(day), member.limit(self.at))
        assert said["credits"]["remaining"] == member.worth(self.at).total
        if key is not None and key.daily_limit is not None:
            told = said["key_daily"]
            assert (told["used"], told["limit"]) == (member.used_on(day, key.id), key.daily_limit)

    def check_refunded(self, body: dict[str, Any], answer: TestResponse) -> None:
        """The answer of a refund."""
        paid = self.paid[body["decision_id"]]
        refundable = not paid.refunded and paid.at >= self.at - REFUNDABLE
        conversations, parts = paid.conversations, paid.parts
        if isinstance(paid, Block):
            refundable = refundable and paid.is_lost_at(self.at)
            conversations, parts = paid.rest()
        refundable = refundable and bool(conversations or sum(parts))
        assert answer.status_code == (200 if refundable else 409), answer.text
        if refundable:
            paid.refunded = True
            if isinstance(paid, Block):
                paid.state = "lost"
            credits = self.members[paid.user].give_back(self.at, paid, conversations, parts)
            assert answer.get_json()["refunded"] == {"conversations": conversations, "credits": credits}

    def check_leased(self, body: dict[str, Any], answer: TestResponse) -> None:
        """The answer of a lease: as much as there is of each kind, or nothing."""
        assert answer.status_code == 200, answer.text
        said, (member, key) = answer.get_json(), self.whose(body)
        asked = body["conversations"], body["credits"]
        room = [left for left in (*member.room(self.at, key), asked[0]) if left is not None]
        granted = max(0, min(room)), min(asked[1], member.worth(self.at).total)
        if not all(got for want, got in zip(asked, granted, strict=True) if want):
            assert (said["lease_id"], said["code"]) == (None, member.judge(self.at, key, *asked))
            assert said["code"] != "VALID"
            assert said["granted"] == {"conversations": 0, "credits": 0}
            return
        assert (said["code"], said["granted"]) == ("VALID", {"conversations": granted[0], "credits": granted[1]})
        paid, ttl = member.spend(self.at, key, body["model"], *granted), timedelta(seconds=body["ttl_s"])
        self.paid[said["lease_id"]] = Block(**vars(paid), ttl=ttl, ends=self.at + 2 * ttl)
        self.leases.append(said["lease_id"])
        self.check_standing(member, key, said)

    def check_settled(self, lease_id: str, body: dict[str, Any], answer: TestResponse) -> None:
        """The answer of a report."""
        block = self.paid[lease_id]
        assert isinstance(block, Block)
        used, granted = (
            (body["used"]["conversations"], body["used"]["credits"]),
            (block.conversations, sum(block.parts)),
        )
        if any(now > most or now < told for now, told, most in zip(used, block.used, granted, strict=True)):
            assert answer.status_code == 422, answer.text
            return
        if block.state == "settled" and body["final"] and used == block.used:
            assert (answer.status_code, answer.get_json()["state"]) == (200, "settled")
            return
        if block.state != "open" or block.is_lost_at(self.at):
            assert answer.status_code == 409, answer.text
            return
        assert answer.status_code == 200, answer.text
        block.used = used
        if not body["final"]:
            block.ends = self.at + 2 * block.ttl
            return
        block.state = "settled"
        self.members[block.user].give_back(self.at, block, *block.rest())

    @rule(who=TWO, key=TWO, units=UNITS, credits=st.none() | UNITS, model=MODELS, named=st.booleans())
    def verify(self, who: int, key: int, units: int, credits: int | None, model: str, named: bool) -> None:
        """One question about a key."""
        self.send("/keys/verify", self.question(who, key, units, credits, model), named=named)

    def question(self, who: int, key: int, units: int, credits: int | None, model: str) -> dict[str, Any]:
        """The body of a verify."""
        cost = {"conversations": units, "credits": credits}
        return {"key": self.member(who).keys[key].secret, "cost": cost, "model": model}

    @rule(
        asked=st.lists(st.tuples(TWO, TWO, UNITS, st.none() | UNITS, MODELS), min_size=1, max_size=6),
        named=st.booleans(),
    )
    def verify_many(self, asked: list[tuple[int, int, int, int | None, str]], named: bool) -> None:
        """Several at once."""
        self.send("/keys/verify-many", {"items": [self.question(*one) for one in asked]}, named=named)

    @rule(who=TWO, by_name=st.booleans(), units=UNITS, credits=st.none() | UNITS, model=MODELS, named=st.booleans())
    def consume(self, who: int, by_name: bool, units: int, credits: int | None, model: str, named: bool) -> None:
        """For a user without a key."""
        member = self.member(who)
        whom = {"username": member.name} if by_name else {"user_id": str(member.id)}
        cost = {"conversations": units, "credits": credits}
        self.send("/usage/consume", {**whom, "cost": cost, "model": model}, named=named)

    @rule(pick=PICK, named=st.booleans())
    def refund(self, pick: int, named: bool) -> None:
        """Take one of all decisions and leases back, or try to."""
        if self.paid:
            decisions = list(self.paid)
            self.send("/usage/refund", {"decision_id": decisions[-1 - pick % len(decisions)]}, named=named)

    @rule(
        who=TWO, key=st.none() | TWO, units=UNITS, credits=UNITS, ttl=st.sampled_from([5, 60, 300]), model=MODELS,
        named=st.booleans(),
    )  # fmt: skip
    def lease(self, who: int, key: int | None, units: int, credits: int, ttl: int, model: str, named: bool) -> None:
        """A block in advance."""
        if units or credits:
            member = self.member(who)
            whom = {"user_id": str(member.id)} if key is None else {"key": member.keys[key].secret}
            body = {**whom, "conversations": units, "credits": credits, "ttl_s": ttl, "model": model}
            self.send("/usage/leases", body, named=named)

    @rule(pick=PICK, share=SHARE, final=st.booleans(), named=st.booleans(), beyond=st.integers(-1, 5))
    def settle(self, pick: int, share: int, final: bool, named: bool, beyond: int) -> None:
        """Report of one of the last leases; now and then less than before, or more than there is."""
        if self.leases:
            self.report(self.leases[-1 - pick % min(3, len(self.leases))], share, final, named, beyond)

    def report(self, lease_id: str, share: int, final: bool, named: bool, beyond: int = 0) -> None:
        """Report so many of 4 parts of what is left."""
        block = self.paid[lease_id]
        assert isinstance(block, Block)
        units, parts = block.rest()
        off = beyond if beyond in (-1, 5) else 0
        used = [
            max(0, told + left * share // 4 + off) for told, left in zip(block.used, (units, sum(parts)), strict=True)
        ]
        body = {"used": {"conversations": used[0], "credits": used[1]}, "final": final}
        self.send(f"/usage/leases/{lease_id}/settle", body, named=named)

    @rule(who=TWO, key=st.none() | TWO, share=SHARE, reports=TWO, seconds=st.sampled_from([7, 700]), job=st.booleans())
    def lose(self, who: int, key: int | None, share: int, reports: int, seconds: int, job: bool) -> None:
        """A lease whose client is not heard of again, and which is given back."""
        before = len(self.leases)
        self.lease(who, key, 4, 3, 60, "", named=False)
        if len(self.leases) == before:
            return
        if reports:
            self.report(self.leases[-1], share, final=False, named=False)
        self.at += timedelta(seconds=seconds)
        if job:
            self.run_job("leases")
        for _ in range(2):
            self.send("/usage/refund", {"decision_id": self.leases[-1]})

    @rule(pick=PICK)
    def repeat(self, pick: int) -> None:
        """A call made before, with its key: the same answer for 24 hours, then anew."""
        if not self.kept:
            return
        name = list(self.kept)[-1 - pick % len(self.kept)]
        before = self.kept[name]
        if before.at <= self.at - KEPT:
            self.send(before.path, before.body, name=name)
            return
        self.stand()
        answer = self.gate.post(before.path, before.body, headers={"Idempotency-Key": name})
        assert (answer.status_code, answer.data) == (200, before.answer)
        assert answer.headers["Idempotent-Replayed"] == "true"

    # ---- Limits, credits and the clock ----------------------------------------------------------------------------

    @rule(who=TWO, amount=st.integers(1, 9))
    def grant(self, who: int, amount: int) -> None:
        """Own credits."""
        self.stand()
        member = self.member(who)
        worth = member.worth(self.at)
        with transaction():
            assert grant_credits(BOSS, member.id, amount) == worth.total + amount
        member.balance = Balance(worth.plan, worth.own + amount, worth.month, worth.granted)

    @rule(who=TWO, amount=st.integers(-9, 9))
    def adjust(self, who: int, amount: int) -> None:
        """Put a balance right, as far as there is any."""
        self.stand()
        member = self.member(who)
        worth = member.worth(self.at)
        if not amount:
            return
        try:
            with transaction():
                adjust_credits(BOSS, member.id, amount)
        except Conflict:
            assert worth.total < -amount
            return
        assert worth.total >= -amount
        member.balance = worth.less(-amount)
        if amount > 0:
            member.balance = Balance(worth.plan, worth.own + amount, worth.month, worth.granted)

    @rule(who=TWO, plan=TWO, starts=st.sampled_from(STARTS))
    def give_plan(self, who: int, plan: int, starts: str) -> None:
        """Another plan, now or later."""
        self.stand()
        member, wanted = self.member(who), self.plans[plan]
        before = member.terms(self.at)
        with transaction():
            starts_at = change_plan(BOSS, member.id, wanted.id, starts=starts).starts_at
        if wanted is before:
            if member.coming and member.coming[1] > self.at:
                member.coming = None
        elif starts == "now":
            member.balance = member.worth(self.at)
            member.plan, member.coming = wanted, None
            member.balance = member.worth(self.at)
        else:
            member.plan, member.coming = before, (wanted, starts_at)

    @rule(plan=TWO, limit=LIMITS, credits=st.integers(0, 12), price=st.integers(0, 3))
    def change_terms(self, plan: int, limit: int | None, credits: int, price: int) -> None:
        """Edit a plan."""
        self.stand()
        terms = self.plans[plan]
        with transaction():
            stored = db.session.get_one(Plan, terms.id)
            wanted = PlanTerms(terms.name, limit, credits_per_month=credits, prices={"m-1": price})
            edit_plan(BOSS, terms.id, wanted, version=stored.version)
        terms.daily_limit, terms.credits_per_month, terms.price = limit, credits, price

    def edit(self, member: Member, **changed: Any) -> None:
        """Edit a user's record."""
        self.stand()
        stored = self.account(member)
        fields = {"time_zone": stored.time_zone, "daily_limit_override": stored.daily_limit_override, **changed}
        with transaction():
            edit_user(
                BOSS, member.id, version=stored.version, display_name=stored.display_name, email=stored.email or "",
                **fields,
            )  # fmt: skip
        member.calendar = self.account(member).calendar

    @rule(who=TWO, limit=LIMITS)
    def override(self, who: int, limit: int | None) -> None:
        """An own limit, or none."""
        self.edit(self.member(who), daily_limit_override=limit)
        self.member(who).override = limit

    @rule(who=TWO, zone=st.sampled_from(ZONES))
    def move(self, who: int, zone: str) -> None:
        """Another zone."""
        self.edit(self.member(who), time_zone=zone)

    @rule(who=TWO, extra=st.integers(1, 9), hours=st.sampled_from([1, 30]))
    def boost(self, who: int, extra: int, hours: int) -> None:
        """More a day for a while."""
        self.stand()
        member, until = self.member(who), self.at + timedelta(hours=hours)
        try:
            with transaction():
                boost_limit(BOSS, member.id, extra, until)
        except Conflict:
            assert member.override is None and member.terms(self.at).daily_limit is None
        else:
            member.boost = extra, until

    @rule(who=TWO, key=TWO, limit=LIMITS)
    def limit_key(self, who: int, key: int, limit: int | None) -> None:
        """A key's own limit."""
        self.stand()
        held = self.member(who).keys[key]
        with transaction():
            db.session.get_one(ApiKey, held.id).daily_limit = limit
        held.daily_limit = limit

    @rule(seconds=st.sampled_from(WAITS))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.at += timedelta(seconds=seconds)

    @rule(seconds=st.sampled_from(BACKS))
    def step_back(self, seconds: int) -> None:
        """The clock is put back."""
        self.at -= timedelta(seconds=seconds)

    @rule(job=st.sampled_from(["days", "months", "plans", "leases", "kept"]))
    def run_job(self, job: str) -> None:
        """What runs by itself; nothing depends on it."""
        self.stand()
        if job == "days":
            close_finished_days()
        elif job == "months":
            turn_months()
        elif job == "plans":
            begin_due_plans()
            for member in self.members.values():
                if member.coming and member.coming[1] <= self.at:
                    member.plan, member.coming = member.coming[0], None
        elif job == "kept":
            with transaction():
                forget_kept()
            # Forgotten is forgotten, also where the clock is put back afterwards.
            self.kept = {name: kept for name, kept in self.kept.items() if kept.at > self.at - KEPT}
        else:
            with transaction():
                end_leases()
            for paid in self.paid.values():
                if isinstance(paid, Block) and paid.state == "open" and paid.ends <= self.at:
                    used_up = paid.used == (paid.conversations, sum(paid.parts))
                    paid.state = "settled" if used_up else "lost"

    # ---- What must hold after every step --------------------------------------------------------------------------

    @invariant()
    def the_database_holds_what_the_model_says(self) -> None:
        """Days, details, months, balances, ledger."""
        self.stand()
        for member in self.members.values():
            self.check_days(member)
            self.check_balance(member)

    def check_days(self, member: Member) -> None:
        """Counters, by day, key, model and month."""
        days = db.session.scalars(select(UsageDay).where(UsageDay.user_id == member.id)).all()
        details = db.session.scalars(select(UsageDetail).where(UsageDetail.user_id == member.id)).all()
        months = db.session.scalars(select(UsageMonth).where(UsageMonth.user_id == member.id)).all()
        assert {day.day: day.used for day in days if day.used} == {
            day: used for day in {day for day, _, _ in member.used} if (used := member.used_on(day))
        }
        places = {(row.day, row.key_id, row.model): row for row in details}
        assert {place: row.used for place, row in places.items() if row.used} == +member.used
        assert {place: row.credits for place, row in places.items() if row.credits} == +member.credits
        folded = {month.month: month.used for month in months if month.used}
        closed = [day for day in days if day.closed_at is not None]
        assert folded == {
            month: used
            for month in {month_of(day.day) for day in closed}
            if (used := sum(day.used for day in closed if month_of(day.day) == month))
        }

    def check_balance(self, member: Member) -> None:
        """The balance is the model's, or what its month's turn makes of it; the ledger adds up to it."""
        row = db.session.get_one(CreditBalance, member.id)
        stored = Balance(row.plan_credits, row.own_credits, row.plan_month, row.plan_granted)
        assert stored in (member.balance, member.worth(self.at))
        member.balance = stored
        query = select(func.coalesce(func.sum(CreditEntry.amount), 0), func.coalesce(func.min(CreditEntry.balance), 0))
        booked, least = db.session.execute(query.where(CreditEntry.user_id == member.id)).one()
        assert (booked, least >= 0, min(stored.plan, stored.own) >= 0) == (stored.total, True, True)

    def teardown(self) -> None:
        """At the end: one refund a decision, and every lease in the state the model has it in."""
        if not hasattr(self, "members"):
            return
        self.stand()
        refunds = select(func.count()).select_from(Refund).where(Refund.user_id.in_(self.members))
        assert db.session.scalar(refunds) == sum(paid.refunded for paid in self.paid.values())
        for lease_id in self.leases:
            block, stored = self.paid[lease_id], db.session.get_one(Lease, UUID(lease_id))
            assert isinstance(block, Block)
            assert (stored.used_conversations, stored.used_credits) == block.used
            assert json.dumps(stored.state) == json.dumps(block.state)


def machine_at(gate: Machine) -> type[Spending]:
    """The machine on the database behind this gate."""

    class Here(Spending):
        pass

    Here.gate = gate
    return Here
