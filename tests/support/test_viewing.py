"""Seeing what a user sees: through one's own masks, for a while, changing nothing, and the user is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.accounts.lifecycle import change_level
from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.database import db, transaction
from portal.core.errors import CaseNeeded, Forbidden, Invalid, NotFound
from portal.core.ids import new_id
from portal.signin.sessions import begin_session
from portal.support.cases import close_case
from portal.support.models import SupportCase, Viewing
from portal.support.reveals import reveal
from portal.support.viewed import keys_shown
from portal.support.viewing import ViewingOver, begin_viewing, end_viewing, in_viewing
from portal.usage.credits import list_ledger
from portal.web.frame import Doorward
from portal.web.view_pages import PAGES
from tests.conftest import signed_in
from tests.pages.conftest import keep_passkey, keep_prompt, refuse
from tests.people import acting, actor_named, make_account
from tests.visitor import SeenPage, Visitor

EMAIL = "liddell@wonder.example.org"
# What is the viewer's own of the frame around each page.
FRAME = {"/theme", "/sign-out"}


@pytest.fixture
def alice(app: Doorward, key_of: Callable[..., str]) -> Account:
    """The user who calls, with one of each thing that her pages show."""
    for name in ("tess", "theo", "tara", "ada"):
        make_account(name)
    user = make_account("alice", email=EMAIL, email_canonical=EMAIL, search_text=f"alice {EMAIL}")
    key_of(user)
    refuse(user)
    keep_prompt(user)
    keep_passkey(user)
    with transaction():
        begin_session(user, address="203.0.113.77", device="Firefox/140.0 Linux")
    return user


def test_it_wants_the_right_a_case_and_a_reason(alice: Account) -> None:
    with pytest.raises(Forbidden):
        begin_viewing(acting("tess", alice), alice.id)
    with pytest.raises(CaseNeeded):
        begin_viewing(actor_named("theo"), alice.id)
    with pytest.raises(CaseNeeded):
        begin_viewing(acting("theo", make_account("bob")), alice.id)
    with pytest.raises(Invalid):
        begin_viewing(actor_named("ada"), alice.id)
    for other in (actor_named("tara").id or alice.id, new_id()):
        with pytest.raises(NotFound):
            begin_viewing(actor_named("ada").because("Why not."), other)
    with pytest.raises(ViewingOver):
        in_viewing(acting("theo", alice), alice.id)
    with pytest.raises(NotFound):
        keys_shown(actor_named("ada").because("No viewing."), alice.id)
    assert db.session.scalars(select(Viewing)).all() == []


def test_it_lasts_a_quarter_of_an_hour_and_no_longer_than_the_case(alice: Account) -> None:
    with transaction():
        first = begin_viewing(acting("theo", alice), alice.id)
    assert first.until - first.at == timedelta(minutes=15)
    clock.shift(timedelta(minutes=14))
    assert begin_viewing(acting("theo", alice), alice.id) is first  # nor does asking again make it last
    viewing, who = in_viewing(acting("theo", alice), alice.id)
    assert (viewing.id, who.on_behalf_of, who.reason, who.kind) == (first.id, alice.id, "They called.", "staff")
    with pytest.raises(ViewingOver):
        in_viewing(acting("tara", alice), alice.id)  # it is one person's
    clock.shift(timedelta(minutes=15))
    with pytest.raises(ViewingOver):
        in_viewing(acting("theo", alice), alice.id)
    with transaction():
        begin_viewing(acting("theo", alice), alice.id)
        close_case(actor_named("theo"), case_of("theo").id, outcome="Seen.")
    with pytest.raises(CaseNeeded):
        in_viewing(actor_named("theo"), alice.id)
    with pytest.raises(ViewingOver):
        in_viewing(acting("theo", alice), alice.id)  # in another case


def case_of(name: str) -> SupportCase:
    """The case that this person holds."""
    return db.session.scalars(select(SupportCase).where(SupportCase.holder_id == actor_named(name).id)).one()


def opened(visitor: Visitor, door: str, user: Account) -> str:
    """Begin, as the person does; answers the address of the pages."""
    base = f"/{door}/users/{user.id}/view"
    if door == "staff":
        visitor.send(visitor.get(f"{base}/begin"), {"reason": "They called."})
    page = visitor.send(visitor.get(f"{base}/begin"), {"reason": "They called, and it is odd."})
    assert page.path == base
    return base


def check_acts_nowhere(page: SeenPage, base: str) -> list[str]:
    """The page has no form but the one that ends it; answers where its links lead."""
    forms = {(form.get("action") or "").split("?")[0] for form in page.forms()}
    assert forms == FRAME | {f"{base}/end"}, page.path
    main = next(part for part in page.tree.iter("main"))
    assert not list(main.iter("form")), page.path
    return [link.get("href") or "" for link in main.iter("a")]


@pytest.mark.parametrize(("name", "door"), [("theo", "staff"), ("ada", "admin")])
def test_every_page_shows_and_none_acts(name: str, door: str, alice: Account, app: Doorward) -> None:
    visitor = signed_in(app, name)
    base = opened(visitor, door, alice)
    pages = [base, *(f"{base}/{page}" for page in PAGES), f"{base}/activity?show=looks", f"{base}/keys?show=ended"]
    links: set[str] = set()
    for address in pages:
        page = visitor.get(address)
        assert (page.status, page.path) == (200, address.split("?")[0])
        assert "These are the pages of Alice" in page.text
        links |= set(check_acts_nowhere(page, base))
        if door == "staff":
            for masked in ("liddell", "wonder", "113.77"):
                assert masked not in page.html, address
    assert any(f"{base}/refusals/" in link for link in links)
    before = [dict(row) for row in everything_of(alice)]
    for link in sorted(links):
        answer = visitor.get(link)
        assert answer.status == 200, link
        assert "/account/" not in link, link
    assert [dict(row) for row in everything_of(alice)] == before
    assert visitor.get(f"{base}/nonsense").status == 404


def everything_of(user: Account) -> list[dict[str, object]]:
    """The account's row."""
    db.session.expire_all()
    found = db.session.execute(select(Account.__table__).where(Account.__table__.c.id == user.id)).mappings()
    return [dict(row) for row in found]


