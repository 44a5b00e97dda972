"""What was tried to spend more than there is, or to learn or write what one may not: each through the door used."""

from __future__ import annotations

import contextvars
import json
import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any, Literal
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from werkzeug.test import EnvironBuilder, run_wsgi_app

from portal.accounts.models import User
from portal.api.express import ROUTES
from portal.audit.models import AuditEntry
from portal.core import access, clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.settings import Settings
from portal.keys.models import ApiKey
from portal.signin.throttle import count_failure, counter_of
from portal.usage.credits import find_drift, grant_credits
from portal.usage.models import CreditEntry, Lease, Refund, Refusal, UsageDay, UsageDetail
from portal.usage.plan_changes import change_plan
from portal.usage.plans import PlanTerms, create_plan
from portal.usage.rates import forget_rates, release_call, reserve_call
from portal.web.envelope import Envelope
from portal.web.frame import Doorward
from portal.web.logs import set_up_logs
from tests.conftest import Machine
from tests.people import make_account
from tests.races import race
from tests.visitor import Visitor

HANDS = 12


@pytest.fixture
def alice(app: Doorward) -> User:
    """Alice, ten conversations a day, fifty credits."""
    made = make_account("alice", daily_limit_override=10)
    assert isinstance(made, User)
    with transaction():
        grant_credits(operator_actor().because("a test"), made.id, 50)
    return made


def used(user: User) -> int:
    """What the day's counter says, which that of the details must say too."""
    db.session.expire_all()
    day = db.session.scalar(select(func.coalesce(func.sum(UsageDay.used), 0)).where(UsageDay.user_id == user.id)) or 0
    details = select(func.coalesce(func.sum(UsageDetail.used), 0)).where(UsageDetail.user_id == user.id)
    assert db.session.scalar(details) == day
    return int(day)


def credits_of(gate: Machine, user: User) -> int:
    """The credits left, and no drift between balance and ledger."""
    assert find_drift().count == 0
    said = gate.post("/usage/consume", {"user_id": str(user.id), "cost": {"conversations": 0}}).get_json()
    left: int = said["credits"]["remaining"]
    return left


def twin(app: Doorward, gate: Machine) -> Machine:
    """The same client in another thread."""
    return Machine(app.test_client(), gate.token)


def race_posts(app: Doorward, gate: Machine, calls: list[tuple[str, Any, dict[str, str]]]) -> list[tuple[int, Any]]:
    """(path, body, headers) each, all at once."""

    def call(number: int) -> tuple[int, Any]:
        path, body, headers = calls[number]
        answer = twin(app, gate).post(path, body, headers=headers)
        return answer.status_code, answer.get_json()

    return race(len(calls), call)


