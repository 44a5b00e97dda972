"""`doorward account`: help for whoever is shut out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from click.testing import Result

from portal.core import clock
from portal.core.database import db, transaction
from portal.core.errors import LimitReached
from portal.signin import throttle
from tests.people import make_account
from tests.signin.phones import account_of, make_enrolled
from tests.visitor import Visitor

if TYPE_CHECKING:
    from portal.web.frame import Doorward

Doorwards = Callable[..., Result]


def test_a_reset_link_is_printed_also_where_mail_leaves(app: Doorward, doorward: Doorwards, visitor: Visitor) -> None:
    make_enrolled("ada")
    db.session.remove()
    done = doorward("account", "reset-link", "ADA@example.org", SMTP_URL="smtp://localhost:1")
    assert done.exit_code == 0, done.output
    path = "/reset/" + done.stdout.strip().rpartition("/reset/")[2]
    page = visitor.send(visitor.get(path), {"password": "a whole new sentence", "again": "a whole new sentence"})
    assert page.path == "/sign-in"
    assert visitor.sign_in("ada", "a whole new sentence").path == "/sign-in/factor", "the factor is still owed"


def test_factors_are_reset(app: Doorward, doorward: Doorwards) -> None:
    make_enrolled("ada")
    db.session.remove()
    assert doorward("account", "reset-factor", "ada").stdout == "ada has no second factor any more\n"
    assert not account_of("ada").has_factor
    again = doorward("account", "reset-factor", "ada")
    assert again.exit_code == 1
    assert again.stderr == "doorward: This account has no second factor.\n"


def test_a_lock_and_failures_are_lifted(app: Doorward, doorward: Doorwards, visitor: Visitor) -> None:
    make_account("alice", locked_at=clock.now())
    counter = throttle.counter_of("name", "alice")
    with transaction():
        for _ in range(20):
            throttle.count_failure(counter)
    with pytest.raises(LimitReached):
        throttle.check_throttle(counter)
    db.session.remove()
    assert doorward("account", "unlock", "alice").stdout == "alice may try again\n"
    assert account_of("alice").locked_at is None
    assert visitor.sign_in("alice").path == "/account"


def test_deleted_accounts_are_not_there(app: Doorward, doorward: Doorwards) -> None:
    make_account("alice", state="deleted")
    db.session.remove()
    for words in ("reset-link", "reset-factor", "unlock"):
        done = doorward("account", words, "alice")
        assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (1, "", 1), words
