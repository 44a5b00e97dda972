"""What an account is: its rank, what it may do, what it is called."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError

from portal.accounts.models import Account
from portal.core import access
from portal.core.database import db
from portal.web.frame import Doorward
from tests.people import make_account

RANKS = {"alice": 10, "tess": 21, "theo": 22, "tara": 23, "max": 40, "ada": 50}


def test_ranks_rise_from_user_to_full_admin(app: Doorward) -> None:
    assert {name: make_account(name).rank for name in RANKS} == RANKS


def test_capabilities_come_from_kind_level_and_permissions(app: Doorward) -> None:
    assert make_account("alice").capabilities == access.USER
    assert make_account("theo").capabilities == access.of_level(2)
    assert make_account("max").capabilities == access.ADMIN
    assert make_account("una", permissions=["plans.write"]).capabilities == access.of_permissions(["plans.write"])
    assert make_account("ada").capabilities >= access.of_permissions(list(access.PERMISSIONS))


def test_a_person_is_called_by_display_name_or_username(app: Doorward) -> None:
    assert make_account("alice", display_name="Alice A.").shown_name == "Alice A."
    assert make_account("bob", display_name="").shown_name == "bob"


@pytest.mark.parametrize("column", ["username_canonical", "email_canonical"])
def test_the_database_itself_keeps_names_single_across_kinds(app: Doorward, column: str) -> None:
    make_account("alice")
    value = "alice" if column.startswith("user") else "alice@example.org"
    with pytest.raises(IntegrityError):
        make_account("tess", **{column: value})
    assert db.session.query(Account).count() == 1


@pytest.mark.parametrize(("name", "wrong"), [("bob", {"state": "asleep"}), ("tess", {"level": 4})])
def test_the_database_refuses_what_cannot_be(app: Doorward, name: str, wrong: dict[str, object]) -> None:
    with pytest.raises(IntegrityError):
        make_account(name, **wrong)
