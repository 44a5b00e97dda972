"""A hypothesis state machine over refresh tokens, by the verbs: use, lose the answer, replay, revoke, wait, suspend.
A small model knows when each token was used; it tells beforehand what the house will answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import func, select

from portal.accounts.lifecycle import reactivate, suspend
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.actor import nobody
from portal.core.database import db, transaction
from portal.signin.ending import end_sessions_of
from portal.signin.grants import actor_of_access_token, grant_by_refresh
from portal.signin.revoking import revoke_token
from portal.tokens.errors import GrantRefused
from portal.tokens.families import GRACE, IDLE, LONGEST, begin_family
from portal.tokens.models import RefreshToken, TokenFamily
from tests.people import make_account

PICK = st.integers(0, 1_000)
SECOND = timedelta(seconds=1)
WAITS = (SECOND, GRACE - SECOND, GRACE + SECOND, timedelta(days=3), IDLE + SECOND)
_numbers = count()


@dataclass
class Family:
    """What the model knows of one: its tokens in turn, and when each but the last was used."""

    tokens: list[str]
    began: datetime
    seen: datetime
    used: list[datetime] = field(default_factory=list)
    access: str = ""
    over: bool = False

    def lives(self) -> bool:
        """Whether its tokens are good, but for the account."""
        now = clock.now()
        return not self.over and self.seen + IDLE > now and self.began + LONGEST > now


class Families(RuleBasedStateMachine):
    """One person with as many programs as it takes."""

    def __init__(self) -> None:
        super().__init__()
        clock.shift(timedelta(0))
        self.families: list[Family] = []
        self.suspended = False

    @initialize()
    def begin(self) -> None:
        """A fresh person with one program."""
        self.account = make_account(f"person-{next(_numbers)}")
        self.get_tokens()

    @rule()
    def get_tokens(self) -> None:
        """Another program."""
        if self.suspended or len(self.families) > 3:
            return
        db.session.refresh(self.account)
        with transaction():
            _, token = begin_family(self.account, address=None, device="", method="password", proven=True)
        self.families.append(Family([token], clock.now(), clock.now()))

    @rule(which=PICK, back=st.sampled_from((0, 0, 0, 1, 1, 2)))
    def use(self, which: int, back: int) -> None:
        """Use the newest token of a program, or one of before."""
        family = self.families[which % len(self.families)]
        place = max(0, len(family.tokens) - 1 - back)
        parent = place == len(family.tokens) - 2
        again = parent and place < len(family.used) and clock.now() - family.used[place] <= GRACE
        fresh = place == len(family.tokens) - 1
        lives = family.lives()
        wanted = lives and (fresh or again) and not self.suspended
        try:
            with transaction():
                granted = grant_by_refresh(nobody(), family.tokens[place])
        except GrantRefused as refused:
            assert not wanted
            with transaction():
                for write in refused.trace:
                    write()
            if lives and not fresh and not again:
                assert refused.trace
                family.over = True
            return
        assert wanted
        assert granted.refresh_token is not None
        family.access = granted.access_token
        if fresh:
            family.used.append(clock.now())
            family.tokens.append(granted.refresh_token)
            family.seen = clock.now()
        else:
            assert granted.refresh_token == family.tokens[-1]

    @rule(which=PICK, by_access=st.booleans())
    def revoke(self, which: int, by_access: bool) -> None:
        """Give one of a program's tokens back, a used one too. An access token that is over ends nothing."""
        family = self.families[which % len(self.families)]
        with transaction():
            if by_access and family.access:
                good = actor_of_access_token(family.access, None, None) is not None
                revoke_token(nobody(), family.access)
                family.over = family.over or good
            else:
                revoke_token(nobody(), family.tokens[which % len(family.tokens)])
                family.over = True

    @rule(time=st.sampled_from(WAITS))
    def wait(self, time: timedelta) -> None:
        """Time goes by."""
        clock.shift(clock.offset() + time)

    @rule(kind=st.sampled_from(("suspend", "suspend", "sign out")))
    def shut(self, kind: str) -> None:
        """Suspend the person, or let them come back; or sign them out everywhere."""
        who = operator_actor().because("to see")
        with transaction():
            if kind == "sign out":
                end_sessions_of(who, self.account.id)
            elif self.suspended:
                reactivate(who, self.account.id)
            else:
                suspend(who, self.account.id)
        if kind == "suspend":
            self.suspended = not self.suspended
        for family in self.families:
            family.over = family.over or kind == "sign out" or self.suspended

    @invariant()
    def nothing_lives_twice_or_after_its_end(self) -> None:
        """One unused token of each family at most; no access token opens anything without a living family."""
        db.session.rollback()
        db.session.expire_all()
        unused = (
            select(func.count())
            .select_from(RefreshToken)
            .join(TokenFamily, TokenFamily.id == RefreshToken.family_id)
            .where(RefreshToken.used_at.is_(None))
            .group_by(RefreshToken.family_id)
        )
        assert set(db.session.scalars(unused)) <= {1}
        for family in self.families:
            if family.access and (self.suspended or not family.lives()):
                assert actor_of_access_token(family.access, None, None) is None
