"""Networks of staff and admins: who gets in from where, on every request, and that nobody shuts themselves out."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.actor import Actor
from portal.core.database import db, transaction
from portal.core.errors import Conflict, Forbidden, Invalid, NotFound
from portal.core.ids import new_id
from portal.signin.models import SignInNetwork
from portal.signin.networks import add_network, clear_networks, list_networks, network_allows, remove_network
from portal.web.frame import Doorward
from tests.people import PASSWORD, actor_named, make_account
from tests.races import race
from tests.signin.phones import make_enrolled
from tests.visitor import SeenPage, Visitor

INSIDE, OUTSIDE = "203.0.113.9", "198.51.100.9"
OFFICE = "203.0.113.0/24"


def at(app: Doorward, address: str) -> Visitor:
    """A browser at this address."""
    client = app.test_client()
    client.environ_base["REMOTE_ADDR"] = address
    return Visitor(client)


def move(visitor: Visitor, address: str) -> Visitor:
    """The same browser, carried elsewhere."""
    visitor.client.environ_base["REMOTE_ADDR"] = address
    return visitor


def ada(address: str = INSIDE) -> Actor:
    """Ada, at this address."""
    return msgspec.structs.replace(actor_named("ada"), address=address)


def listed(kind: str, *networks: str) -> None:
    """Put these networks down."""
    with transaction():
        for network in networks:
            row = SignInNetwork(id=new_id(), kind=kind, network=network, note="", created_at=clock.now())
            db.session.add(row)


def is_in(visitor: Visitor) -> bool:
    """Whether the browser is signed in."""
    return visitor.get("/account/profile", follow=False).status == 200


def test_users_may_from_everywhere_and_the_others_until_something_is_put_down(app: Doorward) -> None:
    assert all(network_allows(kind, OUTSIDE) for kind in ("user", "staff", "admin"))
    listed("admin", OFFICE)
    assert network_allows("user", None)
    assert network_allows("staff", OUTSIDE)
    assert network_allows("admin", INSIDE)
    assert not network_allows("admin", OUTSIDE)


@pytest.mark.parametrize(
    ("network", "address", "allowed"),
    [
        (OFFICE, "::ffff:203.0.113.9", True),
        (OFFICE, "::ffff:198.51.100.9", False),
        ("::ffff:203.0.113.0/120", "203.0.113.9", True),
        ("2001:db8:1::/48", "2001:db8:1::5", True),
        ("2001:db8:1::/48", "2001:db8:2::5", False),
        ("2001:db8:1::/48", "203.0.113.9", False),
        ("0.0.0.0/0", "2001:db8::1", False),
        (OFFICE, None, False),
        (OFFICE, "", False),
        (OFFICE, "203.0.113.9, 203.0.113.9", False),
        (OFFICE, "203.0.113", False),
        ("nonsense", "203.0.113.9", False),
        ("203.0.113.0/99", "203.0.113.9", False),
        ("", "203.0.113.9", False),
    ],
)
def test_every_form_of_an_address_is_read_and_nonsense_is_outside(
    app: Doorward, network: str, address: str | None, allowed: bool
) -> None:
    listed("admin", network)
    assert network_allows("admin", address) is allowed


@pytest.mark.parametrize("setting", [{"admin_allowed_networks": [OFFICE], "staff_allowed_networks": ["192.0.2.0/24"]}])
def test_the_settings_hold_alone(app: Doorward) -> None:
    make_account("ada")
    listed("admin", "198.51.100.0/24")
    assert network_allows("admin", INSIDE)
    assert not network_allows("admin", OUTSIDE)
    assert not network_allows("staff", INSIDE)
    with pytest.raises(Conflict, match="ADMIN_ALLOWED_NETWORKS"), transaction():
        add_network(ada(), "admin", "203.0.113.128/25")
    page = at(app, INSIDE)
    page.sign_in("ada")
    assert "ADMIN_ALLOWED_NETWORKS" in page.get("/admin/networks").text


def test_it_is_told_after_the_right_password_only(app: Doorward) -> None:
    make_account("tess")
    listed("staff", OFFICE)
    outside = at(app, OUTSIDE)
    wrong = outside.sign_in("tess", "wrong")
    nobody = outside.sign_in("nobody", "wrong")
    assert "network" not in wrong.text
    assert bare(wrong) == bare(nobody)
    told = outside.sign_in("tess")
    assert told.status == 422
    assert f"may not be used from your network, {OUTSIDE}" in told.text
    assert not is_in(outside)
    assert at(app, INSIDE).sign_in("tess").path == "/staff"
    refused = [row for row in db.session.scalars(select(AuditEntry)) if row.event == "sign_in.failed"]
    assert refused[-1].facts == {"why": "network"}


def bare(page: SeenPage) -> list[str]:
    """The words of a page without what was typed."""
    return [words for words in page.text.split() if words not in {"tess", "nobody"}]


def test_it_is_told_after_the_second_factor_only(app: Doorward) -> None:
    phone, _ = make_enrolled("tess")
    listed("staff", OFFICE)
    outside = at(app, OUTSIDE)
    half_done = outside.sign_in("tess")
    assert half_done.path == "/sign-in/factor"
    assert "network" not in outside.send(half_done, {"code": phone.wrong_code()}).text
    told = outside.send(half_done, {"code": phone.code(1)})
    assert "may not be used from your network" in told.text
    assert not is_in(outside)


def test_a_session_is_good_inside_only_from_the_next_request_on(app: Doorward) -> None:
    make_account("tess")
    tess = at(app, OUTSIDE)
    tess.sign_in("tess")
    assert is_in(tess)
    listed("staff", OFFICE)
    assert not is_in(tess)
    assert tess.get("/staff").path == "/sign-in"
    assert is_in(move(tess, INSIDE))
    assert not is_in(move(tess, OUTSIDE))
    with transaction():
        clear_networks(operator_actor(), "staff")
    assert is_in(tess)


@pytest.mark.parametrize("setting", [{"trusted_proxies": count} for count in range(3)])
def test_forged_headers_change_nothing(app: Doorward, setting: dict[str, int]) -> None:
    make_account("ada")
    listed("admin", OFFICE)
    count = setting["trusted_proxies"]
    hops = ["192.0.2.1"] * (count - 1)
    told = ", ".join([INSIDE, *hops]) if count else ""
    browser = at(app, INSIDE if not count else "192.0.2.2")
    browser.client.environ_base["HTTP_X_FORWARDED_FOR"] = told
    assert browser.sign_in("ada").path == "/admin"
    seen = browser.get("/admin/networks").text
    assert f"We see you as {INSIDE}" in seen
    move(browser, OUTSIDE if not count else "192.0.2.2")
    real = ", ".join([OUTSIDE, *hops]) if count else ""
    for lie in (INSIDE, f"{INSIDE}, {INSIDE}", f"{INSIDE}, {INSIDE}, {INSIDE}", "nonsense"):
        browser.client.environ_base["HTTP_X_FORWARDED_FOR"] = f"{lie}, {real}" if real else lie
        assert not is_in(browser), lie
    browser.client.environ_base["HTTP_X_FORWARDED_FOR"] = real
    for name in ("X_REAL_IP", "FORWARDED", "X_ORIGINAL_URL", "CLIENT_IP", "CF_CONNECTING_IP", "TRUE_CLIENT_IP"):
        browser.client.environ_base[f"HTTP_{name}"] = INSIDE if name != "FORWARDED" else f"for={INSIDE}"
    assert not is_in(browser)
    assert "network" in browser.sign_in("ada").text


def test_the_console_keeps_the_list(app: Doorward) -> None:
    make_account("ada")
    browser = at(app, INSIDE)
    browser.sign_in("ada")
    page = browser.get("/admin/networks")
    assert "From everywhere" in page.text
    added = browser.send(page, {"kind": "staff", "network": "192.0.2.0/24", "note": "the office"})
    assert "192.0.2.0/24 is on the list" in added.text
    assert "the office" in added.text
    again = browser.send(added, {"kind": "staff", "network": "192.0.2.0/24"})
    assert again.status == 422
    for wrong in ("nonsense", "192.0.2.7/24", "", "0.0.0.0/99"):
        assert browser.send(added, {"kind": "staff", "network": wrong}).status == 422
    row = db.session.scalars(select(SignInNetwork)).one()
    gone = browser.send(added, to=f"/admin/networks/{row.id}/remove")
    assert "off the list" in gone.text
    events = [entry.event for entry in db.session.scalars(select(AuditEntry)) if "network" in entry.event]
    assert events == ["network.added", "network.removed"]


def test_nobody_shuts_themselves_out(app: Doorward) -> None:
    make_account("ada")
    browser = at(app, INSIDE)
    browser.sign_in("ada")
    page = browser.get("/admin/networks")
    refused = browser.send(page, {"kind": "admin", "network": "198.51.100.0/24"})
    assert refused.status == 422
    assert f"You would shut yourself out: you come from {INSIDE}" in refused.text
    assert db.session.scalars(select(SignInNetwork)).all() == []
    browser.send(page, {"kind": "admin", "network": OFFICE})
    browser.send(page, {"kind": "admin", "network": "198.51.100.0/24"})
    office, other = db.session.scalars(select(SignInNetwork).order_by(SignInNetwork.created_at)).all()
    shut = browser.send(browser.get("/admin/networks"), to=f"/admin/networks/{office.id}/remove")
    assert shut.status == 409
    assert is_in(browser)
    for row in (other, office):  # the last one opens all
        assert browser.send(browser.get("/admin/networks"), to=f"/admin/networks/{row.id}/remove").status == 200


def test_whoever_cannot_be_seen_puts_nothing_down_for_the_own_kind(app: Doorward) -> None:
    make_account("ada")
    with pytest.raises(Invalid) as refused, transaction():
        add_network(msgspec.structs.replace(ada(), address=None), "admin", OFFICE)
    assert "shut yourself out" in str(refused.value.fields["network"])
    with transaction():
        add_network(ada(OUTSIDE), "staff", OFFICE)  # of others' lists nothing is asked


def test_two_who_take_away_what_holds_them_take_turns(app: Doorward) -> None:
    make_account("ada")
    listed("admin", OFFICE, "203.0.113.9")
    ids = list(db.session.scalars(select(SignInNetwork.id)))
    who = ada()
    with transaction():
        listed_other = SignInNetwork(id=new_id(), kind="admin", network="192.0.2.1", note="", created_at=clock.now())
        db.session.add(listed_other)
    db.session.rollback()

    def remove(number: int) -> bool:
        with app.app_context(), suppress(Conflict, NotFound):
            with transaction():
                remove_network(who, ids[number])
            return True
        return False

    assert sorted(race(2, remove)) == [False, True]
    db.session.expire_all()
    assert network_allows("admin", INSIDE)


def test_only_whoever_manages_settings_may(app: Doorward) -> None:
    make_account("max")
    for act in (
        lambda who: list_networks(who),
        lambda who: add_network(who, "staff", OFFICE),
        lambda who: remove_network(who, new_id()),
        lambda who: clear_networks(who, "staff"),
    ):
        with pytest.raises(Forbidden), transaction():
            act(actor_named("max"))


def test_a_change_wants_a_fresh_proof(app: Doorward) -> None:
    make_account("ada")
    browser = at(app, INSIDE)
    browser.sign_in("ada")
    clock.shift(timedelta(minutes=6))
    page = browser.get("/admin/networks")
    asked = browser.send(page, {"kind": "staff", "network": OFFICE})
    assert asked.path == "/account/reauth"
    assert db.session.scalars(select(SignInNetwork)).all() == []
    browser.send(asked, {"password": PASSWORD})
    page = browser.get("/admin/networks")
    assert browser.send(page, {"kind": "staff", "network": OFFICE}).status == 200


def test_notes_are_one_line(app: Doorward) -> None:
    make_account("ada")
    notes: list[Any] = ["x" * 201, "two\nlines", "\x00"]
    for note in notes:
        with pytest.raises(Invalid), transaction():
            add_network(ada(), "staff", OFFICE, note)


def test_the_list_has_an_end(app: Doorward) -> None:
    make_account("ada")
    listed("staff", *(f"192.0.2.{number}" for number in range(100)))
    with pytest.raises(Invalid) as refused, transaction():
        add_network(ada(), "staff", OFFICE)
    assert "At most 100" in str(refused.value.fields["network"])
