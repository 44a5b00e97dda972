"""/account/security/authenticator: an app is set up, replaced and removed through the pages."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
import segno
from sqlalchemy import select
from werkzeug.datastructures import MultiDict

from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.access import RECENT, RECENTLY_PROVEN
from portal.core.database import db
from tests.keys.letters import letters
from tests.people import PASSWORD, make_account
from tests.signin.phones import Phone, account_of, make_enrolled, set_up
from tests.visitor import Visitor

if TYPE_CHECKING:
    from portal.web.frame import Doorward

PLACE = "/account/security/authenticator"
CODES = "/account/security/recovery-codes"


def codes_on(page: object) -> list[str]:
    """The recovery codes that a page shows."""
    return page.code("recovery-codes").split()  # type: ignore[attr-defined,no-any-return]  # a SeenPage


def test_an_app_is_set_up_and_codes_are_shown_once(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    phone, page = set_up(alice)
    assert (page.status, page.title) == (201, "Your recovery codes")
    assert len(codes_on(page)) == 10
    assert page.response.headers["Cache-Control"] == "no-store"
    assert account_of("alice").has_factor
    for place in (PLACE, CODES, "/account/security"):
        seen = alice.get(place)
        assert phone.seed not in seen.html
        assert codes_on(page)[0] not in seen.html
    assert "10 of 10" in alice.get(CODES).text
    assert [letter["to"] for letter in letters("notice")] == ["alice@example.org"]
    events = set(db.session.scalars(select(AuditEntry.event)))
    assert {"factor.authenticator_added", "factor.recovery_codes_made"} <= events


def test_the_picture_is_drawn_here_and_holds_what_the_text_says(
    person: Callable[..., Visitor], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    make = segno.make

    def draw(text: str, **how: str) -> segno.QRCode:
        drawn.append(text)
        return make(text, **how)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(segno, "make", draw)
    page = (alice := person("alice")).send(alice.get(PLACE), to=PLACE)
    image = page.tree.find(".//main//img")
    assert image is not None
    source = image.get("src") or ""
    assert source.startswith("data:image/svg+xml")
    assert "<svg" in unquote(source)
    assert "style=" not in unquote(source)
    assert drawn == [f"otpauth://totp/Doorward:alice?secret={page.code('seed')}&issuer=Doorward"]
    assert len(base64.b32decode(page.code("seed"))) * 8 == 160


def test_looking_changes_nothing_and_each_beginning_is_another_seed(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    alice.get(PLACE)
    assert alice.get(f"{PLACE}/confirm").path == PLACE, "nothing was begun"
    first = alice.send(alice.get(PLACE), to=PLACE)
    assert alice.get(f"{PLACE}/confirm").code("seed") == first.code("seed"), "the page may be loaded again"
    second = alice.send(alice.get(PLACE), to=PLACE)
    assert first.code("seed") != second.code("seed")
    assert not account_of("alice").has_factor


def test_a_wrong_code_says_so_and_the_page_stays(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    page = alice.send(alice.get(PLACE), to=PLACE)
    for typed in ("", "000", "ABCDEF"):
        wrong = alice.send(page, {"code": typed})
        assert wrong.status == 422
        assert wrong.code("seed") == page.code("seed")
    assert not account_of("alice").has_factor


def test_five_wrong_codes_end_the_set_up(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    page = alice.send(alice.get(PLACE), to=PLACE)
    answers = [alice.send(page, {"code": "nonsense"}).path for _ in range(5)]
    assert answers == [f"{PLACE}/confirm"] * 4 + ["/account/security"]
    assert alice.get(f"{PLACE}/confirm").path == PLACE


def test_another_browser_does_not_see_what_was_begun(app: Doorward, person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    alice.send(alice.get(PLACE), to=PLACE)
    other = Visitor(app.test_client())
    other.sign_in("alice")
    assert other.get(f"{PLACE}/confirm").path == PLACE


def test_setting_up_ends_the_other_sessions_and_renews_the_own(app: Doorward, person: Callable[..., Visitor]) -> None:
    alice, other = person("alice"), Visitor(app.test_client())
    other.sign_in("alice")
    earlier = alice.client.get_cookie("doorward")
    assert earlier is not None
    set_up(alice)
    assert alice.get("/account").path == "/account"
    assert other.get("/account").path == "/sign-in"
    thief = Visitor(app.test_client())
    thief.client.set_cookie("doorward", earlier.value)
    assert thief.get("/account").path == "/sign-in", "a copy of the cookie of before is dead"


def test_removing_wants_a_fresh_proof_and_ends_the_other_sessions(app: Doorward) -> None:
    phone, _ = make_enrolled("alice")
    clock.shift(timedelta(minutes=2))
    alice, other = Visitor(app.test_client()), Visitor(app.test_client())
    for steps, one in enumerate((alice, other)):
        one.send(one.sign_in("alice"), {"code": phone.code(steps)})
    page = alice.get(PLACE)
    clock.shift(clock.offset() + RECENT + timedelta(seconds=1))
    asked = alice.send(page, to=f"{PLACE}/remove")
    assert asked.path == "/account/reauth"
    assert account_of("alice").has_factor
    proved = alice.send(asked, {"password": PASSWORD, "code": phone.code(2)})
    removed = alice.send(alice.get(PLACE), to=f"{PLACE}/remove")
    assert proved.status == 200
    assert removed.path == "/account/security"
    assert not account_of("alice").has_factor
    assert other.get("/account").path == "/sign-in"
    assert any("was removed" in letter["text"] for letter in letters("notice"))


def test_whoever_has_only_the_password_changes_no_factor(app: Doorward) -> None:
    """A session left open, and the password known: the factor itself is asked for."""
    phone, _ = make_enrolled("alice")
    clock.shift(timedelta(minutes=2))
    thief = Visitor(app.test_client())
    thief.send(thief.sign_in("alice"), {"code": phone.code()})
    clock.shift(clock.offset() + RECENTLY_PROVEN + timedelta(seconds=1))
    thief.prove_again()
    token = thief.get("/account/security").tree.find(".//input[@name='csrf_token']")
    assert token is not None
    for place in (f"{PLACE}/remove", PLACE, CODES):
        asked = thief.post(place, {"csrf_token": token.get("value")}, follow=True)
        assert asked.path == "/account/reauth"
        assert "Code" in asked.text, "the password alone is not enough"
    assert account_of("alice").has_factor


def test_being_asked_meanwhile_who_one_is_loses_nothing(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    page = alice.send(alice.get(PLACE), to=PLACE)
    phone = Phone(page.code("seed"))
    clock.shift(RECENT + timedelta(seconds=1))
    asked = alice.send(page, {"code": phone.code()})
    assert asked.path == "/account/reauth"
    alice.send(asked, {"password": PASSWORD})
    back = alice.get(f"{PLACE}/confirm")
    assert back.code("seed") == phone.seed
    assert alice.send(back, {"code": phone.code()}).status == 201


@pytest.mark.parametrize("setting", [{"require_factor": "staff"}])
def test_the_last_factor_of_staff_cannot_be_removed(app: Doorward) -> None:
    phone, _ = make_enrolled("tess")
    clock.shift(timedelta(minutes=2))
    tess = Visitor(app.test_client())
    tess.send(tess.sign_in("tess"), {"code": phone.code()})
    page = tess.get(PLACE)
    assert "this is your only one" in page.text
    token = page.tree.find(".//input[@name='csrf_token']")
    assert token is not None
    refused = tess.post(f"{PLACE}/remove", {"csrf_token": token.get("value")})
    assert refused.status == 409
    assert "Add another first" in refused.text
    assert account_of("tess").has_factor


def test_codes_are_renewed_and_downloaded(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    _, shown = set_up(alice)
    fields = shown.form_to(f"{CODES}/file").iter("input")
    sent = MultiDict((field.get("name") or "", field.get("value") or "") for field in fields)
    file = alice.client.post(f"{CODES}/file", data=sent)
    assert file.mimetype == "text/plain"
    assert file.headers["Content-Disposition"] == 'attachment; filename="recovery-codes.txt"'
    assert [line for line in file.text.split("\r\n") if line.count("-") == 3] == codes_on(shown)
    fresh = alice.send(alice.get(CODES), to=CODES)
    assert fresh.status == 201
    assert not set(codes_on(fresh)) & set(codes_on(shown))
    assert "10 of 10" in alice.get(CODES).text


@pytest.mark.parametrize("codes", [[], ["<script>"], ["AAAAA-AAAAA-AAAAA-AAAAA"] * 11, ["x" * 5000]])
def test_the_file_holds_codes_and_nothing_else(codes: list[str], person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    _, shown = set_up(alice)
    token = shown.tree.find(".//input[@name='csrf_token']")
    assert token is not None
    answer = alice.client.post(f"{CODES}/file", data={"csrf_token": token.get("value"), "code": codes})
    assert answer.status_code == 400


def test_without_a_factor_there_are_no_codes(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    assert "you have none yet" in alice.get(CODES).text
    assert "Recovery codes" not in alice.get("/account/security").text


def test_a_used_code_is_counted_down(app: Doorward, visitor: Visitor) -> None:
    _, codes = make_enrolled("alice")
    page = visitor.sign_in("alice")
    assert visitor.send(page, {"code": codes[0]}).path == "/account"
    assert "9 of 10" in visitor.get(CODES).text
    assert "9 left" in visitor.get("/account/security").text
    again = Visitor(app.test_client())
    assert again.send(again.sign_in("alice"), {"code": codes[0]}).status == 422


def test_a_completed_reset_opens_no_session_and_skips_no_factor(app: Doorward, visitor: Visitor) -> None:
    phone, _ = make_enrolled("alice")
    make_account("ada")
    visitor.send(visitor.get("/forgotten"), {"name": "alice"})
    link = letters("reset")[0]["values"]["link"]
    path = "/reset/" + link.rpartition("/reset/")[2]
    new = "a whole new sentence"
    done = visitor.send(visitor.get(path), {"password": new, "again": new})
    assert done.path == "/sign-in"
    assert visitor.get("/account").path == "/sign-in"
    page = visitor.sign_in("alice", new)
    assert page.path == "/sign-in/factor"
    assert visitor.get("/account").path == "/sign-in"
    assert visitor.send(page, {"code": phone.code(1)}).path == "/account"
