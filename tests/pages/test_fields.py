"""S050: fields that no form asks for, sent with every form there is, change nothing that the form is not for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from portal.accounts.models import Account, Admin, StaffMember, User
from portal.core.database import db
from portal.core.ids import new_id
from portal.usage.models import CreditBalance, Plan
from tests.conftest import machines_of, signed_in
from tests.pages.conftest import House
from tests.pages.test_access import LEAVING, address_of, routes_of, token_of
from tests.people import open_case_for
from tests.visitor import Visitor, _defaults

if TYPE_CHECKING:
    from portal.web.frame import Doorward

ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NAMES = """
    role roles kind level rank permissions permission capabilities capability is_admin admin is_staff superuser credits
    own_credits plan_credits credit_balance plan plan_id daily_limit daily_limit_override boost_extra boost_until
    next_plan_id state status disabled suspended verified email_verified email_verified_at id uuid account_id user_id
    owner owner_id created_at updated_at epoch version password_hash hash has_factor locked_at closes_at picture_id
    scopes digest search_text username_canonical email_canonical
"""
GUARDED = {
    Account: "id kind state plan_id epoch created_at email_verified_at password_hash has_factor locked_at "
    "username_canonical email_canonical",
    User: "daily_limit_override boost_extra next_plan_id",
    Admin: "permissions",
    StaffMember: "level",
    CreditBalance: "user_id own_credits plan_credits",
    Plan: "id daily_limit credits_per_month rate_per_minute created_at",
}
# What forms are for, as far as it is guarded: the columns that each may change. All others change none of them.
STANDING = {"state", "epoch"}
ADDRESS = {"email_canonical", "email_verified_at", "epoch"}
WRITES: dict[str, set[str]] = {
    "/account/providers/<uuid:identity_id>/unlink": {"epoch"},
    "/admin/admins/<uuid:admin_id>": {"permissions", "epoch"},
    "/admin/deleted/<uuid:user_id>/restore": STANDING | ADDRESS | {"password_hash", "username_canonical"},
    "/admin/factors/<uuid:account_id>": {"epoch"},
    "/admin/staff/<uuid:staff_id>/reactivate": STANDING,
    "/admin/staff/<uuid:staff_id>/suspend": STANDING,
    "/admin/undo/<uuid:entry_id>": STANDING,
    "/staff/undo/<uuid:entry_id>": STANDING,
    "/admin/users/<uuid:user_id>/adjust": {"own_credits"},
    "/admin/users/<uuid:user_id>/credits": {"own_credits"},
    "/admin/users/<uuid:user_id>/plan": {"plan_id"},
    "/admin/users/<uuid:user_id>/boost": {"boost_extra"},
    "/admin/users/<uuid:user_id>/reactivate": STANDING,
    "/admin/users/<uuid:user_id>/suspend": STANDING,
    "/confirm/<token>": {"email_verified_at"},
    "/invitation/<token>": {"email_verified_at", "password_hash", "state"},
    "/keep-email/<token>": ADDRESS | {"locked_at"},
    "/new-email/<token>": ADDRESS,
    "/not-me/<token>": {"locked_at", "epoch"},
    "/reset/<token>": {"password_hash", "epoch"},
}
NUMBERS = {"amount", "credits", "extra", "conversations", "hours", "days", "daily_limit"}


def hostile(house: House) -> dict[str, str]:
    """A value for each name that would do harm if anybody read it."""
    other = {"plan_id": house["plan"], "next_plan_id": house["plan"], "id": new_id(), "account_id": house["ada"]}
    words = {"kind": "admin", "role": "admin", "state": "suspended", "permissions": "admins.manage", "level": "3"}
    return {name: str({**other, **words}.get(name, "1")) for name in NAMES.split()}


def guarded() -> dict[tuple[str, Any], dict[str, Any]]:
    """What stands in the guarded columns of everybody."""
    db.session.expire_all()
    found: dict[tuple[str, Any], dict[str, Any]] = {}
    for model, columns in GUARDED.items():
        table_of: Any = model.__table__
        key = next(iter(table_of.primary_key.columns))
        for row in db.session.execute(select(key, *(table_of.c[name] for name in columns.split()))):
            found[table_of.name, row[0]] = dict(zip(columns.split(), row[1:], strict=True))
    return found


def changed(before: dict[tuple[str, Any], dict[str, Any]]) -> set[str]:
    """Which guarded columns are not what they were; a row that came or went counts by its table's name."""
    after = guarded()
    apart = {name for name, _ in before.keys() ^ after.keys()}
    for row in before.keys() & after.keys():
        apart |= {column for column, value in before[row].items() if after[row][column] != value}
    return apart


def forms_of(visitor: Visitor, app: Doorward, house: House) -> dict[str, dict[str, Any]]:
    """Every form on a page of this person by where it goes, with something in the boxes that are empty."""
    found: dict[str, dict[str, Any]] = {}
    for method, route in routes_of(app):
        if method == "GET" and not route.startswith(("/static", "/sign-in", "/api")):
            page = visitor.get(address_of(route, house), follow=False)
            page.response.close()
            if page.status == 200 and page.response.mimetype == "text/html":
                for form in page.forms():
                    fields = {
                        name: value or ("1" if name in NUMBERS else "because they asked")
                        for name, value in _defaults(form).items()
                    }
                    found.setdefault((form.get("action") or page.path).split("?")[0], fields)
    return found


def written_by(visitor: Visitor, app: Doorward, house: House) -> dict[str, set[str]]:
    """Send every form with all the names besides; answers what was changed by which route."""
    forms, found = forms_of(visitor, app, house), {}
    for method, route in routes_of(app):
        if method == "POST" and (method, route) != LEAVING and not route.startswith(("/sign-in", "/api", "/theme")):
            address, before = address_of(route, house), guarded()
            given = {**hostile(house), **forms.get(address, {}), "csrf_token": token_of(visitor)}
            answer = visitor.client.post(address, data=given)
            assert answer.status_code < 500, route
            if apart := changed(before):
                found[route] = apart
    return found


@ONE_DATABASE
@pytest.mark.parametrize("name", ["alice", "tara", "ada"])
def test_no_form_reads_what_it_does_not_ask_for(name: str, app: Doorward, house: House) -> None:
    if name == "tara":
        open_case_for("tara", db.session.get_one(User, house["bob"]))
    found = written_by(signed_in(app, name), app, house)
    too_much = {route: more for route, names in found.items() if (more := names - WRITES.get(route, set()))}
    assert not too_much, "\n".join(f"{route}: {sorted(names)}" for route, names in too_much.items())
    assert len(found) > 5 or name == "alice"  # or nothing was sent that does anything


@ONE_DATABASE
def test_nor_does_the_api(app: Doorward, house: House) -> None:
    client, before = machines_of(app)(name="every scope"), guarded()
    sent = {"username": "alice", "title": "t", "content": "c", "client_name": "c", "key": "k", "user_id": None}
    for method, route in routes_of(app):
        if method != "GET" and route.startswith("/api/"):
            body = json.dumps({**hostile(house), **sent, "user_id": str(house["alice"])})
            answer = client.client.open(
                address_of(route, house),
                method=method,
                data=body,
                content_type="application/json",
                headers=client.headers(),
            )
            refused = answer.status_code == 202 and answer.get_json()["accepted"] == 0
            good = {400, 401, 404, 422} | ({403} if "/me" in route else set())  # a client has nothing of its own
            good |= {409} if route.endswith("/reactivate") else set()  # which reads no field at all
            assert refused or answer.status_code in good or method == "DELETE", (route, answer.text)
    assert changed(before) == set()
