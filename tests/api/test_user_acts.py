"""/api/v1/users and plans: an admin's day, the desk with and without a case, clients by scope; masked as on pages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal.accounts.models import Account, OneTimeLink, User
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.actor import nobody
from portal.core.database import db, transaction
from portal.mail.models import OutboxMail
from portal.signin.registration import accept_invitation
from portal.support.record import open_record
from tests.conftest import Machine
from tests.people import actor_named, make_account, open_case_for
from tests.races import race

REASON = {"X-Reason": "Grüße from the desk".encode().decode("latin-1")}
USER_FIELDS = {
    *("id", "kind", "username", "email", "email_verified", "display_name", "state", "plan", "time_zone", "language"),
    *("created_at", "last_seen_at", "version", "daily_limit_override"),
}
Callers = Callable[..., Machine]


@pytest.fixture
def alice(app: object) -> Account:
    """The user all this is about."""
    return make_account("alice")


def refused(answer: TestResponse) -> tuple[int, str, list[str]]:
    """Status, code and what is wrong where."""
    told = answer.get_json()
    assert answer.mimetype == "application/problem+json", answer.text
    return answer.status_code, told["code"], sorted(error["pointer"] for error in told.get("errors", []))


def latest_entry(event: str) -> AuditEntry:
    """The last entry of this event."""
    query = select(AuditEntry).where(AuditEntry.event == event).order_by(AuditEntry.at.desc(), AuditEntry.id.desc())
    found = db.session.scalars(query).first()
    assert found is not None, f"no entry of {event}"
    return found


def test_an_admins_day(caller: Callers, alice: Account) -> None:
    ada = caller("ada")
    place = f"/users/{alice.id}"
    seen = ada.get(place)
    told = seen.get_json()
    assert (seen.status_code, set(told), told["email"]) == (200, USER_FIELDS, "alice@example.org")
    assert latest_entry("record.viewed").actor_name == "ada"
    assert seen.headers["ETag"] == f'"{told["version"]}"'

    # The record, by merge: what is left out stays.
    changed = ada.patch(place, {"display_name": "Alice L.", "daily_limit_override": 7}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.get_json()["display_name"], changed.headers["ETag"]) == (
        200,
        "Alice L.",
        '"2"',
    )
    assert changed.get_json() == {**told, "display_name": "Alice L.", "daily_limit_override": 7, "version": 2}
    assert latest_entry("account.edited").facts == {"changed": ["display_name"]}
    assert refused(ada.patch(place, {"display_name": "late"}, headers={"If-Match": '"1"'}))[:2] == (412, "STALE")
    assert refused(ada.patch(place, {"username": "root"})) == (422, "INVALID", ["/username"])
    assert refused(ada.patch(place, {"email": "no", "display_name": "x"})) == (422, "INVALID", ["/email"])
    assert refused(ada.patch(place, {"daily_limit_override": 10**30}))[0] in {400, 422}
    same = ada.patch(place, {"daily_limit_override": None}).get_json()
    assert (same["daily_limit_override"], same["display_name"]) == (None, "Alice L.")

    # Credits, each once.
    grant = {"kind": "grant", "amount": 250, "reason": "Thanks for the report."}
    made = ada.post(f"{place}/credits", grant, headers={"Idempotency-Key": "once"})
    again = ada.post(f"{place}/credits", grant, headers={"Idempotency-Key": "once"})
    assert (made.status_code, made.get_json()) == (again.status_code, again.get_json())
    entry = made.get_json()
    assert (entry["kind"], entry["amount"], entry["balance"], entry["reason"]) == ("grant", 250, 250, grant["reason"])
    assert entry["actor"] == {"kind": "admin", "name": "ada"}
    taken = ada.post(f"{place}/credits", {"amount": -50}, headers=REASON).get_json()
    assert (taken["kind"], taken["balance"]) == ("adjust", 200)
    assert refused(ada.post(f"{place}/credits", {"amount": -500}, headers=REASON))[:2] == (409, "CONFLICT")
    assert refused(ada.post(f"{place}/credits", {"amount": 5}))[2] == ["/reason"]
    assert refused(ada.post(f"{place}/credits", {"amount": 0, "kind": "grant"}, headers=REASON))[2] == ["/amount"]
    ledger = ada.get(f"{place}/credits", query_string={"limit": "1"}).get_json()
    rest = ada.get(f"{place}/credits", query_string={"cursor": ledger["next_cursor"]}).get_json()
    assert ledger["items"] + rest["items"] == [taken, entry]

    # Another plan, for a reason.
    assert refused(ada.patch(place, {"plan": "plus"})) == (422, "INVALID", ["/X-Reason"])
    assert refused(ada.patch(place, {"plan": "none"}, headers=REASON)) == (422, "INVALID", ["/plan"])
    moved = ada.patch(place, {"plan": "plus", "display_name": "Alice"}, headers=REASON)
    assert (moved.status_code, moved.get_json()["plan"], moved.get_json()["display_name"]) == (200, "plus", "Alice")
    assert latest_entry("account.plan_changed").reason == "Grüße from the desk"
    usage = ada.get(f"{place}/usage", query_string={"days": "7"}).get_json()
    assert (usage["plan"], usage["daily"]["limit"], len(usage["days"]), len(usage["months"])) == ("plus", 1000, 30, 12)
    assert usage["credits"] == {"remaining": 1200}

    # Suspended, felt at once by her own token; and back.
    own = caller("alice")
    assert own.get("/me/credits").get_json()["items"][1:] == [taken, entry], "the plan's credits came last"
    assert own.get("/me/usage").get_json() == usage
    assert refused(own.get(f"/users/{alice.id}"))[:2] == (403, "FORBIDDEN")
    assert refused(ada.post(f"{place}/suspend")) == (422, "INVALID", ["/X-Reason"])
    stopped = ada.post(f"{place}/suspend", headers=REASON)
    assert (stopped.status_code, stopped.get_json()["state"]) == (200, "suspended")
    assert own.get("/me/usage").status_code == 401
    assert refused(ada.post(f"{place}/suspend", headers=REASON))[:2] == (409, "CONFLICT")
    back = ada.post(f"{place}/reactivate", headers=REASON)
    assert (back.status_code, back.get_json()["state"]) == (200, "active")
    assert back.headers["ETag"] != stopped.headers["ETag"]

    # Deleted and restored; that wants a fresh proof.
    stale = {**REASON, "If-Match": stopped.headers["ETag"]}
    assert refused(ada.delete(place, headers=stale))[:2] == (412, "STALE")
    assert refused(ada.delete(place)) == (422, "INVALID", ["/X-Reason"])
    clock.shift(timedelta(minutes=11))
    assert refused(ada.delete(place, headers=REASON))[:2] == (403, "REAUTH_REQUIRED")
    assert refused(ada.post(f"{place}/credits", grant))[:2] == (403, "REAUTH_REQUIRED")
    assert refused(ada.patch(place, {"email": "new@example.org"}))[:2] == (403, "REAUTH_REQUIRED")
    ada = caller("ada")
    assert ada.delete(place, headers=REASON).status_code == 204
    for gone in (ada.get(place), ada.get(f"{place}/usage"), ada.get(f"{place}/credits"), ada.patch(place, {})):
        assert refused(gone)[:2] == (404, "NOT_FOUND")
    assert refused(ada.post(f"{place}/restore"))[2] == ["/X-Reason"]
    restored = ada.post(f"{place}/restore", headers=REASON).get_json()
    assert (restored["username"], restored["email"], restored["state"]) == ("alice", "alice@example.org", "active")
    assert refused(ada.post(f"{place}/restore", headers=REASON))[:2] == (404, "NOT_FOUND")


def test_nobody_acts_on_staff_or_admins_as_on_users(caller: Callers) -> None:
    ada = caller("ada")
    for other in (make_account("tess"), make_account("max")):
        for answer in (
            ada.get(f"/users/{other.id}"),
            ada.patch(f"/users/{other.id}", {"display_name": "x"}),
            ada.post(f"/users/{other.id}/suspend", headers=REASON),
            ada.post(f"/users/{other.id}/credits", {"amount": 5}, headers=REASON),
            ada.delete(f"/users/{other.id}", headers=REASON),
        ):
            assert refused(answer)[:2] == (404, "NOT_FOUND")
    assert refused(caller("max").get("/users"))[:2] == (403, "FORBIDDEN")


def test_who_is_invited_sets_the_password_by_a_link_told_once(caller: Callers, visitor: Any) -> None:
    ada = caller("ada")
    asked = {"username": "grace", "email": "grace@example.org", "plan": "plus", "deliver": "return"}
    first, again = (ada.post("/users", asked, headers={"Idempotency-Key": "grace"}) for _ in range(2))
    made = first.get_json()
    assert (first.status_code, set(made), first.headers["ETag"]) == (201, {*USER_FIELDS, "activation_url"}, '"1"')
    assert (made["state"], made["plan"], made["email_verified"]) == ("invited", "plus", False)
    assert (again.status_code, again.get_json()) == (201, {**made, "activation_url": None})
    assert db.session.scalars(select(OutboxMail)).all() == [], "she gets it from whoever invited her"
    link = made["activation_url"]
    path = link[link.index("/invitation/") :]
    fields = dict.fromkeys(("password", "again"), "eleven loud trumpets 77")
    assert visitor.send(visitor.get(path), fields).status == 200
    user = db.session.scalars(select(User).where(User.username == "grace")).one()
    assert (user.state, user.email_verified_at) == ("active", None), "a link handed over proves no letter box"
    assert refused(ada.post("/users", asked)) == (422, "INVALID", ["/username"])
    assert refused(ada.post("/users", {**asked, "password": "x"})) == (422, "INVALID", ["/password"])
    assert refused(ada.post("/users", {**asked, "plan": "no\0ne"})) == (422, "INVALID", ["/plan"])
    assert refused(ada.post("/users", {"username": "a b", "email": "@"})) == (422, "INVALID", ["/email", "/username"])
    mailed = ada.post("/users", {"username": "hedy", "email": "hedy@example.org"})
    assert mailed.status_code == 201
    assert [mail.template for mail in db.session.scalars(select(OutboxMail))] == ["invitation"]
    assert len(db.session.scalars(select(OneTimeLink).where(OneTimeLink.used_at.is_(None))).all()) == 1


@pytest.mark.parametrize("setting", [{"confirm_email": True}])
def test_where_addresses_are_confirmed_a_link_handed_over_is_followed_by_a_mail(machine: Callers, visitor: Any) -> None:
    made = machine("users:write").post(
        "/users", {"username": "grace", "email": "grace@example.org", "deliver": "return"}
    )
    link = made.get_json()["activation_url"]
    with transaction():
        accept_invitation(nobody(), link.rpartition("/")[2], "eleven loud trumpets 77")
    assert [mail.template for mail in db.session.scalars(select(OutboxMail))] == ["confirm"]
    assert "confirm" in visitor.sign_in("grace", "eleven loud trumpets 77").text.lower()


def test_a_list_is_narrowed_sorted_and_paged(caller: Callers) -> None:
    for name in ("bob", "carol", "dave"):
        make_account(name, state="suspended" if name == "bob" else "active")
    ada = caller("ada")

    def names(**asked: str) -> list[str]:
        answer = ada.get("/users", query_string=asked)
        assert answer.status_code == 200, answer.text
        return [user["username"] for user in answer.get_json()["items"]]

    assert names(sort="username") == ["bob", "carol", "dave"]
    assert names(state="suspended") == ["bob"]
    assert names(plan="free", sort="-username") == ["dave", "carol", "bob"]
    assert names(plan="plus") == []
    assert names(q="aro") == ["carol"]
    assert names(q="dave@example.org") == ["dave"]
    assert names(q="x\0y" + "z" * 5000) == []
    first = ada.get("/users", query_string={"sort": "username", "limit": "2"}).get_json()
    assert names(sort="username", cursor=first["next_cursor"]) == ["dave"]
    assert refused(ada.get("/users", query_string={"cursor": "forged"}))[:2] == (400, "MALFORMED")
    for wrong in ({"sort": "email"}, {"state": "deleted"}, {"plan": "none"}, {"colour": "red"}):
        assert refused(ada.get("/users", query_string=wrong)) == (422, "INVALID", [f"/{next(iter(wrong))}"])


def test_the_desk_sees_masked_and_acts_in_a_case(caller: Callers, alice: Account) -> None:
    place = f"/users/{alice.id}"
    bob = make_account("bob")
    tess, theo, tara = (caller(name) for name in ("tess", "theo", "tara"))
    for name, level in (("tess", tess), ("theo", theo), ("tara", tara)):
        shown = level.get(place).get_json()
        with transaction():
            page = open_record(actor_named(name), alice.id)
        assert shown["email"] == page.email == "a•••@e•••.org"
        assert {field: shown[field] for field in ("username", "display_name", "state")} == {
            "username": page.username,
            "display_name": page.display_name,
            "state": page.state,
        }
        found = level.get("/users", query_string={"q": "alice@example.org"}).get_json()
        assert [(one["username"], one["email"]) for one in found["items"]] == [("alice", page.email)]
        assert level.get("/users", query_string={"q": "example"}).get_json()["items"] == [], "no part of what is masked"
        assert refused(level.get("/users")) == (422, "INVALID", ["/q"])
        assert refused(level.get("/users", query_string={"q": "a", "state": "active"})) == (422, "INVALID", ["/state"])
        usage = level.get(f"{place}/usage")
        assert (usage.status_code, usage.get_json()["username"]) == (200, "alice")

    # Below level 3, with or without a case.
    case = {"X-Case": open_case_for("tess", alice)}
    assert tess.get(place, headers=case).status_code == 200
    assert latest_entry("record.viewed").case == case["X-Case"]
    acts: list[tuple[str, Any]] = [("suspend", None), ("reactivate", None), ("credits", {"amount": 5})]
    for level in (tess, theo):
        for what, body in acts:
            assert refused(level.post(f"{place}/{what}", body, headers=case))[:2] == (403, "FORBIDDEN")
        assert refused(level.patch(place, {"plan": "plus"}, headers=case))[:2] == (403, "FORBIDDEN")
        assert refused(level.delete(place, headers={**case, **REASON}))[:2] == (403, "FORBIDDEN")

    # Level 3: not without a case, not in another's, not in one about somebody else.
    elsewhere = open_case_for("tara", bob)
    for headers in ({}, case, {"X-Case": elsewhere}, {"X-Case": "C-NONE"}):
        for what, body in acts:
            answer = tara.post(f"{place}/{what}", body, headers=headers)
            assert (answer.status_code, answer.get_json()["title"]) == (403, "Open a case first")
        assert tara.patch(place, {"plan": "plus"}, headers=headers).get_json()["title"] == "Open a case first"
    assert refused(tara.get(f"{place}/credits"))[:2] == (403, "FORBIDDEN")
    held = {"X-Case": open_case_for("tara", alice).lower()}
    assert refused(tara.patch(place, {"display_name": "x"}, headers=held))[:2] == (403, "FORBIDDEN")
    made = tara.post(f"{place}/credits", {"amount": 20}, headers=held)
    assert (made.status_code, made.get_json()["reason"]) == (201, "They called.")
    assert refused(tara.post(f"{place}/credits", {"kind": "grant", "amount": 5}, headers=held))[:2] == (
        403,
        "FORBIDDEN",
    )
    assert refused(tara.post(f"{place}/credits", {"amount": 1_000_000}, headers=held))[2] == ["/amount"]
    assert tara.get(f"{place}/credits", headers=held).get_json()["items"] == [made.get_json()]
    assert tara.patch(place, {"plan": "plus"}, headers=held).get_json()["plan"] == "plus"
    stopped = tara.post(f"{place}/suspend", headers={**held, "X-Reason": "Asked for it."}).get_json()
    assert (stopped["state"], stopped["email"]) == ("suspended", "a•••@e•••.org")
    entry = latest_entry("account.suspended")
    assert (entry.case, entry.reason, entry.on_behalf_of) == (held["X-Case"].upper(), "Asked for it.", alice.id)
    assert tara.post(f"{place}/reactivate", headers=held).get_json()["state"] == "active"
    assert caller("ada").delete(place, headers=REASON).status_code == 204
    assert refused(tara.post(f"{place}/restore", headers=held))[:2] == (403, "FORBIDDEN"), "the case went with her"
    held = {"X-Case": open_case_for("tara", alice)}
    assert tara.post(f"{place}/restore", headers=held).get_json()["username"] == "alice"


def test_a_client_does_what_its_scopes_say(machine: Callers, alice: Account) -> None:
    place = f"/users/{alice.id}"
    reads, writes = machine("users:read", name="r"), machine("users:write", name="w")
    plans, credits = machine("plans:read", "plans:write", name="p"), machine("credits:write", name="c")
    ledgers, all_of_it = machine("credits:read", name="l"), machine(name="a")
    asked: list[tuple[str, str, Any, set[int]]] = [
        ("GET", "/users", None, {0}),
        ("GET", place, None, {0}),
        ("GET", f"{place}/usage", None, {0}),
        ("PATCH", place, {"display_name": "A."}, {1}),
        ("PATCH", place, {"plan": "plus"}, {1}),
        ("POST", "/users", {"username": "kay", "email": "kay@example.org"}, {1}),
        ("POST", f"{place}/suspend", None, {1}),
        ("POST", f"{place}/reactivate", None, {1}),
        ("DELETE", place, None, {1}),
        ("POST", f"{place}/restore", None, {1}),
        ("GET", "/plans", None, {2}),
        ("POST", "/plans", {"name": "pro", "daily_limit": None}, {2}),
        ("POST", f"{place}/credits", {"amount": 5}, {3}),
        ("GET", f"{place}/credits", None, {4}),
    ]
    for method, path, body, may in asked:
        for number, client in enumerate((reads, writes, plans, credits, ledgers)):
            answer = client.client.open(
                f"/api/v1{path}", method=method, json=body, headers={**client.headers(), **REASON}
            )
            good = answer.status_code in {200, 201, 204}
            assert good is (number in may), (method, path, number, answer.text)
            assert good or refused(answer)[:2] == (403, "FORBIDDEN")
    assert writes.patch(place, {}).get_json()["email"] == "a•••@e•••.org", "it may write and not read"
    assert reads.get(place).get_json()["email"] == "alice@example.org"
    assert all_of_it.get("/me/usage").status_code == 403
    assert refused(all_of_it.post(f"{place}/suspend")) == (422, "INVALID", ["/X-Reason"])
    entry = latest_entry("account.deleted")
    assert (entry.actor_kind, entry.actor_name, entry.reason) == ("client", "w", "Grüße from the desk")


def test_of_two_who_change_a_record_at_once_one_is_told(caller: Callers, alice: Account) -> None:
    ada = caller("ada")
    plan = ada.post("/plans", {"name": "pro", "daily_limit": 5}).get_json()
    places = [(f"/users/{alice.id}", "display_name", ["A", "B"]), (f"/plans/{plan['id']}", "daily_limit", [6, 7])]
    for place, field, wanted in places:
        version = ada.get(place).headers["ETag"]

        def change(
            number: int, place: str = place, field: str = field, wanted: Any = wanted, version: str = version
        ) -> Any:
            mine = Machine(ada.client.application.test_client(), ada.token)
            answer = mine.patch(place, {field: wanted[number]}, headers={"If-Match": version})
            return answer.status_code, answer.get_json()

        told = race(2, change)
        assert sorted(status for status, _ in told) == [200, 412], told
        (kept,) = (body for status, body in told if status == 200)
        assert ada.get(place).get_json() == kept


def test_plans_are_made_changed_and_removed(caller: Callers, alice: Account) -> None:
    ada = caller("ada")
    asked = {"name": "pro", "daily_limit": None, "prices": {"m-1": 3}}
    made = ada.post("/plans", asked)
    plan = made.get_json()
    assert (made.status_code, made.headers["ETag"]) == (201, '"1"')
    assert {name: plan[name] for name in asked} == asked
    assert (plan["key_count"], plan["credits_per_month"], plan["rate_per_minute"]) == (5, 0, None)
    place = f"/plans/{plan['id']}"
    changed = ada.patch(place, {"daily_limit": 9, "retention_days": 30}, headers={"If-Match": '"1"'})
    assert changed.get_json() == {**plan, "daily_limit": 9, "retention_days": 30, "version": 2}
    assert ada.get(place).headers["ETag"] == changed.headers["ETag"] == '"2"'
    assert refused(ada.patch(place, {"daily_limit": 10}, headers={"If-Match": '"1"'}))[:2] == (412, "STALE")
    assert refused(ada.delete(place, headers={"If-Match": '"1"'}))[:2] == (412, "STALE")
    assert refused(ada.patch(place, {"daily_limit": -1, "key_count": 2_000_000})) == (
        *(422, "INVALID"),
        ["/daily_limit", "/key_count"],
    )
    for wrong, at in (({"name": "free"}, "/name"), ({"name": "P\0"}, "/name"), ({"prices": {"m": -1}}, "/prices")):
        assert refused(ada.patch(place, wrong)) == (422, "INVALID", [at])
    assert refused(ada.post("/plans", asked)) == (422, "INVALID", ["/name"])
    listed = ada.get("/plans", query_string={"limit": "2"}).get_json()
    rest = ada.get("/plans", query_string={"limit": "2", "cursor": listed["next_cursor"]}).get_json()
    assert [one["name"] for one in listed["items"] + rest["items"]] == ["free", "plus", "pro"]
    free = listed["items"][0]
    assert refused(ada.delete(f"/plans/{free['id']}"))[:2] == (409, "CONFLICT")
    assert ada.delete(place, headers={"If-Match": '"2"'}).status_code == 204
    assert refused(ada.get(place))[:2] == (404, "NOT_FOUND")
    assert [one["name"] for one in caller("tara").get("/plans").get_json()["items"]] == ["free", "plus"]
    assert refused(caller("tess").get("/plans"))[:2] == (403, "FORBIDDEN")
