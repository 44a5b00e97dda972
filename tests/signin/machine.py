"""A hypothesis state machine over second factors, through the verbs: set up, sign in, guess, lose, remove, reset.
A small model knows what the account has; after each step no session may live that skipped a factor."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import select

from portal.accounts.models import Account
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.actor import Actor, nobody
from portal.core.database import db, transaction
from portal.core.errors import Conflict, Forbidden, Invalid, LimitReached, StepOver
from portal.signin.authenticator import (
    begin_authenticator,
    begun_authenticator,
    confirm_authenticator,
    remove_authenticator,
)
from portal.signin.codes import enter_with_code
from portal.signin.devices import UNKNOWN
from portal.signin.entry import Entered, FactorOwed, sign_in
from portal.signin.factor_reset import reset_factors
from portal.signin.factors import factors_of
from portal.signin.models import SignInSession
from portal.signin.recovery import renew_recovery_codes
from portal.signin.sessions import actor_of, session_of
from tests.people import PASSWORD, make_account
from tests.signin.phones import Phone

REFUSALS = (Conflict, Forbidden, Invalid, LimitReached, StepOver)
PICK = st.integers(0, 1_000)
# Longer than a step of a code, than a half-done sign-in, than any wait for the next guess.
WAITS = (1, 31, 61, 601, 3601)
_numbers = count()


class SecondFactors(RuleBasedStateMachine):
    """One person with as many browsers and phones as it takes."""

    def __init__(self) -> None:
        super().__init__()
        clock.shift(timedelta(0))
        self.name = ""
        self.phone: Phone | None = None  # the app that counts
        self.old_phones: list[Phone] = []
        self.codes: list[str] = []  # recovery codes that are good
        self.spent: list[str] = []  # and those that are not
        self.used: set[str] = set()  # codes of the app that were taken
        self.begun: list[tuple[str, Phone, str]] = []  # set-ups: secret of the step, phone, session
        self.halves: list[str] = []  # half-done sign-ins
        self.sessions: list[str] = []  # secrets of sessions that may live
        self.proven: set[str] = set()  # of those, by whom a second factor was given or none was owed

    @initialize(enrolled=st.booleans())
    def begin(self, enrolled: bool) -> None:
        """A fresh person, with an app or without."""
        self.name = f"person-{next(_numbers)}"
        make_account(self.name)
        if enrolled:
            self.set_up(0)

    def account(self) -> Account:
        """As it is now."""
        db.session.rollback()
        db.session.expire_all()
        return db.session.scalars(select(Account).where(Account.username_canonical == self.name)).one()

    def living(self) -> list[str]:
        """The sessions that open pages."""
        db.session.rollback()
        db.session.expire_all()
        return [secret for secret in self.sessions if session_of(secret) is not None]

    def actor(self, secret: str) -> Actor:
        """Whoever sits at this session, who has just proved who they are."""
        found = session_of(secret)
        assert found is not None
        made = actor_of(found[1], address=None, request_id=None, session=found[0])
        return msgspec.structs.replace(made, entered_at=clock.now(), proven_at=clock.now())

    def changed(self, at: str, secret: str | None) -> None:
        """What opens the account was changed in this session, which goes on under another secret; others are over."""
        assert secret is not None
        assert session_of(at) is None
        self.sessions = [secret]
        assert self.living() == [secret]
        self.halves.clear()
        self.begun.clear()

    @rule(seconds=st.sampled_from(WAITS))
    def wait(self, seconds: int) -> None:
        """Time goes by."""
        clock.shift(clock.offset() + timedelta(seconds=seconds))

    @rule()
    def give_password(self) -> None:
        """The right password: a session where there is no factor, half of one where there is."""
        try:
            with transaction():
                entered = sign_in(nobody(), self.name, PASSWORD)
        except LimitReached:
            return
        if self.phone is None:
            assert isinstance(entered, Entered), "no factor is owed"
            self.sessions.append(entered.secret)
        else:
            assert isinstance(entered, FactorOwed), "a factor is owed"
            self.halves.append(entered.secret)
            assert session_of(entered.secret) is None

    @rule(pick=PICK, half=PICK, skew=st.integers(-3, 3))
    def give_app_code(self, pick: int, half: int, skew: int) -> None:
        """A code of any phone there ever was, of a step near now."""
        phones = [*self.old_phones, *([self.phone] if self.phone else [])]
        if not phones or not self.halves:
            return
        phone = phones[pick % len(phones)]
        code = phone.code(skew)
        good = phone is self.phone and abs(skew) <= 1 and code not in self.used
        if self.enter(half, code):
            assert good, f"a code of {skew} steps beside now, or of another phone, or a used one got in"
        if phone is self.phone and abs(skew) <= 1:
            self.used.update({code} if good else set())

    @rule(again=st.booleans())
    def sign_in_whole(self, again: bool) -> None:
        """Password and code, one after the other, and the same code once more in another browser."""
        self.give_password()
        if self.phone is None or not self.halves:
            return
        while self.phone.code() in self.used:
            self.wait(31)
        code = self.phone.code()
        entered = self.enter(len(self.halves) - 1, code)
        if entered:
            self.used.add(code)
        self.give_password()
        if again and self.halves:
            assert not self.enter(len(self.halves) - 1, code), "a code got in twice"

    @rule(pick=PICK, half=PICK, spent=st.booleans())
    def give_recovery_code(self, pick: int, half: int, spent: bool) -> None:
        """A recovery code, good or not."""
        codes = self.spent if spent else self.codes
        if not codes or not self.halves:
            return
        code = codes[pick % len(codes)]
        if self.enter(half, code.lower() if pick % 2 else code):
            assert not spent, "a spent code got in"
            self.codes.remove(code)
            self.spent.append(code)

    @rule(half=PICK, typed=st.sampled_from(["", "000000", "nonsense", "A" * 20, "\0"]))
    def give_nonsense(self, half: int, typed: str) -> None:
        """What may be right once in a million times, and is then a code of the app."""
        near = {self.phone.code(steps) for steps in range(-2, 3)} if self.phone else set()
        if self.halves and typed not in near:
            assert not self.enter(half, typed)

    def enter(self, half: int, typed: str) -> bool:
        """Answer one of the half-done sign-ins; whether that opened a session."""
        secret = self.halves[half % len(self.halves)]
        try:
            with transaction():
                entered = enter_with_code(nobody(), secret, typed, UNKNOWN)
        except REFUSALS as error:
            with transaction():
                for trace in error.trace:
                    trace()
            return False
        self.halves.remove(secret)
        self.sessions.append(entered.secret)
        return True

    @rule(pick=PICK)
    def begin_app(self, pick: int) -> None:
        """Begin to set up a phone in one of the sessions."""
        if living := self.living():
            session = living[pick % len(living)]
            with transaction():
                step = begin_authenticator(self.actor(session))
            seed = begun_authenticator(self.actor(session), step).seed
            self.begun.append((step, Phone(seed), session))

    @rule(pick=PICK)
    def set_up(self, pick: int) -> None:
        """Sign in, begin and confirm at once."""
        if not self.living():
            self.sign_in_whole(again=False)
        self.begin_app(pick)
        self.confirm_app(len(self.begun) - 1, right=True)

    @rule(pick=PICK, right=st.booleans())
    def confirm_app(self, pick: int, right: bool) -> None:
        """Confirm one of those, or try to."""
        living = self.living()
        if not self.begun or not living:
            return
        step, phone, session = self.begun[pick % len(self.begun)]
        session = session if session in living else living[0]
        code = phone.code() if right else phone.wrong_code()
        made = self.attempt(lambda: confirm_authenticator(self.actor(session), step, code))
        if made is None:
            return
        assert right
        if self.phone is None:
            assert len(made.codes) == 10
            self.spent += self.codes
            self.codes = list(made.codes)
        else:
            assert made.codes == []
            self.old_phones.append(self.phone)
        self.phone, self.used = phone, {code}
        self.changed(session, made.secret)

    @rule(pick=PICK)
    def renew_codes(self, pick: int) -> None:
        """New recovery codes."""
        if living := self.living():
            session = living[pick % len(living)]
            made = self.attempt(lambda: renew_recovery_codes(self.actor(session)))
            assert (made is not None) == (self.phone is not None)
            if made is not None:
                self.spent += self.codes
                self.codes = list(made.codes)
                self.changed(session, made.secret)

    @rule(pick=PICK)
    def remove_app(self, pick: int) -> None:
        """Remove the phone."""
        if living := self.living():
            session = living[pick % len(living)]
            removed = self.attempt(lambda: (remove_authenticator(self.actor(session)),))
            assert (removed is not None) == (self.phone is not None)
            if removed is not None:
                self.forget_factor()
                self.changed(session, removed[0])

    @rule()
    def reset(self) -> None:
        """Somebody above takes the factors away."""
        account_id = self.account().id
        done = self.attempt(lambda: reset_factors(operator_actor().because("a test"), account_id))
        assert (done is not None) == (self.phone is not None)
        if done is not None:
            self.forget_factor()
            assert self.living() == []
            self.sessions.clear()
            self.halves.clear()
            self.begun.clear()

    def forget_factor(self) -> None:
        """There is none any more."""
        assert self.phone is not None
        self.old_phones.append(self.phone)
        self.spent += self.codes
        self.phone, self.codes, self.used = None, [], set()

    def attempt(self, call: Any) -> Any:
        """What a verb answers; None where it refuses, with its trace kept."""
        try:
            with transaction():
                return call()
        except REFUSALS as error:
            with transaction():
                for trace in error.trace:
                    trace()
            return None

    @invariant()
    def the_record_is_right(self) -> None:
        """What stands in the database is what the model knows."""
        if not self.name:
            return
        account = self.account()
        has = factors_of(account.id)
        assert (account.has_factor, has.authenticator) == (self.phone is not None, self.phone is not None)
        assert has.recovery_codes == len(self.codes)
        known = set(self.sessions)
        alive = db.session.scalars(
            select(SignInSession).where(SignInSession.account_id == account.id, SignInSession.epoch == account.epoch)
        ).all()
        assert len(alive) <= len(known), "a session that nobody was given"
        if self.phone is not None:
            # The one in which the factor was set up or changed goes on; every other was opened with a second factor.
            passwords = [session for session in alive if session.method == "password"]
            assert len(passwords) <= 1, "a password alone opened a session of an account with a factor"
