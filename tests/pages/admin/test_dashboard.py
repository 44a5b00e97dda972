"""/admin: the numbers of the house."""

from __future__ import annotations

from collections.abc import Callable

from tests.conftest import Machine
from tests.people import make_account
from tests.visitor import Visitor


def test_the_dashboard_counts_what_happened(
    person: Callable[..., Visitor],
    machine: Callable[..., Machine],
    key_of: Callable[..., str],
    talk: Callable[..., None],
) -> None:
    bob = make_account("bob")
    machine().post("/keys/verify", {"key": key_of(bob)})
    talk("bob", "Hello?")
    ada = person("ada")
    days = ada.get("/admin/days.json").response.get_json()
    assert len(days["x"]) == 30
    assert [series["values"][-1] for series in days["series"]] == [1, 1]
    assert "bob" in ada.get("/admin").text.lower()


def test_an_admin_without_permissions_sees_counts_and_no_names(person: Callable[..., Visitor]) -> None:
    make_account("bob", display_name="Canary Bird")
    page = person("max").get("/admin")
    assert page.status == 200
    assert "Canary Bird" not in page.html
    assert {link for link in page.links() if link.startswith("/admin/")} == {"/admin/status-checks"}
