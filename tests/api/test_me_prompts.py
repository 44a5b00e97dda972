"""/api/v1/me/prompts: one's own, by the same code as those of a user; nobody else's."""

from __future__ import annotations

from collections.abc import Callable

from portal.core.ids import new_id
from tests.conftest import Machine

SAID = {"title": "Greeting", "content": "Say hello"}


def test_alice_keeps_finds_changes_and_drops_and_bob_sees_nothing(
    caller: Callable[..., Machine], machine: Callable[..., Machine]
) -> None:
    alice, bob = caller("alice"), caller("bob")
    named = {"Idempotency-Key": "once"}
    made, again = (alice.post("/me/prompts", SAID, headers=named) for _ in range(2))
    assert (made.status_code, made.headers["ETag"]) == (201, '"1"')
    assert (again.get_json(), again.headers["Idempotent-Replayed"]) == (made.get_json(), "true")
    kept = made.get_json()
    one = f"/me/prompts/{kept['id']}"
    assert alice.get("/me/prompts?q=hello").get_json() == {"items": [kept], "next_cursor": None}
    assert alice.get("/me/prompts?q=nothing").get_json()["items"] == []
    changed = alice.patch(one, {"response": "Hello!"}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["ETag"], alice.get(one).headers["ETag"]) == (200, '"2"', '"2"')
    assert alice.patch(one, {"title": "x"}, headers={"If-Match": '"1"'}).status_code == 412
    wrong = alice.post("/me/prompts", SAID | {"colour": "red"})
    assert (wrong.status_code, wrong.get_json()["errors"][0]["pointer"]) == (422, "/colour")
    theirs = [bob.get(one), bob.patch(one, {"title": "x"}), bob.delete(one)]
    assert {answer.status_code for answer in theirs} == {404}
    assert bob.get("/me/prompts").get_json()["items"] == []
    assert bob.get(f"/users/{new_id()}/prompts").status_code == 403
    assert caller("tess").get("/me/prompts").status_code == 403
    assert machine("prompts:read", "prompts:write").get("/me/prompts").status_code == 403
    assert alice.delete(one, headers={"If-Match": '"2"'}).status_code == 204
    assert alice.get(one).status_code == 404
