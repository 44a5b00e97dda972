"""Authenticator apps: set up by a code, each step taken once, one step of skew, by the server's clock."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import pyotp
import pytest

from portal.core import clock
from portal.core.database import db, transaction
from portal.core.errors import Conflict, Invalid, StepOver
from portal.signin import authenticator
from portal.signin.authenticator import (
    begin_authenticator,
    begun_authenticator,
    confirm_authenticator,
    plain_code,
    remove_authenticator,
    use_code,
)
from portal.signin.factors import factors_of
from portal.signin.models import Authenticator
from portal.signin.steps import MOST_FAILURES
from tests.people import actor_named, make_account
from tests.races import race
from tests.signin.phones import Phone, account_of, enrol, make_enrolled

if TYPE_CHECKING:
    from portal.web.frame import Doorward


def used(name: str, code: str) -> bool:
    """Whether the code was taken, in a transaction of its own."""
    with transaction():
        return use_code(account_of(name), code)


def begin(name: str) -> tuple[str, Phone]:
    """Begin to set up; the secret of the step, and a phone with its seed."""
    with transaction():
        step = begin_authenticator(actor_named(name))
    return step, Phone(begun_authenticator(actor_named(name), step).seed)


def test_codes_are_those_of_the_standard(monkeypatch: pytest.MonkeyPatch, app: Doorward) -> None:
    """RFC 6238, appendix B: the last six digits of its SHA-1 values."""
    make_account("alice")
    seed = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    monkeypatch.setattr(pyotp, "random_base32", lambda length: seed)
    phone, _ = enrol("alice")
    assert phone.seed == seed
    now = clock.now().timestamp()
    for second, code in (
        (1111111109, "081804"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ):
        with transaction():
            db.session.merge(
                Authenticator(
                    account_id=account_of("alice").id,
                    sealed_seed=db.session.get_one(Authenticator, account_of("alice").id).sealed_seed,
                    last_step=0,
                    created_at=clock.now(),
                    confirmed_at=clock.now(),
                )
            )
        clock.shift(timedelta(seconds=second - now))
        assert used("alice", code), second
    clock.shift(timedelta(0))


def test_a_seed_has_160_bits_and_is_sealed(app: Doorward) -> None:
    phone, _ = make_enrolled("alice")
    assert len(pyotp.TOTP(phone.seed).byte_secret()) == 20
    row = db.session.get_one(Authenticator, account_of("alice").id)
    assert phone.seed not in row.sealed_seed
    other, _ = make_enrolled("bob")
    assert other.seed != phone.seed
    with transaction():  # what was sealed for one account opens in no other
        db.session.get_one(Authenticator, account_of("bob").id).sealed_seed = row.sealed_seed
    with pytest.raises(Exception, match="authenticators"):
        use_code(account_of("bob"), phone.code(1))


def test_a_code_counts_only_once_the_app_is_confirmed(app: Doorward) -> None:
    make_account("alice")
    _, phone = begin("alice")
    assert not used("alice", phone.code())
    assert not account_of("alice").has_factor
    enrol("alice")
    assert account_of("alice").has_factor
    assert factors_of(account_of("alice").id).authenticator


def test_the_code_that_confirmed_does_not_sign_in(app: Doorward) -> None:
    phone, _ = make_enrolled("alice")
    assert not used("alice", phone.code())
    assert used("alice", phone.code(1))


def test_each_step_is_taken_once(app: Doorward) -> None:
    phone, _ = make_enrolled("alice")
    clock.shift(timedelta(minutes=5))
    code = phone.code()
    assert used("alice", code)
    assert not used("alice", code)
    assert not used("alice", phone.code(-1)), "a step before the last one taken is over too"


def test_one_step_of_skew_each_way_and_no_more(app: Doorward) -> None:
    phone, _ = make_enrolled("alice")
    for steps, taken in ((-2, False), (2, False), (-1, True), (0, True), (1, True)):
        clock.shift(clock.offset() + timedelta(minutes=10))
        assert used("alice", phone.code(steps)) is taken, steps


def test_of_twenty_at_once_one_is_right(app: Doorward) -> None:
    phone, _ = make_enrolled("alice")
    clock.shift(timedelta(minutes=5))
    code = phone.code()

    def attempt(_: int) -> bool:
        with app.app_context():
            return used("alice", code)

    assert Counter(race(20, attempt)) == {True: 1, False: 19}


@pytest.mark.parametrize(
    "typed",
    ["", "12345", "1234567", "12345a", "½23456", "۱۲۳۴۵۶", "-" * 39, "1" * 5000, "12 34\x005", "\U0001d7d8" * 41],
)
def test_what_has_not_the_shape_of_a_code_is_none(typed: str) -> None:
    assert plain_code(typed) is None


@pytest.mark.parametrize(
    "typed", ["123456", " 123 456 ", "123-456", "\uff11\uff12\uff13\uff14\uff15\uff16", "123\u00a0456"]
)
def test_codes_may_be_typed_in_groups(typed: str) -> None:
    assert plain_code(typed) == "123456"


def test_a_set_up_is_of_its_browser_its_account_and_its_time(app: Doorward) -> None:
    make_account("alice")
    make_account("bob")
    step, phone = begin("alice")
    with pytest.raises(StepOver):
        begun_authenticator(actor_named("bob"), step)
    with pytest.raises(StepOver):
        confirm_authenticator(actor_named("bob"), step, phone.code())
    for missing in (None, "", "nonsense"):
        with pytest.raises(StepOver):
            begun_authenticator(actor_named("alice"), missing)
    clock.shift(timedelta(minutes=15))
    with pytest.raises(StepOver):
        confirm_authenticator(actor_named("alice"), step, phone.code())


def test_a_set_up_can_be_begun_again_and_is_confirmed_once(app: Doorward) -> None:
    make_account("alice")
    _, first = begin("alice")
    step, second = begin("alice")
    assert first.seed != second.seed
    with pytest.raises(Invalid):
        confirm_authenticator(actor_named("alice"), step, first.code())
    db.session.rollback()

    def attempt(_: int) -> str:
        with app.app_context():
            try:
                with transaction():
                    confirm_authenticator(actor_named("alice"), step, second.code())
            except Exception as error:  # which one depends on who came when
                return type(error).__name__
            return "done"

    answers = Counter(race(8, attempt))
    assert answers["done"] == 1, answers


def test_five_wrong_codes_end_a_set_up(app: Doorward) -> None:
    make_account("alice")
    step, phone = begin("alice")
    for _ in range(MOST_FAILURES):
        with pytest.raises(Invalid) as caught:
            confirm_authenticator(actor_named("alice"), step, phone.wrong_code())
        db.session.rollback()
        with transaction():
            for trace in caught.value.trace:
                trace()
    with pytest.raises(StepOver):
        confirm_authenticator(actor_named("alice"), step, phone.code())


def test_another_phone_takes_the_place_of_the_first(app: Doorward) -> None:
    first, codes = make_enrolled("alice")
    second, made = enrol("alice")
    assert len(codes) == 10
    assert made == [], "the codes of the first stay good"
    clock.shift(timedelta(minutes=5))
    assert not used("alice", first.code())
    assert used("alice", second.code())


def test_removing_takes_the_factor_and_the_codes(app: Doorward) -> None:
    phone, _ = make_enrolled("alice")
    with transaction():
        remove_authenticator(actor_named("alice"))
    assert not account_of("alice").has_factor
    assert factors_of(account_of("alice").id).recovery_codes == 0
    assert not used("alice", phone.code(1))
    with pytest.raises(Conflict):
        remove_authenticator(actor_named("alice"))


@pytest.mark.parametrize("setting", [{"require_factor": "staff"}])
def test_the_last_factor_stays_where_one_must_be(app: Doorward) -> None:
    make_enrolled("tess")
    make_enrolled("alice")
    with pytest.raises(Conflict, match="Add another first"):
        remove_authenticator(actor_named("tess"))
    db.session.rollback()
    assert factors_of(account_of("tess").id).authenticator
    with transaction():
        remove_authenticator(actor_named("alice"))


def test_the_skew_is_one() -> None:
    assert (authenticator.SKEW, authenticator.STEP_S, authenticator.DIGITS) == (1, 30, 6)
