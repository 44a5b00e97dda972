"""What somebody tries who has the list of routes: other spellings, methods, headers, fields, ids of other kinds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import pytest

from portal.api.describing import description_of
from portal.core.database import transaction
from portal.core.ids import new_id
from portal.support.cases import close_case, find_held_case
from tests.api.callers import account_named, bearer, token_of
from tests.api.matrix import API, BODIES, address_of, api_routes, sent_with, table
from tests.conftest import Machine, machines_of, make_key
from tests.pages.conftest import House, keep_prompt
from tests.pages.test_fields import changed, guarded, hostile
from tests.pages.test_matrix import NOTHING, OVERRIDES, spellings
from tests.people import actor_named, open_case_for

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from portal.web.frame import Doorward

ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
REFUSED = NOTHING | {415}


@ONE_DATABASE
def test_another_spelling_or_method_opens_no_more(app: Doorward, house: House) -> None:
    client = app.test_client(use_cookies=False)
    alice, gate = account_named("alice"), machines_of(app)("status:write", name="gate")
    more = []
    for who, headers in (("nobody", {}), ("alice", bearer(token_of("alice"))), ("gate", gate.headers())):
        for method, route in api_routes(app):
            said = table()[method, route]
            column = "nobody" if who == "gate" else who
            if said["nobody"] != 401 or said[column] not in {401, 403} or route.endswith("/status-checks"):
                continue
            address, _ = address_of(method, route, house, alice)
            tries: list[tuple[str, str, dict[str, str]]] = [(method, other, {}) for other in spellings(address)]
            tries += [(other, address, {}) for other in ("HEAD", "PUT", "TRACE", method.lower())]
            tries.append((method, address, OVERRIDES))
            for how, where, besides in tries:
                sent = sent_with(method, route) if how == method else {}
                answer = client.open(where, method=how, headers={**headers, **besides}, **sent)
                if answer.status_code not in REFUSED:
                    more.append((who, how, where, answer.status_code))
    assert more == []


def shown_to(app: Doorward, **environ: str) -> int:
    """What a look at the status checks is answered with, with this in the WSGI environment."""
    client = app.test_client(use_cookies=False)
    return client.get(f"{API}/status-checks", environ_overrides=environ).status_code


@ONE_DATABASE
def test_a_credential_stands_in_its_header_in_one_way(app: Doorward, machine: Callable[..., Machine]) -> None:
    token = machine(name="every scope").token
    for good in ("Bearer {}", "bearer {}", "Bearer  {}", "Bearer {} "):
        assert shown_to(app, HTTP_AUTHORIZATION=good.format(token)) == 200, good
    for bad in (
        "Bearer{}", "Bearer\t{}", " Bearer {}", "Token {}", "Basic {}", 'Bearer "{}"', "Bearer {},Bearer {}", "{}",
        "Bearer x,Bearer {}", "Bearer {}, x", "Bearer {}\0", "Bearer {}=", "Bearer {}.", "Bearer {}\xa0",
        "Bearer {}\x0b", "Bearer \xe9{}", "Bearer " + "a" * 1_000_000, "",
    ):  # fmt: skip
        assert shown_to(app, HTTP_AUTHORIZATION=bad.format(token, token)) == 401, bad[:40]
    for elsewhere in ("HTTP_X_API_KEY", "HTTP_PROXY_AUTHORIZATION", "HTTP_X_AUTHORIZATION", "HTTP_COOKIE"):
        assert shown_to(app, **{elsewhere: f"Bearer {token}"}) == 401, elsewhere


@ONE_DATABASE
def test_a_version_that_is_not_spelt_as_told_is_another_one(app: Doorward, house: House) -> None:
    gate = machines_of(app)(name="every scope")
    prompt = house["alice's prompt"]
    place = f"/api/v1/users/{house['alice']}/prompts/{prompt}"

    def status(tag: str) -> int:
        answer = gate.client.patch(place, json={}, headers=gate.headers(), environ_overrides={"HTTP_IF_MATCH": tag})
        return answer.status_code

    assert {tag: status(tag) for tag in ('"1"', '"9", "1"', "*", ' "1"\t')} == dict.fromkeys(
        ('"1"', '"9", "1"', "*", ' "1"\t'), 200
    )
    for tag in ('W/"1"', '"1"x', '"1"\0', '"01"', "1", '"1', "", '"*"', '"9", *', '"²"', '"' + "1" * 9000 + '"'):
        assert status(tag) == 412, tag[:20]


@ONE_DATABASE
def test_a_reason_that_cannot_be_kept_gives_no_words(app: Doorward, house: House) -> None:
    gate = machines_of(app)(name="every scope")
    log = house["alice's log"]
    place = f"/api/v1/message-logs/{log}"
    for reason, status in (
        ("x" * 10_000, 422),
        ("a\0b", 422),
        ("caf\xe9", 200),
        ("\xff\xfe", 200),
        ("\xed\xa0\x80", 200),
    ):
        answer = gate.client.get(place, headers=gate.headers(), environ_overrides={"HTTP_X_REASON": reason})
        assert (answer.status_code, "messages" in answer.get_json()) == (status, status == 200), reason[:10]
        assert status == 200 or answer.get_json()["errors"][0]["pointer"] == "/X-Reason"


def test_only_ones_own_open_case_about_this_user_is_grounds(app: Doorward, house: House) -> None:
    alice, bob = account_named("alice"), account_named("bob")
    own, of_bob, of_theo = open_case_for("tara", alice), open_case_for("tara", bob), open_case_for("theo", alice)
    client, headers = app.test_client(use_cookies=False), bearer(token_of("tara"))

    def grant(number: str) -> int:
        """Whether the case is grounds to give Alice a credit."""
        place = f"{API}/users/{alice.id}/credits"
        sent = {"json": {"amount": 1, "reason": "why"}, "environ_overrides": {"HTTP_X_CASE": number}}
        return client.post(place, headers=headers, **sent).status_code

    assert [grant(number) for number in (own, own.lower(), f" {own} ")] == [201, 201, 201]
    for number in (
        of_bob,
        of_theo,
        "",
        "C-",
        "*",
        "%",
        f"{own},{of_bob}",
        f"{own}\0",
        f"{own}' OR '1'='1",
        "\xff",
        "x" * 9000,
    ):
        assert grant(number) in {400, 403}, number[:20]
    with transaction():
        case = find_held_case(actor_named("tara"), alice.id)
        assert case is not None
        close_case(actor_named("tara"), case.id, outcome="Done.")
    assert grant(own) == 403


def bare(answer: TestResponse) -> tuple[int, dict[str, Any]]:
    """An answer without what names this request."""
    told = answer.get_json(silent=True) or {}
    return answer.status_code, {name: told[name] for name in told if name not in {"request_id", "instance"}}


@ONE_DATABASE
def test_ids_of_other_kinds_and_of_others_are_as_unknown_as_made_up_ones(app: Doorward, house: House) -> None:
    """Everybody asks at each route that names somebody or something for ids of every other sort there is."""
    gate = machines_of(app)(name="every scope")
    with_case = {"X-Case": open_case_for("tara", account_named("alice")), "X-Reason": "They called."}
    callers = {name: bearer(token_of(name)) | {"X-Reason": "why"} for name in ("bob", "ada")}
    callers |= {"tara": bearer(token_of("tara")) | with_case, "gate": gate.headers() | {"X-Reason": "why"}}
    client, different = app.test_client(use_cookies=False), []
    for method, route in api_routes(app):
        if "<" not in route:
            continue
        for who, headers in callers.items():
            ask = partial(ask_wrongly, client, headers, method, route, house)
            unknown = ask(new_id())
            for name, other in OTHERS.items():
                if (route.rpartition("<")[2].startswith(f"uuid:{name}_")) or (name == "deleted" and "restore" in route):
                    continue
                said = ask(house[other])
                if said != unknown or said[0] not in {401, 403, 404}:
                    different.append((who, method, route, name, said, unknown))
    assert different == [], "\n".join(map(str, different))


def ask_wrongly(
    client: FlaskClient, headers: dict[str, str], method: str, route: str, house: House, which: UUID | str
) -> tuple[int, dict[str, Any]]:
    """The answer about that id. Of a route with two the first is right, and the last another one."""
    address = wrongly(method, route, house, which)
    return bare(client.open(address, method=method, headers=headers, **sent_with(method, route)))


# A thing of every sort, and of others than Alice.
OTHERS = {
    "staff": "tim", "admin": "max", "deleted": "dora", "client": "client", "key": "bob's key",
    "prompt": "bob's prompt", "session": "bob's session",
}  # fmt: skip


def wrongly(method: str, route: str, house: House, which: UUID | str) -> str:
    """The address of this route with that id in the last place where one stands."""
    parts = address_of(method, route, house, account_named("alice"), fresh=False)[0].split("/")
    parts[[number for number, part in enumerate(route.split("/")) if part.startswith("<")][-1]] = str(which)
    return "/".join(parts)


@ONE_DATABASE
def test_a_list_of_ones_own_shows_no_row_of_another_and_takes_no_cursor_of_theirs(app: Doorward, house: House) -> None:
    """Of every list below /me: what stands in Alice's stands not in Bob's, and her cursor leads him to nothing."""
    who = {name: Machine(app.test_client(use_cookies=False), token_of(name)) for name in ("alice", "bob")}
    for _ in range(2):
        for name in who:
            make_key(account_named(name))
            keep_prompt(account_named(name))
    walked = 0
    for method, route in api_routes(app):
        if method != "GET" or not route.startswith(f"{API}/me/") or "<" in route:
            continue
        path = route.removeprefix(API)
        hers = who["alice"].get(f"{path}?limit=1").get_json()
        if "next_cursor" not in hers:
            continue
        theirs = [who[name].get(f"{path}?limit=200").get_json()["items"] for name in who]
        assert not {str(row) for row in theirs[0]} & {str(row) for row in theirs[1]}, path
        if hers["next_cursor"]:
            answer = who["bob"].get(f"{path}?limit=200&cursor={hers['next_cursor']}")
            items = answer.get_json().get("items", [])
            assert [row for row in items if row not in theirs[1]] == [], path
            walked += 1
    assert walked >= 3


@ONE_DATABASE
def test_no_body_sets_what_the_route_does_not_name(app: Doorward, house: House) -> None:
    """Each field that does harm elsewhere, beside a body that is good: refused by name, and nothing is changed."""
    gate = machines_of(app)(name="every scope").headers()
    who = {"alice": bearer(token_of("alice")), "ada": bearer(token_of("ada")), "client": gate}
    client, before, taken = app.test_client(use_cookies=False), guarded(), []
    for method, route in api_routes(app):
        body = BODIES.get((method, route.removeprefix(API)))
        callers = [name for name in who if table()[method, route][name] < 300]
        if body is None or not callers or route.endswith("/message-logs"):
            continue
        for name, value in hostile(house).items():
            if name in fields_of(app, method, route):
                continue
            address, _ = address_of(method, route, house, account_named("alice"))
            headers = {**who[callers[0]], "X-Reason": "why"}
            answer = client.open(address, method=method, headers=headers, json={**body, name: value})
            pointers = [error["pointer"] for error in answer.get_json().get("errors", ())]
            if (answer.status_code, pointers) != (422, [f"/{name}"]):
                taken.append((method, route, name, answer.status_code, answer.text[:200]))
    assert taken == [], "\n".join(map(str, taken))
    assert changed(before) <= {"accounts", "users", "credit_balances"}


def fields_of(app: Doorward, method: str, route: str) -> set[str]:
    """What the body of a route may hold, by its own description."""
    rule = next(rule for rule in app.url_map.iter_rules() if rule.rule == route and method in (rule.methods or ()))
    described = description_of(app.view_functions[rule.endpoint])
    shape = described.body if described else None
    if not isinstance(shape, type) or not issubclass(shape, msgspec.Struct):
        return {*BODIES[method, route.removeprefix(API)], "user_id"}
    return {field.encode_name for field in msgspec.structs.fields(shape)}
