"""/admin/plans."""

from __future__ import annotations

from collections.abc import Callable

from tests.visitor import Visitor

Person = Callable[..., Visitor]
Browser = Callable[[str], Visitor]
NEW = "/admin/plans/new"


def test_a_new_plan_stands_in_the_list_and_can_be_given(person: Person) -> None:
    ada = person("ada")
    listed = ada.send(ada.get(NEW), {"name": "trial", "daily_limit": "1500", "key_count": "1"})
    assert listed.path == "/admin/plans"
    assert "trial" in listed.text
    assert "1,500" in listed.text


NUMBERS = ["-1", "1.5", "1000001", str(2**53), str(2**63), "1e308", "abc", "1_000", "٣"]
NUMBERED = ["daily_limit", "rate_per_minute", "credits_per_month", "key_count", "retention_days"]
WRONG = [
    {"name": "free"}, {"name": "Not This"}, {"name": ""}, {"key_count": ""}, {"credits_per_month": ""},
    *({field: number} for field in NUMBERED for number in NUMBERS),
    *({"prices": f"m-0 = 1\nm-1 = {price}"} for price in [*NUMBERS, ""]),
    {"prices": "no price"}, {"prices": "m = 1\nM = 2"}, {"prices": "= 5"}, {"prices": "x" * 30_000},
]  # fmt: skip


def test_nonsense_is_told_beside_its_field(person: Person) -> None:
    ada = person("ada")
    blank = ada.get(NEW)
    for wrong in WRONG:
        page = ada.send(blank, {"name": "trial", **wrong})
        assert page.status == 422, wrong
        assert page.code(f"{next(iter(wrong))}-error"), wrong
        assert page.code("name") == {"name": "trial", **wrong}["name"]
    assert "trial" not in ada.get("/admin/plans").text


def test_a_plan_changed_meanwhile_is_told_and_not_overwritten(person: Person, browser: Browser) -> None:
    ada = person("ada")
    address = next(link for link in ada.get("/admin/plans").links() if link.startswith("/admin/plans/") and link != NEW)
    other = browser("ada")
    old = ada.get(address)
    assert other.send(other.get(address), {"daily_limit": "7"}).path == "/admin/plans"
    told = ada.send(old, {"daily_limit": "9"})
    assert told.status == 422
    assert "Someone else changed this plan" in told.text
    assert ada.get(address).code("daily_limit") == "7"


def address_of(visitor: Visitor, name: str) -> str:
    """Where the plan of this name is changed."""
    for link in visitor.get("/admin/plans").tree.iter("a"):
        if "".join(link.itertext()).strip() == name:
            return link.get("href") or ""
    raise AssertionError(f"no plan {name}")


def test_all_terms_are_kept_shown_and_changed(person: Person) -> None:
    ada = person("ada")
    terms = {"rate_per_minute": "60", "credits_per_month": "1000", "retention_days": "90"}
    ada.send(ada.get(NEW), {"name": "team", **terms, "prices": " M-1 = 5 \n\nm-2=0"})
    listed = ada.get("/admin/plans").text
    assert "60" in listed
    assert "m-1 5 credits" in listed
    page = ada.get(address_of(ada, "team"))
    assert {name: page.code(name) for name in terms} == terms
    assert page.code("prices").splitlines() == ["m-1 = 5", "m-2 = 0"]
    ada.send(page, {"rate_per_minute": "", "prices": ""})
    page = ada.get(address_of(ada, "team"))
    assert (page.code("rate_per_minute"), page.code("prices")) == ("", "")


def test_a_price_that_is_wrong_names_its_line_and_stays_as_typed(person: Person) -> None:
    ada = person("ada")
    page = ada.send(ada.get(NEW), {"name": "team", "daily_limit": "-1", "prices": "m-1 = 5\nm-2 = lots"})
    assert "Line 2" in page.code("prices-error")
    assert page.code("daily_limit-error")
    assert page.code("prices") == "m-1 = 5\nm-2 = lots"


def test_a_plan_nobody_has_is_deleted_and_one_in_use_is_not(person: Person) -> None:
    ada = person("ada")
    ada.send(ada.get(NEW), {"name": "trial"})
    address = address_of(ada, "trial")
    listed = ada.send(ada.get(address), to=f"{address}/delete")
    assert "The plan is deleted." in listed.text
    assert "trial" not in listed.text.replace("The plan is deleted.", "")
    kept = address_of(ada, "free")
    told = ada.send(ada.get(kept), to=f"{kept}/delete")
    assert told.status == 422
    assert "DEFAULT_PLAN" in told.text
    assert address_of(ada, "free")