def test_no_mix_of_doors_gets_more_than_the_day_holds(
    app: Doorward, alice: User, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, key = machine(), key_of(alice)
    one = {"cost": {"conversations": 1, "credits": 3}}
    calls: list[tuple[str, Any, dict[str, str]]] = []
    for _ in range(4):
        calls += [
            ("/keys/verify", {"key": key, **one}, {}),
            ("/keys/verify-many", {"items": [{"key": key, **one}] * 5}, {}),
            ("/usage/consume", {"username": "alice", **one}, {}),
            ("/usage/leases", {"key": key, "conversations": 4, "credits": 9}, {}),
        ]
    spent = taken = 0
    for (path, *_), (status, said) in zip(calls, race_posts(app, gate, calls), strict=True):
        assert status == 200, said
        if path.endswith("leases"):
            spent, taken = spent + said["granted"]["conversations"], taken + said["granted"]["credits"]
        else:
            passed = sum(one["valid"] for one in said.get("items", [said]))
            spent, taken = spent + passed, taken + 3 * passed
    assert spent == used(alice) <= 10
    assert credits_of(gate, alice) == 50 - taken >= 0


def test_a_hundred_times_the_same_key_in_one_call_is_counted_a_hundred_times(
    alice: User, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, key = machine(), key_of(alice)
    said = gate.post("/keys/verify-many", {"items": [{"key": key, "cost": {"credits": 7}}] * 100}).get_json()["items"]
    assert Counter(one["code"] for one in said) == {"VALID": 7, "CREDITS_EXHAUSTED": 93}
    assert (used(alice), credits_of(gate, alice)) == (7, 1)


def test_a_lease_is_settled_once_however_many_report_at_once(
    app: Doorward, alice: User, machine: Callable[..., Machine]
) -> None:
    gate = machine()
    made = gate.post("/usage/leases", {"user_id": str(alice.id), "conversations": 8, "credits": 20}).get_json()
    path = f"/usage/leases/{made['lease_id']}/settle"
    body = {"used": {"conversations": 2, "credits": 5}}
    calls: list[tuple[str, Any, dict[str, str]]]
    calls = [(path, body, {"Idempotency-Key": f"n{n % 3}"}) for n in range(HANDS)]
    calls += [("/usage/refund", {"decision_id": made["lease_id"]}, {})] * 4
    calls += [(path, {"used": {"conversations": n, "credits": n}}, {}) for n in (0, 1, 3)]
    answers = race_posts(app, gate, calls)
    assert {status for status, _ in answers} <= {200, 409, 422}
    lease = db.session.scalars(select(Lease).execution_options(populate_existing=True)).one()
    assert lease.state == "settled"
    assert used(alice) == lease.used_conversations
    assert credits_of(gate, alice) == 50 - lease.used_credits
    assert not db.session.scalars(select(Refund)).all()


def test_a_decision_in_any_spelling_comes_back_once_under_any_key(
    app: Doorward, alice: User, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, key = machine(), key_of(alice)
    decision = gate.post("/keys/verify", {"key": key, "cost": {"conversations": 5, "credits": 5}}).get_json()
    assert gate.post("/keys/verify", {"key": key, "cost": {"conversations": 5, "credits": 5}}).get_json()["valid"]
    told = decision["decision_id"]
    standard = told[3:].replace("-", "+").replace("_", "/")
    spellings = [told, told + "=", told + "==", f" {told}", f"{told}\n", f"ok_{standard}", told[:9] + "\n" + told[9:],
                 told.replace("ok_", "OK_"), told + "A", told[:-1], told[:20] + "!" + told[20:]]  # fmt: skip
    calls: list[tuple[str, Any, dict[str, str]]] = [
        ("/usage/refund", {"decision_id": spelling}, {"Idempotency-Key": f"k{n}"} if n % 2 else {})
        for n, spelling in enumerate(spellings * 2)
    ]
    answers = race_posts(app, gate, calls)
    assert {status for status, _ in answers} <= {200, 404, 409, 422}
    assert (used(alice), credits_of(gate, alice)) == (5, 45)


def test_a_name_for_a_call_is_one_per_caller_route_and_body(
    alice: User, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, other, key = machine(), machine(name="other"), key_of(alice)
    body, named = {"key": key}, {"Idempotency-Key": "n"}
    first = gate.post("/keys/verify", body, headers=named)
    again = gate.post("/keys/verify", body, headers=named)
    assert first.get_json() == again.get_json()
    assert again.headers["Idempotent-Replayed"] == "true"
    spaced = json.dumps(body, indent=1).encode()
    sent = {**named, "Content-Type": "application/json"}
    tries = [
        gate.post("/keys/verify", data=spaced, headers=sent),
        gate.post("/keys/verify-many", {"items": [body]}, headers=named),
        gate.post("/usage/consume", {"username": "alice"}, headers=named),
        gate.post("/usage/leases", {"key": key, "conversations": 1}, headers=named),
        gate.post("/usage/refund", {"decision_id": first.get_json()["decision_id"]}, headers=named),
    ]
    assert {(answer.status_code, answer.get_json()["code"]) for answer in tries} == {(422, "IDEMPOTENCY_MISMATCH")}
    assert used(alice) == 1
    assert "Idempotent-Replayed" not in other.post("/keys/verify", body, headers=named).headers
    assert used(alice) == 2


@pytest.mark.parametrize("name", ["", " ", "a b", "x" * 256, "\u00e9", "a\tb", "\x7f", "\u0660"])
def test_a_name_that_is_none_spends_nothing(
    alice: User, machine: Callable[..., Machine], key_of: Callable[..., str], name: str
) -> None:
    gate, key = machine(), key_of(alice)
    for path, body in (("/keys/verify", {"key": key}), ("/usage/leases", {"key": key, "conversations": 1})):
        sent = {"Idempotency-Key": name.encode().decode("latin-1")}
        assert gate.post(path, body, headers=sent).status_code == 422
    assert used(alice) == 0


@pytest.mark.parametrize("length", ["0" * 5000 + "24", "9" * 5000, "\u00b2", "+24", "-1", "1e2", " "])
def test_a_length_that_is_none_is_no_server_error(app: Doorward, machine: Callable[..., Machine], length: str) -> None:
    """`int` refuses 4,300 digits and more, and what `isdigit` takes for digits."""
    gate, body = machine(), b'{"key": "dw_none", "x": 1}'
    builder = EnvironBuilder("/api/v1/keys/verify", method="POST", headers=list(gate.headers().items()))
    environ = builder.get_environ()
    environ |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": length, "wsgi.input": BytesIO(body)}
    _, status, _ = contextvars.Context().run(run_wsgi_app, app.wsgi_app, environ, True)
    assert 400 <= int(status[:3]) < 500


def test_what_is_asked_of_a_key_is_kept_short_and_shown_as_it_is(
    app: Doorward, alice: User, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, key = machine(), key_of(alice)
    with transaction():
        db.session.scalars(select(ApiKey)).one().scopes = ["chat"]
    for scope in ("x" * 100_000, "a\0b"):
        answer = gate.post("/keys/verify-many", {"items": [{"key": key}, {"key": key, "scopes": ["chat", scope]}]})
        assert (answer.status_code, answer.get_json()["errors"][0]["pointer"]) == (422, "/items/1/scopes/1")
    assert used(alice) == 0
    assert gate.post("/keys/verify", {"key": key, "scopes": ["<em>\u202e"]}).get_json()["code"] == "SCOPE_MISSING"
    refusal = db.session.scalars(select(Refusal)).one()
    assert refusal.last_facts["scopes_missing"] == ["<em>\u202e"]
    seen = Visitor(app.test_client())
    assert seen.sign_in("alice").status == 200
    page = seen.get(f"/account/usage/refusals/{refusal.id}")
    assert (page.status, "<em>" in page.html, "<em>" in page.text) == (200, False, True)


@pytest.mark.parametrize("setting", [{"trusted_proxies": 1}])
def test_a_whole_network_of_addresses_is_one_who_hands_in_keys(app: Doorward) -> None:
    forget_rates()
    client = app.test_client()

    def hand_in(address: str) -> int:
        headers = {"X-Forwarded-For": address}
        return client.post("/api/v1/keys/leaked", json={"key": "dw_none"}, headers=headers).status_code

    assert [hand_in(f"2001:db8:1:2:{n:x}::1") for n in range(31)] == [202] * 30 + [429]
    assert hand_in("2001:db8:1:3::1") == hand_in("203.0.113.7") == 202
    forget_rates()


@pytest.mark.parametrize("setting", [{"trusted_proxies": 1}])
def test_a_whole_network_of_addresses_is_one_who_guesses_passwords(app: Doorward) -> None:
    with transaction():
        for number in range(100):
            count_failure(counter_of("address", f"2001:db8:1:2::{number:x}"))
    seen = Visitor(app.test_client())
    page = seen.get("/sign-in")
    data = {**{f.get("name"): f.get("value") for f in page.form_to("").iter("input")}, "name": "x", "password": "y"}

    def guess(address: str) -> int:
        return seen.client.post("/sign-in", data=data, headers={"X-Forwarded-For": address}).status_code

    assert guess("2001:db8:1:2:ffff::1") == 429
    assert guess("2001:db8:1:3::1") != 429


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_no_secret_in_a_path_gets_into_the_log(
    capsys: pytest.CaptureFixture[str], log_format: Literal["console", "json"]
) -> None:
    secret = "Abc-_123" * 6
    set_up_logs(Settings(log_format=log_format, log_level="info"))
    paths = [f"//reset/{secret}", f"///invitation//{secret}", f"/reset/\n{secret}", f"/api/v1/keys/dw_{secret}",
             f"/dwc_{secret}/x", f"/x=dw_{secret}", f"/a b/dw_{secret}"]  # fmt: skip

    def nothing(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("404 NOT FOUND", [])
        return []

    for path in paths:
        environ = EnvironBuilder().get_environ() | {"PATH_INFO": path}
        run_wsgi_app(Envelope(nothing, Settings()), environ, buffered=True)
    logged = capsys.readouterr().err
    assert len(logged.splitlines()) == len(paths)
    assert not re.search(re.escape(secret[:20]), logged)
    set_up_logs(Settings(log_level="error"))


def test_a_model_in_another_spelling_has_the_same_price(
    alice: User, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    """The table of prices is kept in NFC: a decomposed name found no price there, and cost nothing."""
    gate, key = machine(), key_of(alice)
    with transaction():
        plan = create_plan(operator_actor(), PlanTerms(name="priced", daily_limit=10, prices={"Mod\u00e8le 1": 5}))
        change_plan(operator_actor(), alice.id, plan.id)
    for model in ("mod\u00e8le 1", "MODE\u0300LE 1", "\u00a0mode\u0300le 1 "):
        before = credits_of(gate, alice)
        for path, asked in (("/keys/verify", {"key": key}), ("/usage/consume", {"username": "alice"})):
            assert gate.post(path, {**asked, "model": model}).get_json()["valid"]
        assert credits_of(gate, alice) == before - 10, model


def test_a_refused_call_of_the_last_minute_frees_no_place_in_this_one(app: Doorward) -> None:
    forget_rates()
    user, minute = uuid4(), datetime(2031, 12, 10, 12, 0, tzinfo=UTC)
    last, now = minute - timedelta(milliseconds=1), minute + timedelta(seconds=59)
    assert reserve_call(user, 3, last) is None
    assert [reserve_call(user, 3, now) for _ in range(2)] == [None, None]
    release_call(user, last)
    assert reserve_call(user, 3, now) is None
    assert reserve_call(user, 3, now) is not None
    forget_rates()


def test_a_scope_opens_its_own_routes_only(alice: User, machine: Callable[..., Machine]) -> None:
    routes = {
        "/keys/verify": "keys:verify", "/keys/verify-many": "keys:verify", "/usage/consume": "usage:consume",
        "/usage/refund": "usage:consume", "/usage/leases": "usage:lease",
        f"/usage/leases/{uuid4()}/settle": "usage:lease",
        "/message-logs": "logs:write",
    }  # fmt: skip
    for number, scope in enumerate(sorted(access.SCOPES)):
        gate = machine(scope, name=f"gate {number}")
        for path, needed in routes.items():
            status = gate.post(path, {}).status_code
            assert (status == 403) == (scope != needed), (scope, path, status)
    assert machine(name="whole").client.post("/api/v1/keys/verify", json={}).status_code == 401


def test_no_key_or_token_is_kept_anywhere(
    alice: User, machine: Callable[..., Machine], person: Callable[..., Visitor], key_of: Callable[..., str]
) -> None:
    gate, keys = machine(), [key_of(alice, f"key {n}") for n in range(3)]
    with transaction():
        db.session.scalars(select(ApiKey)).first().scopes = ["chat"]  # type: ignore[union-attr]  # made above
    for key in keys:
        named = {"Idempotency-Key": key[3:9]}
        for path, body in (
            ("/keys/verify", {"key": key, "scopes": ["other"]}),
            ("/keys/verify", {"key": key, "cost": {"credits": 999}}),
            ("/keys/verify-many", {"items": [{"key": key}, {"key": key + "x"}]}),
            ("/usage/leases", {"key": key, "conversations": 2}), ("/keys/verify", {"key": key, "x": key}),
        ):  # fmt: skip
            said = gate.post(path, body, headers={**named, "Idempotency-Key": f"{key[3:9]}{len(json.dumps(body))}"})
            assert key[10:] not in said.text
    bob = person("bob")
    made = bob.send(bob.get("/account/keys/new"), {"name": "mine"}).text
    keys += set(re.findall(r"dw_[A-Za-z0-9_-]{49}", made))
    assert len(keys) == 4
    assert gate.client.post("/api/v1/keys/leaked", json={"key": keys[0]}).status_code == 202
    assert gate.token is not None
    secrets = [secret[10:] for secret in [*keys, gate.token]]
    for table in db.metadata.sorted_tables:
        for row in db.session.execute(select(table)).all():
            told = " ".join(
                value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in row
            )
            assert not any(secret in told for secret in secrets), table.name


def test_users_in_any_order_and_number_neither_block_nor_overspend(
    app: Doorward, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, people = machine(), [make_account(f"user{n}", daily_limit_override=5) for n in range(6)]
    keys = [key_of(one) for one in people]
    with transaction():
        for key in db.session.scalars(select(ApiKey)).all()[::2]:
            key.daily_limit = 4
        for one in people:
            grant_credits(operator_actor().because("a test"), one.id, 20)
    cost = {"cost": {"conversations": 1, "credits": 3}}
    orders = [keys, keys[::-1], keys[::2] + keys[1::2], keys[3:] + keys[:3]] * 3
    calls: list[tuple[str, Any, dict[str, str]]]
    calls = [("/keys/verify-many", {"items": [{"key": key, **cost} for key in order]}, {}) for order in orders]
    answers = race_posts(app, gate, calls)
    assert {status for status, _ in answers} == {200}
    for number, one in enumerate(people):
        limit = 4 if number % 2 == 0 else 5
        assert (used(one), credits_of(gate, one)) == (limit, 20 - 3 * limit)  # type: ignore[arg-type]  # users all


def test_a_key_rotated_and_revoked_at_once_leaves_one_or_none(
    app: Doorward, person: Callable[..., Visitor], machine: Callable[..., Machine]
) -> None:
    gate, alice = machine(), person("alice")
    made = alice.send(alice.get("/account/keys/new"), {"name": "mine"})
    secret = re.findall(r"dw_[A-Za-z0-9_-]{49}", made.text)[0]
    path = f"/account/keys/{db.session.scalars(select(ApiKey)).one().id}"
    token = next(f.get("value") for f in alice.get(path).tree.iter("input") if f.get("name") == "csrf_token")
    cookie = alice.client.get_cookie("doorward")
    assert cookie is not None

    def act(number: int) -> int:
        client = app.test_client()
        client.set_cookie("doorward", cookie.value)
        what = ("revoke", "rotate", "rotate")[number % 3]
        overlap = "0" if number % 2 else "3600"
        return client.post(f"{path}/{what}", data={"csrf_token": token, "overlap_s": overlap}).status_code

    statuses = race(HANDS, act)
    assert statuses.count(201) <= 1, statuses
    assert set(statuses) <= {201, 302, 404, 409, 422}
    assert gate.post("/keys/verify", {"key": secret}).get_json()["code"] == "KEY_REVOKED"
    db.session.expire_all()
    assert len(db.session.scalars(select(ApiKey)).all()) == 1 + statuses.count(201)


def test_nobody_reaches_into_anothers_keys_usage_or_refusals(
    alice: User, machine: Callable[..., Machine], key_of: Callable[..., str], person: Callable[..., Visitor]
) -> None:
    gate, key, bob = machine(), key_of(alice), person("bob")
    refused = gate.post("/keys/verify", {"key": key, "cost": {"conversations": 11}}).get_json()["decision_id"]
    allowed = gate.post("/keys/verify", {"key": key}).get_json()["decision_id"]
    lease = gate.post("/usage/leases", {"key": key, "conversations": 1}).get_json()["lease_id"]
    token = next(
        field.get("value") for field in bob.get("/account").tree.iter("input") if field.get("name") == "csrf_token"
    )
    sent = {"csrf_token": token, "name": "mine", "overlap_s": "0", "expires_at": "never", "version": "1", "reason": "x"}
    key_path = f"/account/keys/{db.session.scalars(select(ApiKey)).one().id}"
    for path in (key_path, f"{key_path}/rotate", f"{key_path}/revoke"):
        assert bob.get(path).status == 404
        assert bob.post(path, sent).status == 404
    for told in (refused, refused.upper(), f"{{{refused}}}", lease):
        assert bob.get(f"/account/usage/refusals/{told}").status == 404
        assert "alice" not in bob.get(f"/account/usage/refusals?q={told}").text
    assert "alice" not in bob.get(f"/account/usage/refusals?q={allowed}").text
    refund = bob.post(f"/admin/usage/{alice.id}/leases/{lease}/refund", sent)
    assert refund.status in {302, 403, 404}
    assert bob.get(f"/admin/usage/{alice.id}", follow=False).status in {302, 403, 404}
    for nonsense in ("%00", "a" * 3000, "ok_" + "A" * 900, "%ff", "'%22<script>"):
        for path in ("refusals?q=", "refusals?cursor=", "ledger?cursor=", "?span=", "?days="):
            assert bob.get(f"/account/usage/{path}{nonsense}".replace("usage/?", "usage?")).status in {200, 400, 404}
    assert db.session.scalars(select(ApiKey)).one().revoked_at is None
    assert used(alice) == 2


def test_of_many_moves_at_once_one_counts_and_wins_no_day(
    app: Doorward, machine: Callable[..., Machine], person: Callable[..., Visitor]
) -> None:
    gate, alice = machine(), person("alice", daily_limit_override=3)
    spend = {"username": "alice", "cost": {"conversations": 3}}
    assert gate.post("/usage/consume", spend).get_json()["valid"]
    page = alice.get("/account/profile").tree
    token = next(field.get("value") for field in page.iter("input") if field.get("name") == "csrf_token")
    cookie = alice.client.get_cookie("doorward")
    assert cookie is not None
    zones = ("Pacific/Kiritimati", "Etc/GMT+12", "Asia/Tokyo", "America/Los_Angeles")

    def move(number: int) -> int:
        client = app.test_client()
        client.set_cookie("doorward", cookie.value)
        data = {"csrf_token": token, "display_name": "Alice", "time_zone": zones[number % 4]}
        return client.post("/account/profile", data=data).status_code

    assert 1 <= race(HANDS, move).count(302) <= HANDS // 4  # moving to where one is changes nothing
    db.session.expire_all()
    assert len(db.session.scalars(select(AuditEntry).where(AuditEntry.event == "account.zone_changed")).all()) == 1
    for zone in (*zones, "../../etc/passwd", "/etc/localtime", "localtime", "UTC\0", "", "posixrules", "a" * 5000):
        sent = {"csrf_token": token, "display_name": "Alice", "time_zone": zone}
        assert alice.post("/account/profile", sent).status in {302, 422}
        assert gate.post("/usage/consume", spend).get_json()["code"] == "DAILY_LIMIT_REACHED", zone


def test_forms_of_keys_take_no_nonsense(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    page = alice.get("/account/keys/new")
    wrong: list[dict[str, Any]] = [
        {"expires_at": "keep"}, {"expires_at": "-1"}, {"expires_at": "99999999999"}, {"last_day": "9999-12-31"},
        {"last_day": "0001-01-01"}, {"last_day": "2031-02-30"}, {"daily_limit": "9" * 5000}, {"daily_limit": "-1"},
        {"daily_limit": "1e400"}, {"daily_limit": "1.5"}, {"networks": "0.0.0.0/-1"}, {"networks": "::/129"},
        {"networks": "10.0.0.1/8"}, {"networks": "1" * 6000}, {"scopes": "<b>"},
        {"scopes": " ".join(f"s{n}" for n in range(30))}, {"name": "\u202ex"}, {"name": "x" * 5000}, {"name": ""},
    ]  # fmt: skip
    for fields in wrong:
        assert alice.send(page, {"name": "mine", **fields}).status == 422, fields
    assert not db.session.scalars(select(ApiKey)).all()


def test_forms_of_limits_and_credits_take_no_nonsense(
    alice: User, person: Callable[..., Visitor], machine: Callable[..., Machine]
) -> None:
    gate, ada, path = machine(), person("ada"), f"/admin/users/{alice.id}"
    token = next(field.get("value") for field in ada.get(path).tree.iter("input") if field.get("name") == "csrf_token")
    amounts = ("0", "-1", "1.5", "1e3", "1000001", "9" * 5000, "\u0663", "1_000", "+", "", "NaN", "0x10")
    for amount in amounts:
        sent = {"csrf_token": token, "credit-amount": amount, "credit-reason": "x"}
        assert ada.post(f"{path}/credits", sent).status == 422, amount
        sent = {"csrf_token": token, "boost-extra": amount, "boost-until": "2099-01-01T00:00", "boost-reason": "x"}
        assert ada.post(f"{path}/boost", sent).status == 422, amount
    for until in ("0001-01-01T00:00", "9999-12-31T23:59", "2026-02-30T00:00", "now", ""):
        sent = {"csrf_token": token, "boost-extra": "5", "boost-until": until, "boost-reason": "x"}
        assert ada.post(f"{path}/boost", sent).status == 422, until
    for amount in ("0", "-51", "-1000001", "1.5", "9" * 5000):
        sent = {"csrf_token": token, "adjust-amount": amount, "adjust-reason": "x"}
        assert ada.post(f"{path}/adjust", sent).status in {409, 422}, amount
    for plan, starts in ((str(uuid4()), "now"), ("x", "now"), ("", ""), (str(uuid4()), "yesterday")):
        assert ada.post(f"{path}/plan", {"csrf_token": token, "plan": plan, "starts": starts}).status == 422
    others = (f"/admin/acts/{alice.id}/{one}" for one in ("boost/end", "plan/take-back"))
    for address in (*(f"{path}/{one}" for one in ("credits", "adjust", "boost", "plan")), *others):
        assert ada.post(address, {"credit-amount": "5", "credit-reason": "x"}).status == 400, address
    assert credits_of(gate, alice) == 50


def test_a_lease_is_given_back_on_its_owners_page_only(
    alice: User, machine: Callable[..., Machine], person: Callable[..., Visitor]
) -> None:
    bob, gate = make_account("bob"), machine()
    lease = gate.post("/usage/leases", {"user_id": str(alice.id), "conversations": 4, "ttl_s": 5}).get_json()[
        "lease_id"
    ]
    clock.shift(timedelta(seconds=11))
    ada = person("ada")
    page = ada.get(f"/admin/users/{alice.id}").tree
    token = next(field.get("value") for field in page.iter("input") if field.get("name") == "csrf_token")
    sent = {"csrf_token": token, "reason": "lost"}
    assert ada.post(f"/admin/usage/{bob.id}/leases/{lease}/refund", sent).status == 404
    assert used(alice) == 4
    assert ada.post(f"/admin/usage/{alice.id}/leases/{lease}/refund", sent).status == 302
    assert used(alice) == 0


def test_a_stranger_holds_no_thread_by_half_a_body(app: Doorward, machine: Callable[..., Machine]) -> None:
    """The body was read before anybody asked who sends it: sixteen who stopped half-way stopped the server."""

    class Waiting:
        """A body that never comes."""

        def read(self, *_: int) -> bytes:
            raise AssertionError("somebody waits for it")

    strangers = {"none": {}, "no client": {"HTTP_AUTHORIZATION": "Bearer dwc_none"},
                 "no right": {"HTTP_AUTHORIZATION": f"Bearer {machine('logs:read').token}"}}  # fmt: skip
    for path in ROUTES:
        for who, sent in strangers.items():
            environ = EnvironBuilder(path, method="POST").get_environ() | sent
            environ |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": "100", "wsgi.input": Waiting()}
            _, status, _ = contextvars.Context().run(run_wsgi_app, app.wsgi_app, environ, True)
            assert status[:3] in {"401", "403"}, who


def test_a_month_that_turns_under_many_is_granted_once(
    app: Doorward, alice: User, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, key = machine(), key_of(alice)
    with transaction():
        small = create_plan(operator_actor(), PlanTerms(name="small", daily_limit=10, credits_per_month=20))
        large = create_plan(operator_actor(), PlanTerms(name="large", daily_limit=10, credits_per_month=30))
        change_plan(operator_actor(), alice.id, small.id)
    cost = {"cost": {"conversations": 0, "credits": 5}}
    decision = gate.post("/keys/verify", {"key": key, **cost}).get_json()["decision_id"]
    clock.shift(timedelta(days=32))
    calls: list[tuple[str, Any, dict[str, str]]] = [
        ("/keys/verify", {"key": key, **cost}, {}), ("/usage/consume", {"username": "alice", **cost}, {}),
        ("/usage/refund", {"decision_id": decision}, {}), ("/usage/leases", {"key": key, "credits": 5}, {}),
    ] * 3  # fmt: skip

    def call(number: int) -> int:
        if number < len(calls):
            path, body, headers = calls[number]
            return twin(app, gate).post(path, body, headers=headers).status_code
        with app.app_context(), transaction():
            change_plan(operator_actor(), alice.id, large.id)
        return 200

    race(len(calls) + 1, lambda number: contextvars.Context().run(call, number))
    entries = db.session.scalars(select(CreditEntry).where(CreditEntry.user_id == alice.id)).all()
    by_kind: Counter[str] = Counter()
    for entry in entries:
        by_kind[entry.kind] += entry.amount
    assert by_kind["spend"] == -5 - 9 * 5
    assert by_kind["refund"] == 0  # of a month that is over
    assert by_kind["expire"] == -15
    assert by_kind["grant"] == 50 + 20 + 30
    assert credits_of(gate, alice) == sum(by_kind.values())
