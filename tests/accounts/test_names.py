"""Taking a name: checked in one place, told beside the field, kept from others while a deleted user holds it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from portal.accounts import names
from portal.accounts.models import ReservedName
from portal.core import clock
from portal.core.database import db, transaction
from portal.core.errors import Invalid
from portal.web.frame import Doorward
from tests.people import make_account


def test_a_name_is_shown_as_typed_and_compared_in_one_form() -> None:
    assert names.checked_username(" Alice ") == ("Alice", "alice")
    assert names.checked_email(" Alice@Example.ORG ") == ("Alice@Example.ORG", "alice@example.org")


@pytest.mark.parametrize(
    ("check", "typed", "field"),
    [
        (names.checked_username, "a@b", "username"),
        (names.checked_email, "alice", "email"),
        (names.checked_display_name, "a\nb", "display_name"),
        (names.checked_zone, "Mars/Olympus", "time_zone"),
        (names.checked_zone, "../../etc/passwd", "time_zone"),
        (names.checked_zone, "europe/berlin\0", "time_zone"),
    ],
)
def test_a_fault_is_told_at_its_field(check: object, typed: str, field: str) -> None:
    with pytest.raises(Invalid) as told:
        check(typed)  # type: ignore[operator]  # each of them takes a text
    assert list(told.value.fields) == [field]


def test_no_zone_means_utc_and_every_offered_zone_is_taken() -> None:
    assert names.checked_zone("") == "UTC"
    assert {"UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"} <= set(names.zones())
    assert all(names.checked_zone(zone) == zone for zone in names.zones())


def test_a_taken_name_is_known_whatever_the_kind(app: Doorward) -> None:
    for name in ("alice", "tess", "ada"):
        make_account(name)
        assert names.username_taken(name)
        assert names.email_taken(f"{name}@example.org")
    assert not names.username_taken("bob")
    assert not names.email_taken("bob@example.org")


def test_a_reserved_name_is_taken_and_not_readable(app: Doorward) -> None:
    alice = make_account("alice")
    digest = names.reserved_digest("username", "gone")
    with transaction():
        db.session.add(ReservedName(digest=digest, account_id=alice.id))
    assert names.username_taken("gone")
    assert not names.email_taken("gone")
    assert "gone" not in digest


def test_search_looks_into_all_three_names() -> None:
    assert names.search_text_of("alice", "alice@example.org", "\u00c9mile STRA\u00dfE") == (
        "alice alice@example.org \u00e9mile strasse"
    )
    assert names.search_text_of("alice", None, "") == "alice"


def test_a_name_given_up_is_kept_for_its_account_until_an_instant_and_then_forgotten(app: Doorward) -> None:
    alice, bob = make_account("alice"), make_account("bob")
    with transaction():
        names.reserve("email", "old@example.org", alice.id, until=clock.now() + timedelta(days=7))
        names.reserve("username", "gone", bob.id)
    assert names.email_taken("old@example.org") and names.email_taken("old@example.org", but=bob.id)
    assert not names.email_taken("old@example.org", but=alice.id)
    assert not names.username_taken("old@example.org")
    clock.shift(timedelta(days=7, seconds=1))
    assert not names.email_taken("old@example.org")
    with transaction():
        assert names.forget_reservations() == 1
    assert names.username_taken("gone")


def test_a_name_is_reserved_anew_by_whoever_holds_it_and_given_free(app: Doorward) -> None:
    alice, bob = make_account("alice"), make_account("bob")
    with transaction():
        names.reserve("username", "name", alice.id, until=clock.now())
        names.reserve("username", "name", bob.id)
    assert names.username_taken("name", but=alice.id)
    with transaction():
        names.release("username", "name")
    assert not names.username_taken("name")
