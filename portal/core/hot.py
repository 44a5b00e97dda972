"""Connections for the few statements that must cost no more than themselves: no session, no request.

On SQLite one thread of the process writes at a time, and whoever holds the writer's place commits for all who wait
behind it (natural group commit): waiting in line costs less than polling the file's lock, and one sync serves many.
All of them write on one connection, for what one writes the caches of all others forget. SQLite tells that connection
whether any other has committed since: while none has, what was read on it once is not read again (`proved_on`). On
PostgreSQL each writes in a transaction of its own, where it can in one statement that is one (`write_at_once`), for
there the journeys cost more than the work. Nothing is answered before its commit.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from contextlib import contextmanager
from contextvars import ContextVar, Token
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakKeyDictionary

import psycopg
from sqlalchemy import Engine, event

from portal.core import settings
from portal.core.database import begin, db, in_raw_transaction, in_transaction, proved_on
from portal.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
MOST_TOGETHER = 64
MOST_FREE = 8
MOST_MAPPED = 2**31 - 65536
MOST_CACHED_KIB = 64 * 1024
MOST_TRIES = 5
MOST_PROVED = 50_000
BROKEN = (sqlite3.OperationalError, psycopg.OperationalError, psycopg.InterfaceError)
# Places in a statement that is a transaction by itself.
RELIED = "/* what is relied on */"
HURRIED = "/* whether it is hurried */"
# Two that waited for each other: one of them was undone whole and may try again.
ENTANGLED = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)


class Again(Exception):
    """Raised by work that met a rival: roll back and do it again from the start."""


class Outdated(Exception):
    """A premise no longer holds: read anew what was remembered, and begin again. Nothing was changed."""


class Premise:
    """A row that was remembered instead of read: the first use of the database proves it, where that writes in the
    same transaction. `proved` says whether that was. `guard` is the same as a condition for PostgreSQL, which reads
    `values` too."""

    __slots__ = ("guard", "proved", "row", "statement", "values")

    def __init__(self, statement: str, values: dict[str, Any], row: Any, guard: str) -> None:
        self.statement, self.values, self.row, self.guard = statement, values, row, guard
        self.proved = False

    def prove(self, raw: Any) -> None:
        """Read the row on this raw connection, once. Raises Outdated when it is another one."""
        if self.proved:
            return
        facts = proved_on(raw)
        fact = self.statement, self.row
        if facts is None or fact not in facts:
            if raw.execute(self.statement, self.values).fetchone() != self.row:
                raise Outdated
            if facts is not None:
                facts.add(fact)
        self.proved = True

    def take_as_proved(self) -> None:
        """A statement has changed something that did so only if the guard held."""
        self.proved = True


class Lane:
    """What a door without a session uses: its connections, and what it relies on just now."""

    __slots__ = ("connections", "premise")

    def __init__(self, connections: Connections) -> None:
        self.connections = connections
        self.premise: Premise | None = None


class _Order(Generic[T]):
    """Work that waits for its turn, and what came of it. `called` is let go when it is done, or is to lead the next."""

    __slots__ = ("called", "done", "error", "value", "work")

    def __init__(self, work: Callable[[Any], T]) -> None:
        self.work = work
        self.value: T | None = None
        self.error: BaseException | None = None
        self.done = False
        self.called = threading.Lock()
        self.called.acquire()


class Connections:
    """The connections of one engine: borrowed for a moment, a few kept for the next."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.sqlite = engine.dialect.name == "sqlite"
        self.free: list[Any] = []
        self.most_free = max(1, min(MOST_FREE, engine.pool.size() // 3))  # type: ignore[attr-defined]  # of a QueuePool
        # The one on which everybody writes who stands in line; only for whoever holds `line`.
        self.writer: Any = None
        # By what SQLite tells the writer that another connection has committed.
        self.writer_version = 0
        self.line = threading.Lock()
        self.waiting: deque[_Order[Any]] = deque()
        # Whether somebody leads the line; it and the end of the line change together.
        self.led = False
        self.queue = threading.Lock()
        event.listen(engine, "engine_disposed", self.close)

    def close(self, _engine: Engine) -> None:
        """Close every connection for good: the pool that lent them is gone."""
        while self.free:
            self.free.pop().invalidate()
        with self.line:
            self._lose_writer()

    def take(self) -> Any:
        """A connection in autocommit, with its place in the pool."""
        try:
            return self.free.pop()
        except IndexError:
            return self.engine.raw_connection()

    def give(self, held: Any) -> None:
        """Back for the next; more than a few go back to the pool, where others wait for them."""
        if len(self.free) < self.most_free:
            self.free.append(held)
        else:
            held.close()

    @contextmanager
    def borrow(self) -> Iterator[Any]:
        """A raw connection in autocommit; one that broke is not kept."""
        held = self.take()
        raw = held.dbapi_connection
        try:
            yield raw
        except BaseException as error:
            if isinstance(error, BROKEN) or not _cleared(raw):
                held.invalidate()
            else:
                self.give(held)
            raise
        self.give(held)

    def write(self, work: Callable[[Any], T]) -> T:
        """Do the work in a transaction and answer once it is committed."""
        order = _Order(work)
        if self.sqlite:
            self._stand_in_line(order)
        else:
            self._do_alone(order)
        if order.error is not None:
            raise order.error
        return order.value  # type: ignore[return-value]  # set with done, or error is

    def _stand_in_line(self, order: _Order[Any]) -> None:
        with self.queue:
            self.waiting.append(order)
            leads, self.led = not self.led, True
        if not leads:
            order.called.acquire()
            if order.done:
                return
        together = [self.waiting.popleft() for _ in range(min(len(self.waiting), MOST_TOGETHER))]
        try:
            with self.line:
                self._do_together(together)
        finally:
            self._call(together)

    def _call(self, together: list[_Order[Any]]) -> None:
        """Let go whoever was committed for; first of all who leads next, so that the database is not kept waiting."""
        with self.queue:
            following = self.waiting[0] if self.waiting else None
            self.led = following is not None
        if following is not None:
            following.called.release()
        for order in together:
            order.called.release()

    def _do_together(self, orders: list[_Order[Any]]) -> None:
        """One transaction for all. When one fails, each has one of its own, so that it fails alone."""
        began = False
        try:
            raw = self._writing()
            begin(raw)
            began = True
            self._forget_outdated(raw)
            values = [order.work(raw) for order in orders]
            raw.commit()
        except BaseException as error:
            self._check_writer(error)
            if began and isinstance(error, Exception):
                for order in orders:
                    self._do_alone(order)
            else:  # nobody's own fault: the database is away, or this process is being stopped
                for order in orders:
                    order.error, order.done = error, True
        else:
            for order, value in zip(orders, values, strict=True):
                order.value, order.done = value, True

    def _writing(self) -> Any:
        if self.writer is None:
            self.writer = self.engine.raw_connection()
            # Mapped instead of copied: with many users most pages are not in this connection's cache. Only here, for
            # a connection beside which others write maps anew each time. What it wrote itself is not in the map until
            # the next checkpoint, so it keeps more of that than others do.
            raw = self.writer.dbapi_connection
            raw.execute(f"PRAGMA mmap_size={MOST_MAPPED}")
            raw.execute(f"PRAGMA cache_size=-{MOST_CACHED_KIB}")
            raw.proved = set()
        return self.writer.dbapi_connection

    def _forget_outdated(self, raw: Any) -> None:
        """Inside a transaction: forget what was proved if anybody else has committed since the last one."""
        version = raw.execute("PRAGMA data_version").fetchone()[0]
        if version != self.writer_version or len(raw.proved) > MOST_PROVED:
            raw.proved.clear()
            self.writer_version = version

    def _check_writer(self, error: BaseException) -> None:
        """After an error: one that broke is not kept."""
        if self.writer is not None and (isinstance(error, BROKEN) or not _cleared(self.writer.dbapi_connection)):
            self._lose_writer()

    def _lose_writer(self) -> None:
        if self.writer is not None:
            self.writer.invalidate()
            self.writer = None

    def _do_alone(self, order: _Order[Any]) -> None:
        try:
            for _ in range(MOST_TRIES):
                try:
                    with self.borrow() as raw:
                        begin(raw, hurried=settings.current().durability == "process")
                        order.value = order.work(raw)
                        raw.commit()
                    break
                except (Again, *ENTANGLED):
                    continue
            else:
                order.error = Unavailable(retry_after=1)
        except BaseException as error:  # it belongs to whoever waits for the order, and to nobody else
            order.error = error
        finally:
            order.done = True


def _cleared(raw: Any) -> bool:
    """Whether the connection could be rolled back and is good for more."""
    try:
        if in_raw_transaction(raw):
            raw.rollback()
    except (sqlite3.Error, psycopg.Error):
        return False
    return not getattr(raw, "closed", False)


_of_engine: WeakKeyDictionary[Engine, Connections] = WeakKeyDictionary()
_making = threading.Lock()


_here: ContextVar[Lane | None] = ContextVar("hot", default=None)


def connections() -> Connections:
    """Those of the application whose context we are in, for a Lane."""
    return _hot()


def enter_hot(lane: Lane) -> Token[Lane | None]:
    """Use this lane until `leave_hot`, outside any context of an application: for a door without a session."""
    return _here.set(lane)


def leave_hot(entered: Token[Lane | None]) -> None:
    """Forget it again."""
    _here.reset(entered)


def _hot() -> Connections:
    lane = _here.get()
    if lane is not None:
        return lane.connections
    engine = db.engine
    hot = _of_engine.get(engine)
    if hot is None:
        with _making:
            hot = _of_engine.get(engine) or _of_engine.setdefault(engine, Connections(engine))
    return hot


def _premise() -> Premise | None:
    """What this lane relies on and has not proved yet."""
    lane = _here.get()
    premise = lane.premise if lane is not None else None
    return None if premise is None or premise.proved else premise


def _relying(work: Callable[[Any], T]) -> Callable[[Any], T]:
    """The work, after a proof of what this lane relies on."""
    premise = _premise()
    if premise is None:
        return work

    def proved(raw: Any) -> T:
        premise.prove(raw)
        return work(raw)

    return proved


def prove() -> None:
    """Prove what this lane relies on, if nothing that was asked for did. Raises Outdated."""
    if _premise() is not None:
        read_together(lambda _: None)


def read(statement: str, values: dict[str, Any]) -> Any:
    """The first row of a statement that only reads, or None; it sees what is committed."""
    return read_together(lambda raw: raw.execute(statement, values).fetchone())


def read_together(work: Callable[[Any], T]) -> T:
    """What the work reads on one connection; statement by statement, not in a transaction."""
    with _hot().borrow() as raw:
        return _relying(work)(raw)


def beside_transaction() -> bool:
    """Whether the session of this context has written already: it holds the lock that a hot statement would want."""
    return _here.get() is None and db.session.registry.has() and in_transaction()


def write(work: Callable[[Any], T]) -> T:
    """Do the work on a raw connection inside a transaction; answer what it answered, after the commit.

    The work may be done more than once (each time from the start, after a rollback), so it changes nothing but rows.
    Raises what the work raises; Outdated when the lane relied on what is no longer so; RuntimeError when the session
    of this context has written already, for that holds the lock we would wait for.
    """
    _stay_apart()
    return _hot().write(_relying(work))


def write_at_once(statement: str, values: dict[str, Any]) -> Any:
    """The first row of one statement of PostgreSQL, committed; None when it changed nothing, be it for a rival.

    The statement has a place for RELIED, a condition, and one for HURRIED, a column of the row it answers. Raises
    RuntimeError as `write` does.
    """
    _stay_apart()
    premise = _premise()
    text = _whole(statement, premise.guard if premise else "TRUE", settings.current().durability == "process")
    with _hot().borrow() as raw:
        try:
            row = raw.execute(text, {**values, **premise.values} if premise else values).fetchone()
        except ENTANGLED:
            return None
    if row is not None and premise is not None:
        premise.take_as_proved()
    return row


def write_within(raw: Any, statement: str, values: dict[str, Any]) -> Any:
    """The same for one of several in the transaction of this raw connection, which relies on what that relies on."""
    return raw.execute(_whole(statement, "TRUE", False), values).fetchone()


@lru_cache(maxsize=64)
def _whole(statement: str, guard: str, hurried: bool) -> str:
    # Told within the transaction, as the statement is all of it; `true` is for this one alone.
    manner = "set_config('synchronous_commit', 'off', true)" if hurried else "NULL"
    return statement.replace(RELIED, guard).replace(HURRIED, manner)


def _stay_apart() -> None:
    if beside_transaction():
        raise RuntimeError("a hot statement cannot run beside another transaction of the same request")
