"""/staff/users/<id>: the masked record, and the entry that each look leaves."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from portal.core.database import transaction
from portal.signin.sessions import begin_session
from tests.people import make_account
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


def test_the_record_offers_no_act(person: Callable[..., Visitor]) -> None:
    bob = make_account("bob")
    page = person("tara").get(f"/staff/users/{bob.id}")
    assert {form.get("action") for form in page.forms()} == {"/theme", "/sign-out"}
