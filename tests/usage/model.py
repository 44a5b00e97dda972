"""How spending must behave, in plain Python: what the state machine (machine.py) holds the product against.

Days and months are told by portal/accounts/days.py, which has tests of its own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from portal.accounts.days import Calendar, month_of, usage_day

NO_KEY = UUID(int=0)
KEPT = timedelta(hours=24)
REFUNDABLE = timedelta(days=30)


@dataclass
class Terms:
    """What a plan grants; `price` is that of the model m-1."""

    id: UUID
    name: str
    daily_limit: int | None
    credits_per_month: int
    price: int


@dataclass(frozen=True)
class Balance:
    """Both balances, the month of the plan's, and what the plan gave in it."""

    plan: int = 0
    own: int = 0
    month: date | None = None
    granted: int = 0

    @property
    def total(self) -> int:
        """What can be drawn on."""
        return self.plan + self.own

    def turned(self, month: date, per_month: int) -> Balance:
        """As it is worth in this month."""
        if self.month is None or self.month < month:
            return Balance(per_month, self.own, month, per_month)
        more = max(0, per_month - self.granted)
        return replace(self, plan=self.plan + more, granted=self.granted + more)

    def less(self, credits: int) -> Balance:
        """After spending, plan credits first."""
        part = min(credits, self.plan)
        return replace(self, plan=self.plan - part, own=self.own - (credits - part))


@dataclass
class Paid:
    """What was spent by one decision or lease, and what came of it. `parts` are (plan credits, own credits)."""

    user: UUID
    key: UUID
    model: str
    day: date
    conversations: int
    parts: tuple[int, int]
    at: datetime
    refunded: bool = False


@dataclass
class Block(Paid):
    """A lease."""

    ttl: timedelta = timedelta(0)
    ends: datetime = datetime.min
    used: tuple[int, int] = (0, 0)
    state: str = "open"

    def is_lost_at(self, now: datetime) -> bool:
        """Whether what was never reported is gone."""
        return self.state == "lost" or (self.state == "open" and self.ends <= now)

    def rest(self) -> tuple[int, tuple[int, int]]:
        """(conversations, credit parts) that were not reported."""
        plan_used = min(self.used[1], self.parts[0])
        return self.conversations - self.used[0], (self.parts[0] - plan_used, self.parts[1] - self.used[1] + plan_used)


@dataclass
class Held:
    """A key of a member."""

    id: UUID
    secret: str
    daily_limit: int | None = None


@dataclass
class Member:
    """A user, with everything that spending reads or writes."""

    id: UUID
    name: str
    plan: Terms
    calendar: Calendar
    keys: list[Held] = field(default_factory=list)
    override: int | None = None
    boost: tuple[int, datetime] | None = None
    coming: tuple[Terms, datetime] | None = None
    balance: Balance = field(default_factory=Balance)
    # (day, key, model) → units
    used: Counter[tuple[date, UUID, str]] = field(default_factory=Counter)
    credits: Counter[tuple[date, UUID, str]] = field(default_factory=Counter)

    def terms(self, now: datetime) -> Terms:
        """The plan that holds."""
        return self.coming[0] if self.coming and self.coming[1] <= now else self.plan

    def limit(self, now: datetime) -> int | None:
        """Conversations a day."""
        limit = self.terms(now).daily_limit if self.override is None else self.override
        return limit + self.boost[0] if limit is not None and self.boost and now < self.boost[1] else limit

    def day(self, now: datetime) -> date:
        """The usage day."""
        return usage_day(self.calendar, now)

    def used_on(self, day: date, key: UUID | None = None) -> int:
        """Units of a day, in all or by one key."""
        return sum(units for (on, by, _), units in self.used.items() if on == day and key in (None, by))

    def worth(self, now: datetime) -> Balance:
        """The balance as the next spending finds it."""
        return self.balance.turned(month_of(self.day(now)), self.terms(now).credits_per_month)

    def room(self, now: datetime, key: Held | None) -> tuple[int | None, int | None]:
        """What is left of (the key's limit, the day's limit); None without one."""
        day, limit = self.day(now), self.limit(now)
        by_key = None
        if key is not None and key.daily_limit is not None:
            by_key = key.daily_limit - self.used_on(day, key.id)
        return by_key, None if limit is None else limit - self.used_on(day)

    def judge(self, now: datetime, key: Held | None, conversations: int, credits: int) -> str:
        """VALID, or why not: checked in the order of the contract."""
        by_key, by_day = self.room(now, key)
        if conversations and by_key is not None and conversations > by_key:
            return "KEY_LIMIT_REACHED"
        if conversations and by_day is not None and conversations > by_day:
            return "DAILY_LIMIT_REACHED"
        return "CREDITS_EXHAUSTED" if credits > self.worth(now).total else "VALID"

    def spend(self, now: datetime, key: Held | None, model: str, conversations: int, credits: int) -> Paid:
        """Write down what was judged VALID."""
        before, place = self.worth(now), (self.day(now), key.id if key else NO_KEY, model)
        if credits:
            self.balance = before.less(credits)
        self.used[place] += conversations
        self.credits[place] += credits
        part = min(credits, before.plan)
        return Paid(self.id, place[1], model, place[0], conversations, (part, credits - part), now)

    def give_back(self, now: datetime, paid: Paid, conversations: int, parts: tuple[int, int]) -> int:
        """Return units; answers the credits that came back: plan credits only in their own month."""
        place, credits = (paid.day, paid.key, paid.model), 0
        if sum(parts):
            worth = self.worth(now)
            plan_part = parts[0] if month_of(paid.day) == worth.month else 0
            self.balance = replace(worth, plan=worth.plan + plan_part, own=worth.own + parts[1])
            credits = plan_part + parts[1]
        self.used[place] -= conversations
        self.credits[place] -= credits
        return credits
