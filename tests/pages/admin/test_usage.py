"""/admin/usage: what everybody used, what one user used, why a call was refused, giving lost units back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from portal.core import clock
from portal.core.ids import new_id
from portal.jobs.runner import run_job
from portal.usage.history import standing
from tests.conftest import Machine
from tests.people import actor_named, make_account
from tests.usage.test_refusal_reading import keep_refusal
from tests.visitor import Visitor

Person = Callable[..., Visitor]


def test_the_overview_is_what_the_job_counted(
    person: Person, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    ada, bob = person("ada"), make_account("bob")
    assert "Not counted yet" in ada.get("/admin/usage").text
    assert ada.get("/admin/usage/days.json").response.get_json()["x"] == []
    machine().post("/keys/verify", {"key": key_of(bob, "laptop"), "model": "m-1", "cost": {"conversations": 3}})
    assert "laptop" not in ada.get("/admin/usage").text
    run_job("count_usage", by_hand=True)
    page = ada.get("/admin/usage")
    for words in ("laptop", "m-1", "100 %", "bob", "Counted"):
        assert words in page.text
    assert page.links().count(f"/admin/usage/{bob.id}") == 2
    drawn = ada.get("/admin/usage/days.json").response.get_json()
    assert (len(drawn["x"]), sum(drawn["series"][0]["values"])) == (30, 3)


def test_a_users_page_has_all_panels_and_leaves_an_entry(person: Person) -> None:
    ada, bob = person("ada"), make_account("bob", email="bob@canary.example")
    found = keep_refusal(bob)
    page = ada.get(f"/admin/usage/{bob.id}")
    for words in ("Usage of Bob", "The last 12 months", "The daily limit is reached", "No credits so far"):
        assert words in page.text
    told = ada.get(f"/admin/usage/{bob.id}/refusals/{found}")
    assert "203.0.113.7" in told.text
    assert "The daily limit is reached" in ada.get(f"/admin/usage/{bob.id}/refusals").text
    assert len(ada.get(f"/admin/usage/{bob.id}/months.json").response.get_json()["x"]) == 12
    assert ada.get(f"/admin/audit?event=record.viewed&target={bob.id}").text.count("record.viewed") >= 3


def test_a_decision_id_opens_its_refusal(
    person: Person, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    ada, bob = person("ada"), make_account("bob")
    found = keep_refusal(bob)
    asked = ada.get("/admin/usage", query_string={"q": str(found)})
    assert asked.path == f"/admin/usage/{bob.id}/refusals/{found}"
    allowed = machine().post("/keys/verify", {"key": key_of(bob)}).get_json()["decision_id"]
    assert "This call was allowed" in ada.get("/admin/usage", query_string={"q": allowed}).text
    assert "No refusal has this" in ada.get("/admin/usage", query_string={"q": str(new_id())}).text


def test_a_refusal_under_another_users_address_is_not_there(person: Person) -> None:
    ada, bob, carol = person("ada"), make_account("bob"), make_account("carol")
    found = keep_refusal(bob)
    for door in ("/admin/usage", "/staff/users"):
        visitor = ada if door == "/admin/usage" else person("tess")
        assert visitor.get(f"{door}/{carol.id}/refusals/{found}").status == 404
        assert visitor.get(f"{door}/{bob.id}/refusals/{new_id()}").status == 404
        assert visitor.get(f"{door}/{bob.id}/refusals/{found}").status == 200


@pytest.fixture
def lost(machine: Callable[..., Machine]) -> str:
    """Bob's lease of ten conversations, of which four were reported before the client died."""
    bob = make_account("bob")
    gate = machine("usage:lease", name="gate")
    lease = gate.post("/usage/leases", {"user_id": str(bob.id), "conversations": 10, "ttl_s": 5}).get_json()
    gate.post(f"/usage/leases/{lease['lease_id']}/settle", {"used": {"conversations": 4}, "final": False})
    clock.shift(clock.offset() + timedelta(seconds=60))
    return str(lease["lease_id"])


def used_today() -> int:
    """How many conversations count as used by Bob."""
    bob = actor_named("bob")
    assert bob.id is not None
    return standing(bob, bob.id).used


def test_what_a_lost_lease_never_reported_is_given_back_once(person: Person, lost: str) -> None:
    ada, bob = person("ada"), actor_named("bob")
    address = f"/admin/usage/{bob.id}"
    page = ada.get(address)
    lease = next(row for row in page.tree.iter("tr") if "gate" in "".join(row.itertext()))
    assert [" ".join("".join(cell.itertext()).split()) for cell in lease][1:4] == ["10", "4", "6"]
    assert used_today() == 10
    refund = f"{address}/leases/{lost}/refund"
    wrong = ada.send(page, {"reason": ""}, to=refund)
    assert (wrong.status, "Say why." in wrong.text) == (422, True)
    done = ada.send(page, {"reason": "the client died"}, to=refund)
    assert "6 conversations were given back." in done.text
    assert "Given back" in done.text
    assert used_today() == 4
    again = ada.send(page, {"reason": "once more"}, to=refund)
    assert (again.status, "refunded already" in again.text) == (422, True)
    assert used_today() == 4


def test_who_may_not_write_credits_sees_the_lease_and_no_button(person: Person, lost: str) -> None:
    amy, bob = person("amy", permissions=["users.read"]), actor_named("bob")
    page = amy.get(f"/admin/usage/{bob.id}")
    assert "Counted as used" in page.text
    assert {form.get("action") for form in page.forms()} == {"/theme", "/sign-out"}
    refused = amy.post(f"/admin/usage/{bob.id}/leases/{lost}/refund", {"reason": "please"})
    assert refused.status in {400, 403}
    assert used_today() == 10


def test_owner_and_desk_see_the_lost_lease(person: Person, browser: Callable[[str], Visitor], lost: str) -> None:
    bob = actor_named("bob")
    for page in (browser("bob").get("/account/usage"), person("tess").get(f"/staff/users/{bob.id}/usage")):
        assert "Lost leases" in page.text
        assert "Counted as used" in page.text
