"""The desk's pages of cases, and the user's: asked, claimed, answered, handed up twice, closed, opened again."""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlalchemy import select

from portal.accounts.models import Account
from portal.core.database import db
from tests.pages.conftest import refuse
from tests.visitor import Visitor

NAUGHTY = "<script>alert(1)</script> {{ 7*7 }} ' \" & \u202e"


def test_a_case_walks_from_the_user_through_the_levels_and_back(person: Callable[..., Visitor]) -> None:
    alice, tess, theo, tara = (person(name) for name in ("alice", "tess", "theo", "tara"))
    user = db.session.scalars(select(Account).where(Account.username == "alice")).one()
    decision = refuse(user)
    # The user asks from where a call was refused.
    refusal = alice.get(f"/account/usage/refusals/{decision}")
    door = next(link for link in refusal.links() if link.startswith("/account/help/new"))
    page = alice.get(door)
    assert str(decision) in page.html
    assert alice.send(page, {"message": " "}).status == 422
    wrong = alice.send(page, {"message": "Why?", "decision": "nonsense"})
    assert (wrong.status, "None of your refused calls" in wrong.text, "Why?" in wrong.text) == (422, True, True)
    asked = alice.send(page, {"message": NAUGHTY})
    number = asked.path.rpartition("/")[2]
    assert re.fullmatch("C-[0-9A-Z]{6}", number)
    assert f"Your case {number} is open." in asked.text
    assert "It waits for somebody of the support desk" in asked.text
    assert "<script>alert" not in asked.html
    assert "account/help/new?subject=more" in alice.get("/account/usage").html
    assert 'value="more" checked' in " ".join(alice.get("/account/help/new?subject=more").html.split())
    # Tess sees it in the queue, counted in her navigation, and takes it.
    queue = tess.get("/staff/escalations")
    assert number in queue.text
    assert "<script>alert(1)</script> {{ 7*7 }}" in queue.text
    assert [line.get("class") for line in queue.tree.iter("span") if (line.text or "") == "1"].count("count") == 2
    assert "Waiting for somebody" in tess.get("/staff").text
    seen = tess.get(f"/staff/cases/{number}")
    assert f"/staff/users/{user.id}/refusals/{decision}" in seen.links()
    assert "Send the answer" not in seen.text
    refused = tess.send(seen, to=f"/staff/cases/{number}/claim")
    assert "The case is yours." in refused.text
    assert "Theo, level 2" in refused.text
    again = theo.post(f"/staff/cases/{number}/claim", {"csrf_token": _token(theo)}, follow=True)
    assert "Tess has taken this case on." in again.text
    assert "Somebody of the support desk is on it." in alice.get(asked.path).text
    # She answers; a mistake keeps what was typed. She hands it up to a level, Theo to a person.
    page = tess.get(f"/staff/cases/{number}")
    assert tess.send(page, {"message": ""}, to=f"/staff/cases/{number}/answer").status == 422
    assert "Answered." in tess.send(page, {"message": "Which key?"}, to=f"/staff/cases/{number}/answer").text
    told = alice.get(asked.path)
    assert ("Which key?" in told.text, "Tess" in told.text) == (True, False)
    alice.send(told, {"message": "The first one."})
    page = tess.get(f"/staff/cases/{number}")
    missing = tess.send(page, {"to": "level:2", "why": ""}, to=f"/staff/cases/{number}/hand")
    assert (missing.status, "Say what is to be done." in missing.text) == (422, True)
    odd = tess.send(page, {"to": "person:nobody", "why": "x"}, to=f"/staff/cases/{number}/hand")
    assert odd.status == 422
    after = tess.send(page, {"to": "level:2", "why": "Please unlock."}, to=f"/staff/cases/{number}/hand")
    assert "no longer yours" in after.text
    page = theo.get(f"/staff/cases/{number}")
    assert "Please unlock." in page.text
    page = theo.send(page, to=f"/staff/cases/{number}/claim")
    record = theo.get(f"/staff/users/{user.id}")
    assert f"You act in case {number}" in record.text
    assert "Held by Theo" in tess.get(f"/staff/users/{user.id}").text
    to = re.search(r'value="(person:[0-9a-f-]+)"[^>]*>Tara', page.html)
    assert to
    theo.send(page, {"to": to[1], "why": "Credits."}, to=f"/staff/cases/{number}/hand")
    assert "Handed to you" in tara.get("/staff/cases").text
    assert "Yours to do" in tara.get("/staff").text
    assert "waits for somebody else" in theo.get(f"/staff/cases/{number}").text
    # Tara ends it; the user reads what came of it and writes once more, which opens it again.
    page = tara.send(tara.get(f"/staff/cases/{number}"), to=f"/staff/cases/{number}/claim")
    assert tara.send(page, {"outcome": ""}, to=f"/staff/cases/{number}/close").status == 422
    alice.send(alice.get(asked.path), {"message": "Are you there?"})
    early = tara.send(page, {"outcome": "Done."}, to=f"/staff/cases/{number}/close")
    assert (early.status, "read that first" in early.text, "Are you there?" in early.text) == (422, True, True)
    page = tara.get(f"/staff/cases/{number}")
    done = tara.send(page, {"outcome": "Gave you 5 credits."}, to=f"/staff/cases/{number}/close")
    assert (f"Case {number} is closed." in done.text, "Closed by you" in done.text) == (True, True)
    late = tara.send(page, {"outcome": "Twice."}, to=f"/staff/cases/{number}/close")
    assert (late.status, "closed already" in late.text, "Twice." in late.text) == (422, True, True)
    told = alice.get(asked.path)
    assert "Gave you 5 credits." in told.text
    assert "Waiting" in alice.send(told, {"message": "They are not there."}).title
    assert number in tess.get("/staff/escalations?level=3").text
    assert number in alice.get("/account/help").text
    assert alice.get("/account/activity").status == 200


def test_the_sixth_case_is_told_beside_the_form(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    page = alice.get("/account/help/new")
    for _ in range(5):
        assert alice.send(page, {"message": "Help."}).path.startswith("/account/help/C-")
    full = alice.send(page, {"message": "Help me more."})
    assert (full.status, "5 cases of yours are open" in full.text, "Help me more." in full.text) == (429, True, True)


def _token(visitor: Visitor) -> str:
    """A CSRF token of this browser."""
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', visitor.get("/staff/cases").html)
    assert found
    return found[1]
