"""The connections of hot statements: committed before the answer, one failing alone, broken ones not kept."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from portal.accounts.models import User
from portal.core import hot
from portal.core.database import db, proved_on, transaction
from portal.core.errors import Unavailable
from portal.core.settings import Settings
from portal.web.frame import Doorward
from tests.people import make_account

MANY = pytest.mark.parametrize("setting", [{"threads": 64, "db_timeout_s": 30}])
ADD = "UPDATE users SET boost_extra = boost_extra + 1"
ADD_TO = {
    name: f"{ADD} WHERE account_id = (SELECT id FROM accounts WHERE username = '{name}')"  # noqa: S608  # two constants
    for name in ("alice", "bob")
}
READ = "SELECT SUM(boost_extra) FROM users"


class Stop(BaseException):
    """What ends a process in the middle of its work."""


@pytest.fixture(autouse=True)
def alice(app: Doorward) -> User:
    """Alice, on whom the statements of these tests count."""
    made = make_account("alice")
    assert isinstance(made, User)
    db.session.remove()
    return made


def count() -> int:
    """How far it was counted, as committed."""
    return int(hot.read(READ, {})[0])


def add(raw: Any) -> int:
    """Count one more."""
    raw.execute(ADD)
    return int(raw.execute(READ).fetchone()[0])


def count_in(raw: Any) -> int:
    """How many were counted, as this connection sees it."""
    return int(raw.execute(READ).fetchone()[0])


def kept() -> list[Any]:
    """The connections that wait for the next use, the writer's among them."""
    held = hot._hot()
    return [*held.free, *([held.writer] if held.writer is not None else [])]


def together(app: Doorward, works: list[Callable[[Any], Any]]) -> list[Any]:
    """What comes of works that all stand in line behind one that is being done; errors as they were raised."""
    inside, go = threading.Event(), threading.Event()

    def hold(raw: Any) -> int:
        inside.set()
        assert go.wait(30)
        return 0

    def write(work: Callable[[Any], Any]) -> Any:
        with app.app_context():
            try:
                return hot.write(work)
            except BaseException as error:
                return error

    with ThreadPoolExecutor(len(works) + 1) as pool:
        first = pool.submit(write, hold)
        assert inside.wait(30)
        others = [pool.submit(write, work) for work in works]
        waiting = hot._hot().waiting
        while db.engine.dialect.name == "sqlite" and len(waiting) < len(works):
            pass
        go.set()
        assert first.result(30) == 0
        return [other.result(30) for other in others]


def test_what_was_written_is_seen_by_the_next_reader() -> None:
    assert [hot.write(add) for _ in range(3)] == [1, 2, 3]
    assert (count(), hot.read_together(lambda raw: raw.execute(READ).fetchone()[0])) == (3, 3)
    assert hot.read("SELECT account_id FROM users WHERE boost_extra > 9", {}) is None


@MANY
def test_those_who_wait_are_committed_and_each_has_its_own_answer(app: Doorward) -> None:
    assert sorted(together(app, [add] * 30)) == list(range(1, 31))
    assert count() == 30


@MANY
def test_one_that_fails_fails_alone(app: Doorward) -> None:
    def fail(raw: Any) -> int:
        raw.execute(ADD)
        raise ValueError("mine")

    made = together(app, [add, fail, add, fail, add])
    assert sorted(one for one in made if isinstance(one, int)) == [1, 2, 3]
    assert [str(one) for one in made if isinstance(one, ValueError)] == ["mine", "mine"]
    assert count() == 3


@MANY
def test_a_process_that_is_stopped_leaves_nothing_half_done(app: Doorward) -> None:
    def stop(raw: Any) -> int:
        raw.execute(ADD)
        raise Stop

    made = together(app, [add, stop])
    assert isinstance(made[1], Stop)
    assert count() == sum(isinstance(one, int) for one in made)
    assert hot.write(add) == count()


def test_whoever_met_a_rival_begins_again_but_not_for_ever() -> None:
    tries: list[int] = []

    def meet(raw: Any) -> int:
        raw.execute(ADD)
        tries.append(1)
        if len(tries) < 4:
            raise hot.Again
        return len(tries)

    assert (hot.write(meet), count()) == (4, 1)

    def always(raw: Any) -> int:
        raw.execute(ADD)
        raise hot.Again

    with pytest.raises(Unavailable) as raised:
        hot.write(always)
    assert (raised.value.retry_after, count()) == (1, 1)


