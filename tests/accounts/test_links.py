"""One-time links: one use, one purpose, one lifetime, one epoch; only the digest is kept."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.accounts.lifecycle import raise_epoch
from portal.accounts.links import (
    KEPT_AFTER,
    LIFETIMES,
    PATHS,
    Purpose,
    drop_later_links,
    look_at_link,
    make_link,
    spend_link,
    tidy_links,
)
from portal.accounts.models import Account, OneTimeLink
from portal.core import clock
from portal.core.database import db, transaction
from portal.core.errors import NotFound, PortalError
from portal.web.frame import Doorward
from tests.people import make_account
from tests.races import race


def link_for(account: Account | None, purpose: Purpose = Purpose.RESET) -> str:
    """A link's token."""
    with transaction():
        path = make_link(purpose, account)
    assert path.startswith(PATHS[purpose])
    return path.removeprefix(PATHS[purpose])


def spend(token: str, purpose: Purpose = Purpose.RESET) -> None:
    """Use it up."""
    with transaction():
        spend_link(token, purpose)


@pytest.mark.parametrize("purpose", Purpose)
def test_a_link_works_once(app: Doorward, purpose: Purpose) -> None:
    token = link_for(make_account("alice"), purpose)
    look_at_link(token, purpose)
    look_at_link(token, purpose)
    spend(token, purpose)
    for use in (look_at_link, spend_link):
        with pytest.raises(NotFound, match="does not work any more"):
            use(token, purpose)


@pytest.mark.parametrize("purpose", Purpose)
def test_a_link_is_good_for_its_purpose_alone(app: Doorward, purpose: Purpose) -> None:
    token = link_for(make_account("alice"), purpose)
    for other in set(Purpose) - {purpose}:
        with pytest.raises(NotFound):
            spend(token, other)
    spend(token, purpose)


@pytest.mark.parametrize("purpose", Purpose)
def test_a_link_lives_to_the_second(app: Doorward, purpose: Purpose) -> None:
    token = link_for(make_account("alice"), purpose)
    made = db.session.scalars(select(OneTimeLink)).one().created_at
    clock.shift(made + LIFETIMES[purpose] - timedelta(seconds=1) - clock.now())
    look_at_link(token, purpose)
    clock.shift(clock.offset() + timedelta(seconds=2))
    with pytest.raises(NotFound):
        spend(token, purpose)


def test_the_lifetimes_are_those_that_are_told() -> None:
    assert {purpose.value: int(LIFETIMES[purpose].total_seconds()) // 3600 for purpose in Purpose} == {
        "setup": 24,
        "invitation": 7 * 24,
        "confirm": 48,
        "reset": 1,
        "new_email": 24,
        "keep_email": 7 * 24,
        "not_me": 7 * 24,
    }


def test_a_newer_link_ends_the_older_one_of_that_account_and_purpose(app: Doorward) -> None:
    alice, bob = make_account("alice"), make_account("bob")
    older, bobs, confirm = link_for(alice), link_for(bob), link_for(alice, Purpose.CONFIRM)
    newer = link_for(alice)
    with pytest.raises(NotFound):
        look_at_link(older, Purpose.RESET)
    look_at_link(newer, Purpose.RESET)
    look_at_link(bobs, Purpose.RESET)
    look_at_link(confirm, Purpose.CONFIRM)


def test_a_link_dies_with_the_epoch(app: Doorward) -> None:
    alice = make_account("alice")
    token = link_for(alice)
    with transaction():
        raise_epoch(db.session.get_one(Account, alice.id))
    with pytest.raises(NotFound):
        spend(token)


def test_only_a_digest_is_kept(app: Doorward) -> None:
    token = link_for(make_account("alice"))
    kept = db.session.scalars(select(OneTimeLink)).one()
    assert len(kept.digest) == 32
    assert token not in repr([getattr(kept, column.key) for column in OneTimeLink.__table__.columns])


def test_what_was_never_a_link_answers_like_a_used_one(app: Doorward) -> None:
    for token in ("", "x", "\0", "x" * 5000, "\u00e9", "../etc/passwd"):
        with pytest.raises(NotFound, match="does not work any more"):
            spend(token)


def test_of_twenty_who_spend_a_link_at_once_one_does(app: Doorward) -> None:
    token = link_for(make_account("alice"))

    def try_it(_: int) -> str:
        with app.app_context():
            try:
                spend(token)
            except PortalError as error:
                return error.code
            return "spent"

    answers = race(20, try_it)
    assert sorted(answers) == ["NOT_FOUND"] * 19 + ["spent"]


def test_links_that_are_over_are_forgotten_a_day_later(app: Doorward) -> None:
    alice = make_account("alice")
    link_for(alice)
    link_for(alice, Purpose.KEEP_EMAIL)
    clock.shift(LIFETIMES[Purpose.RESET] + KEPT_AFTER - timedelta(minutes=1))
    with transaction():
        assert tidy_links() == 0
    clock.shift(LIFETIMES[Purpose.RESET] + KEPT_AFTER + timedelta(minutes=1))
    with transaction():
        assert tidy_links() == 1
    assert db.session.scalars(select(OneTimeLink.purpose)).all() == ["keep_email"]


def test_a_lasting_link_ends_what_was_mailed_after_it(app: Doorward) -> None:
    alice, bob = make_account("alice"), make_account("bob")
    before, keep = link_for(alice, Purpose.CONFIRM), link_for(alice, Purpose.KEEP_EMAIL)
    after, bobs = link_for(alice, Purpose.NOT_ME), link_for(bob, Purpose.NOT_ME)
    with transaction():
        drop_later_links(spend_link(keep, Purpose.KEEP_EMAIL))
    look_at_link(before, Purpose.CONFIRM)
    look_at_link(bobs, Purpose.NOT_ME)
    with pytest.raises(NotFound):
        look_at_link(after, Purpose.NOT_ME)
