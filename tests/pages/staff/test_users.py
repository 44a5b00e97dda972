"""/staff/users/<id>: the masked record, and the entry that each look leaves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.core import clock
from portal.core.database import db, transaction
from portal.keys.models import ApiKey
from portal.signin.sessions import begin_session
from tests.people import make_account
from tests.usage.test_refusal_reading import keep_refusal
from tests.visitor import Visitor

CANARIES = ("canary-local", "canary-domain", "198.51.100.77", "100.77")


@pytest.mark.parametrize("level", ["tess", "theo", "tara"])
def test_the_record_holds_no_address_at_any_level(level: str, person: Callable[..., Visitor]) -> None:
    email = "canary-local@canary-domain.example"
    bob = make_account("bob", email=email, email_canonical=email)
    with transaction():
        begin_session(bob, address="198.51.100.77", device="Firefox/140.0 Linux")
    staff = person(level)
    record = staff.get(f"/staff/users/{bob.id}")
    pages = [record, staff.get(f"/staff/users/{bob.id}/days.json"), staff.get("/staff?q=bo")]
    assert "Firefox on Linux" in record.text
    assert "c•••@c•••.example" in record.text
    for page in pages:
        assert [canary for canary in CANARIES if canary in page.html] == [], page.path


def test_each_look_leaves_an_entry_with_who_and_whom(person: Callable[..., Visitor]) -> None:
    bob = make_account("bob")
    tess, ada = person("tess"), person("ada")
    for _ in range(2):
        tess.get(f"/staff/users/{bob.id}")
    entries = ada.get(f"/admin/audit?event=record.viewed&target={bob.id}")
    assert entries.text.count("tess") == 2


def test_the_record_offers_no_act_but_a_note(person: Callable[..., Visitor]) -> None:
    bob = make_account("bob")
    page = person("tara").get(f"/staff/users/{bob.id}")
    forms = {form.get("action") for form in page.forms()}
    assert forms == {"/theme", "/sign-out", f"/staff/notes/{bob.id}"}


def test_usage_and_refusals_are_masked_and_each_look_leaves_an_entry(person: Callable[..., Visitor]) -> None:
    bob = make_account("bob", email="canary-local@canary-domain.example")
    found = keep_refusal(bob, "IP_NOT_ALLOWED", address="198.51.100.77", networks=["198.51.100.77/32"])
    tess, ada = person("tess"), person("ada")
    record = tess.get(f"/staff/users/{bob.id}")
    assert "The address is not allowed" in record.text
    pages = [
        record,
        tess.get(f"/staff/users/{bob.id}/usage"),
        tess.get(f"/staff/users/{bob.id}/refusals"),
        tess.get(next(link for link in record.links() if link.endswith(str(found)))),
    ]
    for page in pages:
        assert page.status == 200
        assert [canary for canary in CANARIES if canary in page.html] == [], page.path
    assert "198.51.•••" in pages[-1].text
    entries = ada.get(f"/admin/audit?event=record.viewed&target={bob.id}")
    assert entries.text.count("tess") == len(pages)
    assert len(tess.get(f"/staff/users/{bob.id}/months.json").response.get_json()["x"]) == 12


def test_the_desk_sees_no_ledger(person: Callable[..., Visitor]) -> None:
    bob = make_account("bob")
    assert "No credits so far" not in person("tara").get(f"/staff/users/{bob.id}/usage").text


def test_boost_and_coming_plan_stand_on_the_record(person: Callable[..., Visitor]) -> None:
    until = clock.now() + timedelta(days=3, minutes=1)
    bob = make_account("bob", boost_extra=50, boost_until=until, daily_limit_override=10)
    text = person("tess").get(f"/staff/users/{bob.id}").text
    assert "10 (own)" in text or "60 (own)" in text
    assert "of it +50 a day, ends in 3 days" in text


def test_where_a_key_was_used_from_is_masked(person: Callable[..., Visitor], key_of: Callable[..., str]) -> None:
    bob = make_account("bob")
    key_of(bob)
    with transaction():
        key = db.session.scalars(select(ApiKey)).one()
        key.last_used_at, key.last_used_from, key.last_used_by = clock.now(), "198.51.100.77", "gate"
    pages = {name: person(name).get(f"/staff/users/{bob.id}") for name in ("tess", "tara")}
    carl = person("carl", permissions=["credits.write"])
    for page in (*pages.values(), carl.get(f"/admin/users/{bob.id}")):
        assert "by gate, from 198.51.•••" in page.text
        assert "100.77" not in page.html
