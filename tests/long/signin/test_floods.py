"""Two instances on one database: sixty-four wrong passwords at once, fifty who register twins, and a stranger's 10,000
guesses, none of which keeps the owner out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import func, select

from benchmarks.knocking import Form
from portal.accounts.models import Account
from portal.core.database import db
from portal.core.settings import Settings
from portal.signin.throttle import MOST
from portal.web.frame import Doorward
from tests.people import PASSWORD, make_account
from tests.races import race
from tests.servers import Server, running_server
from tests.visitor import Visitor

GUESSES, TWINS, EACH = 64, 50, 500
SPELLINGS = ["lena", "LENA", " Lena ", "leNa"]
MAILS = ["lena@b\u00fccher.example", "LENA@XN--BCHER-KVA.example", "\uff4cena@bu\u0308cher.example"]


@pytest.fixture
def instances(app: Doorward, settings: Settings) -> Iterator[list[Server]]:
    """Two servers on the database of this test, with threads for all who come at once."""
    given = {"DATABASE_URL": settings.database_url, "DATA_DIR": str(settings.data_dir), "BCRYPT_COST": "4"}
    with ExitStack() as stack:
        yield [stack.enter_context(running_server({**given, "THREADS": "140"})) for _ in range(2)]


def forms(instances: list[Server], path: str, count: int) -> list[Form]:
    return [Form(instances[number % 2].port, path) for number in range(count)]


def test_of_sixty_four_guesses_at_once_five_are_looked_at(instances: list[Server]) -> None:
    make_account("alice")
    doors = forms(instances, "/sign-in", GUESSES)
    fields = {"name": "alice", "password": "wrong words here"}
    statuses = Counter(race(GUESSES, lambda number: doors[number].send(fields).status))
    for door in doors:
        door.close()
    # After the free ones another is let through each time the wait of a second or two is over.
    assert MOST["name"] <= statuses[422] <= MOST["name"] + 3, statuses
    assert set(statuses) == {422, 429}


@pytest.mark.parametrize("by", ["username", "email"])
def test_of_fifty_twins_at_once_one_gets_the_name(instances: list[Server], by: str) -> None:
    doors = forms(instances, "/register", TWINS)

    def send(number: int) -> int:
        fields = {"username": f"user{number}", "email": f"user{number}@example.org", "password": PASSWORD}
        fields[by] = (SPELLINGS if by == "username" else MAILS)[number % 3]
        return doors[number].send(fields).status

    statuses = Counter(race(TWINS, send))
    for door in doors:
        door.close()
    assert statuses[302] == 1, statuses
    assert set(statuses) <= {302, 422, 429}
    assert db.session.scalar(select(func.count()).select_from(Account)) == 1


def test_ten_thousand_guesses_keep_the_owner_out_of_no_browser_they_know(
    app: Doorward, instances: list[Server]
) -> None:
    make_account("alice")
    owner = Visitor(app.test_client())
    assert owner.sign_in("alice").path == "/account"
    owner.sign_out()
    doors = forms(instances, "/sign-in", 20)
    fields = {"name": "alice", "password": "wrong words here"}
    statuses = Counter(
        status
        for answers in race(20, lambda number: [doors[number].send(fields).status for _ in range(EACH)])
        for status in answers
    )
    for door in doors:
        door.close()
    assert set(statuses) <= {422, 429, 503}  # the last: whoever waited for the writer as long as one waits
    assert statuses[422] < 25
    assert Visitor(app.test_client()).sign_in("alice").status == 429
    assert owner.sign_in("alice").path == "/account"