@MANY
def test_two_that_wait_for_each_other_both_end_well(app: Doorward) -> None:
    make_account("bob")
    db.session.remove()
    met = threading.Barrier(2)

    def cross(raw: Any, first: str, second: str, tries: list[int]) -> int:
        tries.append(1)
        for name in (first, second):
            raw.execute(ADD_TO[name])
            if name == first and len(tries) == 1 and db_is_postgres:
                met.wait(10)
        return 1

    db_is_postgres = db.engine.dialect.name == "postgresql"
    made: list[int] = []

    def write(pair: tuple[str, str]) -> None:
        tries: list[int] = []
        with app.app_context():
            made.append(hot.write(lambda raw: cross(raw, *pair, tries)))

    threads = [threading.Thread(target=write, args=(pair,)) for pair in (("alice", "bob"), ("bob", "alice"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (made, count()) == ([1, 1], 4)


def test_a_connection_that_broke_is_not_used_again() -> None:
    hot.write(add)
    before = list(kept())

    def lose(raw: Any) -> None:
        raw.close()
        raise ValueError

    with pytest.raises(ValueError):
        hot.write(lose)
    assert not set(map(id, before)) & set(map(id, kept()))

    broken: list[Any] = []

    def fail(raw: Any) -> None:
        broken.append(raw)
        raise sqlite3.OperationalError("disk I/O error")

    for ask in (hot.read_together, hot.write):
        hot.write(add)
        with pytest.raises(sqlite3.OperationalError):
            ask(fail)
    assert broken
    assert not [held for held in kept() if held.dbapi_connection in broken]
    assert hot.write(add) == 4


def test_a_failure_outside_a_transaction_keeps_the_connection() -> None:
    def fail(_: Any) -> None:
        raise ValueError

    hot.write(add)
    hot.read_together(count_in)
    before = len(kept())
    with pytest.raises(ValueError):
        hot.read_together(fail)
    assert len(kept()) == before >= 1


def test_connections_go_with_the_pool_they_came_from() -> None:
    hot.write(add)
    assert len(kept()) >= 1
    db.engine.dispose()
    assert kept() == []
    assert hot.write(add) == 2


def test_whoever_has_written_already_is_refused_instead_of_waiting_for_itself() -> None:
    with transaction():
        assert hot.write(add) == 1
        db.session.execute(db.text(ADD))
        with pytest.raises(RuntimeError):
            hot.write(add)
    assert hot.write(add) == 3


@pytest.fixture
def held(settings: Settings) -> Iterator[None]:
    """Somebody else writes for long."""
    url = make_url(settings.database_url)
    if url.get_backend_name() != "sqlite":
        yield
        return
    with closing(sqlite3.connect(url.database or "", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.mark.parametrize("setting", [{"db_timeout_s": 1}])
def test_a_file_that_somebody_holds_is_an_error_in_time(app: Doorward, held: None) -> None:
    if db.engine.dialect.name == "sqlite":
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            hot.write(add)
        assert count() == 0
    else:
        assert hot.write(add) == 1


NAME = "SELECT boost_extra FROM users"
ADD_AT_ONCE = f"{ADD} WHERE {hot.RELIED} RETURNING boost_extra, {hot.HURRIED}"
# Other tests wait in databases of their own.
WAITING_HERE = """SELECT COUNT(*) FROM pg_locks waits WHERE NOT waits.granted AND EXISTS (
    SELECT 1 FROM pg_locks held JOIN pg_database known ON known.oid = held.database
    WHERE held.pid = waits.pid AND known.datname = current_database())"""
ON_POSTGRES = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def premise(row: Any) -> hot.Premise:
    """That Alice was counted so far."""
    return hot.Premise(NAME, {"seen": row[0]}, row, "EXISTS (SELECT 1 FROM users WHERE boost_extra = %(seen)s)")


@pytest.fixture
def lane(app: Doorward) -> Iterator[hot.Lane]:
    """A lane of this application, entered."""
    made = hot.Lane(hot.connections())
    entered = hot.enter_hot(made)
    yield made
    hot.leave_hot(entered)


@pytest.mark.parametrize(
    "ask", [hot.write, hot.read_together, lambda work: (hot.read(NAME, {}), hot.write(work))[1]], ids=["w", "r", "rw"]
)
def test_a_premise_that_holds_is_proved_once(lane: hot.Lane, ask: Callable[..., Any]) -> None:
    seen: list[str] = []
    lane.premise = premise(hot.read(NAME, {}))

    def work(raw: Any) -> int:
        seen.append("done")
        return count_in(raw)

    assert (ask(work), lane.premise.proved, seen) == (0, True, ["done"])
    hot.write(add)
    assert ask(work) == 1  # what was proved at first is not asked again


@pytest.mark.parametrize("ask", [hot.write, hot.read_together])
def test_a_premise_that_no_longer_holds_changes_nothing(lane: hot.Lane, ask: Callable[..., Any]) -> None:
    lane.premise = premise((17,))
    with pytest.raises(hot.Outdated):
        ask(add)
    assert lane.premise.proved is False
    lane.premise = None
    assert hot.read_together(count_in) == 0


def test_what_was_proved_is_read_again_once_another_connection_has_committed(lane: hot.Lane) -> None:
    for _ in range(2):
        lane.premise = premise((0,))
        assert hot.write(count_in) == 0
    with transaction():
        db.session.execute(text(ADD))
    lane.premise = premise((0,))
    with pytest.raises(hot.Outdated):
        hot.write(add)
    lane.premise = premise((1,))
    assert hot.write(add) == 2


def test_on_sqlite_it_is_not_read_while_nobody_else_commits(lane: hot.Lane, settings: Settings) -> None:
    told: list[str] = []

    def traced(raw: Any) -> None:
        if settings.sqlite:
            raw.set_trace_callback(told.append)

    hot.write(traced)
    for _ in range(3):
        lane.premise = premise((0,))
        hot.write(lambda _: None)
        assert lane.premise.proved
    assert told.count(NAME) == (1 if settings.sqlite else 0)


def test_what_was_proved_is_kept_in_bounds(lane: hot.Lane, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hot, "MOST_PROVED", 2)
    for value in range(5):
        lane.premise = hot.Premise(f"SELECT {value}", {}, (value,), "TRUE")
        kept = hot.write(proved_on)
        assert kept is None or len(kept) <= 3
        assert (kept is not None) == settings.sqlite


@ON_POSTGRES
@pytest.mark.parametrize(("setting", "told"), [({"durability": "process"}, "off"), ({"durability": "power"}, None)])
def test_one_statement_is_a_transaction_of_its_own(lane: hot.Lane, told: str | None) -> None:
    assert [hot.write_at_once(ADD_AT_ONCE, {}) for _ in range(3)] == [(1, told), (2, told), (3, told)]
    with db.engine.connect() as other:
        assert other.execute(text(READ)).scalar() == 3


@ON_POSTGRES
def test_one_statement_relies_on_what_the_lane_relies_on(lane: hot.Lane) -> None:
    lane.premise = premise((0,))
    assert hot.write_at_once(ADD_AT_ONCE, {})[0] == 1
    assert lane.premise.proved
    assert hot.write_at_once(ADD_AT_ONCE, {})[0] == 2  # what was proved at first is not asked again
    lane.premise = premise((0,))
    assert hot.write_at_once(ADD_AT_ONCE, {}) is None
    assert not lane.premise.proved
    lane.premise = None
    assert count() == 2


@ON_POSTGRES
def test_one_statement_that_met_a_rival_changed_nothing(app: Doorward) -> None:
    make_account("bob")
    db.session.remove()
    has_bob = threading.Event()
    alice_then_bob = f"""WITH first AS ({ADD_TO["alice"]} RETURNING 1),
        second AS ({ADD_TO["bob"]} AND (SELECT COUNT(*) FROM first) > 0 RETURNING 1)
        SELECT COUNT(*) FROM first, second"""  # noqa: S608  # our own words

    def bob_then_alice(raw: Any) -> None:
        raw.execute("SET LOCAL deadlock_timeout = '20s'")  # the other one is to notice
        raw.execute(ADD_TO["bob"])
        has_bob.set()
        while raw.execute(WAITING_HERE).fetchone()[0] == 0:
            time.sleep(0.01)
        raw.execute(ADD_TO["alice"])

    def rival() -> None:
        with app.app_context():
            hot.write(bob_then_alice)

    with ThreadPoolExecutor(1) as pool:
        doing = pool.submit(rival)
        assert has_bob.wait(10)
        assert hot.write_at_once(alice_then_bob, {}) is None
        doing.result(30)
    assert count() == 2


@ON_POSTGRES
def test_one_statement_stays_apart_from_what_the_session_wrote(app: Doorward) -> None:
    with transaction():
        db.session.execute(text(ADD))
        with pytest.raises(RuntimeError, match="beside another transaction"):
            hot.write_at_once(ADD_AT_ONCE, {})
    assert count() == 1
