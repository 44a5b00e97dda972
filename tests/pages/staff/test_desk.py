"""/staff: who is calling?"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from sqlalchemy import select

from portal.accounts.models import Account
from portal.audit import events
from portal.audit.models import AuditEntry
from portal.audit.record import Target
from portal.audit.record import record as write_entry
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from tests.conftest import Machine
from tests.people import make_account
from tests.usage.test_refusal_reading import keep_refusal
from tests.visitor import Visitor

Person = Callable[..., Visitor]
LEVELS = ["tess", "theo", "tara"]


def found(visitor: Visitor, search: str) -> list[str]:
    """Whom the desk finds: the addresses of their records."""
    page = visitor.get("/staff", query_string={"q": search})
    if page.path != "/staff":
        return [page.path]
    return [link for link in page.links() if link.startswith("/staff/users/")]


@pytest.mark.parametrize("level", LEVELS)
def test_a_user_is_found_by_name_whole_email_key_and_id(level: str, person: Person, key_of: Callable[..., str]) -> None:
    bob = make_account("bobolink", email="bob@canary.example", email_canonical="bob@canary.example")
    make_account("alice")
    key = key_of(bob)
    staff, record = person(level), [f"/staff/users/{bob.id}"]
    for search in ("bobolink", "BOBO", "bob@canary.example", " Bob@Canary.example ", key[:10], key, str(bob.id)):
        assert found(staff, search) == record, search


@pytest.mark.parametrize("level", LEVELS)
def test_a_part_of_an_email_finds_nobody(level: str, person: Person, key_of: Callable[..., str]) -> None:
    key_of(make_account("zoe", email="bob@canary.example", email_canonical="bob@canary.example"))
    staff = person(level)
    for search in ("canary", "bob@", "@canary.example", "bob@canary", "example", "%", "_", "'", '"', "dw_", "\0"):
        assert found(staff, search) == [], search


def test_staff_admins_and_the_deleted_are_not_found(person: Person) -> None:
    make_account("theo")
    make_account("ada")
    make_account("gone", state="deleted")
    tess = person("tess")
    assert [found(tess, name) for name in ("theo", "ada", "gone", "tess")] == [[], [], [], []]


def test_a_list_that_is_cut_says_so(person: Person) -> None:
    tess = person("tess")
    for number in range(19):
        make_account(f"swift{number}")
    assert "19 users found" in tess.get("/staff?q=swift").text
    for number in range(19, 22):
        make_account(f"swift{number}")
    page = tess.get("/staff?q=swift").text
    assert "users found" not in page.replace("Users found", "")
    assert "The first 20 users" in page


def test_a_decision_id_opens_why_the_call_was_refused(
    person: Person, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    bob, tess = make_account("bob"), person("tess")
    decision = keep_refusal(bob)
    page = tess.get("/staff", query_string={"q": f" {decision} "})
    assert page.path == f"/staff/users/{bob.id}/refusals/{decision}"
    allowed = machine().post("/keys/verify", {"key": key_of(bob)}).get_json()["decision_id"]
    assert "This call was allowed" in tess.get("/staff", query_string={"q": allowed}).text
    assert "Nobody found" in tess.get("/staff", query_string={"q": "ok_forged"}).text


def test_typing_suggests_and_leaves_no_trace_and_a_whole_key_is_never_shown_again(
    person: Person, key_of: Callable[..., str]
) -> None:
    make_account("ada")
    birds = [make_account(f"swift{number}") for number in range(10)]
    key, console = key_of(birds[3]), person("ann", permissions=["users.read"])
    for visitor, start, record in ((person("tess"), "/staff", "/staff"), (console, "/admin/search", "/admin")):
        typed = {search: suggested(visitor, start, search) for search in ("swift", "s", "", "\0", key, "swift3", "ada")}
        assert [len(hits) for hits in typed.values()] == [8, 0, 0, 0, 1, 1, 0]
        assert typed[key][0]["url"] == typed["swift3"][0]["url"] == f"{record}/users/{birds[3].id}"
        assert ("swift3@example.org" in typed["swift3"][0]["detail"]) is (visitor is console)
        answer = visitor.client.get(start, query_string={"q": f"key {key}"})
        assert answer.status_code == 302
        assert key not in answer.headers["Location"]
        page = visitor.get(start, query_string={"q": f"key {key}"})
        assert page.path == f"{record}/users/{birds[3].id}"
        assert key not in page.html
    assert console.get("/admin/search", query_string={"q": "swift"}).path == "/admin/users"
    for bird in birds[:2]:  # one request that was about two: both are listed
        done(bird, request_id="01a2004bb1b770418728ce1b4da5c571")
    several = console.get("/admin/search?q=01a2004b-b1b7-7041-8728-ce1b4da5c571")
    assert {f"/admin/users/{bird.id}" for bird in birds[:2]} <= set(several.links())
    assert "by request ID" in several.text
    looks = select(AuditEntry.target_name).where(AuditEntry.event == "record.viewed")
    assert set(db.session.scalars(looks)) == {"swift3"}  # which was opened; searching alone is no look


def done(user: Account, *, request_id: str) -> None:
    """Something that a request did to a user."""
    with transaction():
        who = msgspec.structs.replace(operator_actor(), request_id=request_id)
        write_entry(who, events.PICTURE_REMOVED, Target("user", user.id, user.username))


def suggested(visitor: Visitor, start: str, search: str) -> list[dict[str, str]]:
    """What the box suggests when this has been typed."""
    answer = visitor.client.get(f"{start}/suggestions.json", query_string={"q": search})
    assert answer.status_code == 200
    assert search == "" or len(search) < 50 or search not in answer.get_data(as_text=True)
    hits: list[dict[str, str]] = answer.get_json()["hits"]
    return hits