def test_once_over_it_offers_to_begin_again_and_the_user_is_told(alice: Account, app: Doorward) -> None:
    theo = signed_in(app, "theo")
    base = opened(theo, "staff", alice)
    for page in ("sessions", "usage", "prompts"):
        theo.get(f"{base}/{page}")
    after = theo.send(theo.get(f"{base}/security"), to=f"{base}/end")
    assert after.path == f"/staff/users/{alice.id}"
    closed = theo.get(f"{base}/sessions")
    assert (closed.status, f"{base}/begin" in closed.links()) == (403, True)
    assert theo.post(f"{base}/end").status == 400  # without the token
    who = actor_named("theo")
    entries = db.session.scalars(select(AuditEntry).where(AuditEntry.on_behalf_of == alice.id)).all()
    events = [entry.event for entry in entries]
    assert events.count("record.view_opened") == events.count("record.view_closed") == 1
    assert events.count("record.viewed") == 6  # five of these pages, and the record in the same case
    for entry in entries:
        assert (entry.actor_id, entry.target_id, entry.on_behalf_of) == (who.id, alice.id, alice.id), entry.event
        assert entry.case is not None
        assert entry.reason
    told = signed_in(app, "alice").get("/account/activity/looks").text
    assert "Theo, support level 2 saw the pages of a user as they do They called, and it is odd." in told
    with transaction():
        begin_viewing(acting("theo", alice), alice.id)
        close_case(actor_named("theo"), case_of("theo").id, outcome="Seen.")
    for _ in range(2):  # without a case too
        with transaction():
            end_viewing(actor_named("theo"), alice.id)
    assert len(db.session.scalars(select(AuditEntry).where(AuditEntry.event == "record.view_closed")).all()) == 2


def test_it_never_gives_more_than_the_viewer_may_by_now(alice: Account, app: Doorward) -> None:
    theo = signed_in(app, "theo")
    base = opened(theo, "staff", alice)
    who = actor_named("theo")
    _, looking = in_viewing(acting("theo", alice), alice.id)
    assert looking.capabilities == who.capabilities  # and not one of the user's
    assert theo.get(f"{base}/keys").status == 200
    with transaction():
        change_level(actor_named("ada"), who.id or alice.id, 1)
    assert theo.get(f"{base}/keys").path == "/sign-in"  # the session of level 2 is over
    assert signed_in(app, "theo").get(f"{base}/keys").status == 403
    for name in ("theo", "tara"):  # the ledger is part of those pages, and of nothing else at the desk
        with pytest.raises((NotFound, Forbidden)):
            list_ledger(actor_named(name), alice.id)


def test_addresses_open_once_revealed_and_words_of_prompts_at_level_three(alice: Account, app: Doorward) -> None:
    with transaction():
        begin_viewing(acting("theo", alice), alice.id)
        begin_viewing(acting("tara", alice), alice.id)
    assert "113.77" not in signed_in(app, "theo").get(f"/staff/users/{alice.id}/view/sessions").text
    with transaction():
        reveal(acting("theo", alice), alice.id, "address")
    assert "203.0.113.77" in signed_in(app, "theo").get(f"/staff/users/{alice.id}/view/sessions").text
    theo, tara = (signed_in(app, name).get(f"/staff/users/{alice.id}/view/prompts") for name in ("theo", "tara"))
    assert "a prompt" in theo.text
    assert "Words" not in theo.text
    assert "Words" in tara.text
    reads = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "conversation.read")).all()
    assert [(one.actor_name, one.facts) for one in reads] == [("tara", {"what": "prompts", "count": 1})]
