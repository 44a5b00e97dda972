"""One field unmasked for a while: in a case, for a reason, so many a day, and shown to nobody else."""

from __future__ import annotations

from contextlib import suppress

import pytest
from sqlalchemy import func, select

from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core.database import db, transaction
from portal.core.errors import CaseNeeded, Forbidden, Invalid, LimitReached
from portal.support.models import Reveal
from portal.support.record import open_record
from portal.support.reveals import allowance_of, reveal
from portal.web.frame import Doorward
from tests.conftest import signed_in
from tests.moments import stand_at
from tests.people import acting, actor_named, make_account, open_case_for
from tests.races import race
from tests.visitor import Visitor

WHOLE, MASKED = "liddell@wonder.example.org", "l•••@w•••.org"


@pytest.fixture
def alice(app: Doorward) -> Account:
    """Who calls, and who is asked."""
    for name in ("tess", "theo", "tara", "ada"):
        make_account(name)
    stand_at("2026-11-21T12:00:00+00:00")
    return make_account("alice", email=WHOLE, email_canonical=WHOLE)


def seen_by(name: str, user: Account) -> str:
    """The address as the record shows it to them."""
    with transaction():
        return open_record(actor_named(name), user.id).email


def test_it_takes_the_right_a_case_and_a_field(alice: Account) -> None:
    bob = make_account("bob")
    for name, wrong in (("tess", Forbidden), ("ada", Forbidden), ("alice", Forbidden), ("theo", CaseNeeded)):
        with pytest.raises(wrong):
            reveal(actor_named(name).because("curious"), alice.id, "email")
    with pytest.raises(CaseNeeded):
        reveal(acting("theo", alice), bob.id, "email")
    with pytest.raises(Invalid):
        reveal(acting("theo", alice), alice.id, "password_hash")
    assert db.session.scalar(select(func.count()).select_from(Reveal)) == 0


def test_it_shows_the_field_to_one_person_till_its_end_and_counts_once(alice: Account) -> None:
    theo = acting("theo", alice)
    with transaction():
        first = reveal(theo, alice.id, "email")
    assert seen_by("theo", alice) == WHOLE
    assert [seen_by(name, alice) for name in ("tess", "tara")] == [MASKED] * 2
    stand_at("2026-11-21T12:05:00+00:00")
    with transaction():
        again = reveal(acting("theo", alice), alice.id, "email")
    assert (again.id, again.until) == (first.id, first.until)
    assert allowance_of(theo).left == 49
    stand_at("2026-11-21T12:10:30+00:00")
    assert seen_by("theo", alice) == MASKED
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "record.revealed")).one()
    assert (entry.case, entry.reason, entry.on_behalf_of) == (theo.case, "They called.", alice.id)
    assert entry.facts["field"] == "email"
    assert WHOLE not in str(entry.facts)
    stand_at("2026-11-22T00:00:30+00:00")
    assert allowance_of(theo).left == 50


def test_who_loses_the_level_sees_no_more(alice: Account) -> None:
    with transaction():
        reveal(acting("theo", alice), alice.id, "email")
    with transaction():
        db.session.scalars(select(Account).where(Account.username_canonical == "theo")).one().level = 1  # type: ignore[attr-defined]  # a staff member
    assert seen_by("theo", alice) == MASKED


@pytest.mark.parametrize("setting", [{"staff_reveals_per_day": 3}])
def test_of_many_at_once_no_more_get_through_than_may(app: Doorward, alice: Account) -> None:
    users = [make_account(f"user{number}") for number in range(4)]
    who, ids = [acting("theo", user) for user in users], [user.id for user in users]

    def ask(number: int) -> None:
        with app.app_context():
            try:
                with suppress(LimitReached), transaction():
                    reveal(who[number // 2], ids[number // 2], ("email", "address")[number % 2])
            finally:
                db.session.remove()

    race(8, ask)
    assert db.session.scalar(select(func.count()).select_from(Reveal)) == 3
    assert allowance_of(actor_named("theo")).left == 0
    with pytest.raises(LimitReached) as told:
        reveal(acting("theo", alice), alice.id, "email")
    assert 0 < told.value.retry_after <= 12 * 3600 + 3600


def test_on_the_page_it_is_counted_down_and_shown_till_when(app: Doorward, alice: Account) -> None:
    theo = signed_in(app, "theo")
    abroad = Visitor(app.test_client())
    abroad.client.environ_base["REMOTE_ADDR"] = "203.0.113.77"
    abroad.sign_in("alice")
    record = f"/staff/users/{alice.id}"
    page = theo.get(record)
    assert "50 of 50 left today" in page.text
    assert theo.get(f"/staff/reveals/{alice.id}/email").path.startswith("/staff/cases/new/")
    open_case_for("theo", alice)
    for field, whole in (("email", WHOLE), ("address", "203.0.113.77")):
        assert whole not in theo.get(record).html
        form = theo.get(f"/staff/reveals/{alice.id}/{field}")
        assert form.code("reason") == "They called."
        page = theo.send(form, {"reason": "To ask who it is."})
        assert whole in page.text
        assert "seen by you alone until" in page.text
    assert "48 of 50 left today" in page.text
    assert theo.get(f"/staff/reveals/{alice.id}/password").status == 404
    looks = abroad.get("/account/activity/looks").text
    assert "unmasked a field of a record" in looks
    assert "To ask who it is." in looks
