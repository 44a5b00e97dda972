"""/account/sessions: see and end one's browsers."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select

from portal.audit.models import AuditEntry
from portal.core.database import db
from portal.web.frame import Doorward
from tests.people import make_account
from tests.tokens.programs import program_of
from tests.visitor import Visitor

ADDRESS = "/account/sessions"


def test_another_browser_is_signed_out_from_here(browser: Callable[[str], Visitor]) -> None:
    make_account("alice")
    here, there = browser("alice"), browser("alice")
    page = here.get(ADDRESS)
    action = next(form.get("action") or "" for form in page.forms() if (form.get("action") or "").endswith("/end"))
    assert "That browser is signed out" in here.send(page, to=action).text
    assert there.get("/account").path == "/sign-in"
    assert here.get("/account").path == "/account"


def test_a_cookie_kept_from_before_signing_out_is_dead(browser: Callable[[str], Visitor]) -> None:
    make_account("alice")
    alice = browser("alice")
    kept = alice.client.get_cookie("doorward")
    assert kept is not None
    assert alice.sign_out().path == "/"
    alice.client.set_cookie("doorward", kept.value)
    assert alice.get("/account").path == "/sign-in"


def test_programs_stand_beside_browsers_and_end_as_they_do(app: Doorward, browser: Callable[[str], Visitor]) -> None:
    account = make_account("alice")
    make_account("ada")
    here, there = browser("alice"), browser("alice")
    assert "Programs" not in here.get(ADDRESS).text.partition("Last used")[2]
    ledger, clerk, third = (program_of(app, account, device=name)[0] for name in ("Ledger/3.1", "Clerk <b>", ""))
    page = here.get(ADDRESS)
    assert "Ledger/3.1" in page.text
    assert "Clerk <b>" in page.text
    assert "A program that did not say what it is" in page.text
    ends = [form.get("action") or "" for form in page.forms() if "/programs/" in (form.get("action") or "")]
    page = here.send(page, to=ends[-1])
    assert "That program is signed out." in page.text
    assert [one.is_in() for one in (ledger, clerk, third)] == [False, True, True]
    assert ledger.refresh() == "invalid_grant"
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "token.revoked")).one()
    assert (entry.actor_name, entry.target_type) == ("alice", "token_family")
    done = here.send(here.get(ADDRESS), to="/account/sessions/end-others")
    assert "One other browser is signed out." in done.text
    assert "2 programs are signed out." in done.text
    assert not clerk.is_in()
    assert there.get("/account").path == "/sign-in"
    program, _ = program_of(app, account)
    ada = browser("ada")
    page = ada.get(f"/admin/sessions/{account.id}/end")
    assert "1 browser is signed out at once. 1 program is signed out at once." in page.text
    done = ada.send(page, {"reason": "lost laptop"})
    assert "One browser is signed out. One program is signed out." in done.text
    assert not program.is_in()
