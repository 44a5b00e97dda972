"""Connections for the few statements that must cost no more than themselves: no session, no request.

On SQLite one thread of the process writes at a time, and whoever holds the writer's place commits for all who wait
behind it (natural group commit): waiting in line costs less than polling the file's lock, and one sync serves many. On
PostgreSQL each writes in a transaction of its own. Nothing is answered before its commit.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakKeyDictionary

import psycopg
from sqlalchemy import Engine, event

from portal.core import settings
from portal.core.database import begin, db, in_raw_transaction, in_transaction
from portal.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
MOST_TOGETHER = 64
MOST_FREE = 8
MOST_TRIES = 5
BROKEN = (sqlite3.OperationalError, psycopg.OperationalError, psycopg.InterfaceError)
# Two that waited for each other: one of them was undone whole and may try again.
ENTANGLED = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)


class Again(Exception):
    """Raised by work that met a rival: roll back and do it again from the start."""


class _Order(Generic[T]):
    """Work that waits for its turn, and what came of it."""

    __slots__ = ("done", "error", "value", "work")

    def __init__(self, work: Callable[[Any], T]) -> None:
        self.work = work
        self.value: T | None = None
        self.error: BaseException | None = None
        self.done = False


class Connections:
    """The connections of one engine: borrowed for a moment, a few kept for the next."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.sqlite = engine.dialect.name == "sqlite"
        self.free: list[Any] = []
        self.most_free = max(1, min(MOST_FREE, engine.pool.size() // 3))  # type: ignore[attr-defined]  # of a QueuePool
        self.line = threading.Lock()
        self.waiting: deque[_Order[Any]] = deque()
        event.listen(engine, "engine_disposed", self.close)

    def close(self, _engine: Engine) -> None:
        """Close every connection for good: the pool that lent them is gone."""
        while self.free:
            self.free.pop().invalidate()

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
        self.waiting.append(order)
        with self.line:
            # Whoever stood before us may have committed for us.
            while not order.done:
                together = [self.waiting.popleft() for _ in range(min(len(self.waiting), MOST_TOGETHER))]
                self._do_together(together)

    def _do_together(self, orders: list[_Order[Any]]) -> None:
        """One transaction for all. When one fails, each has one of its own, so that it fails alone."""
        began = False
        try:
            with self.borrow() as raw:
                begin(raw)
                began = True
                values = [order.work(raw) for order in orders]
                raw.commit()
        except BaseException as error:
            if began and isinstance(error, Exception):
                for order in orders:
                    self._do_alone(order)
            else:  # nobody's own fault: the database is away, or this process is being stopped
                for order in orders:
                    order.error, order.done = error, True
        else:
            for order, value in zip(orders, values, strict=True):
                order.value, order.done = value, True

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


_here: ContextVar[Connections | None] = ContextVar("hot", default=None)


def connections() -> Connections:
    """Those of the application whose context we are in, for `enter_hot`."""
    return _hot()


def enter_hot(held: Connections) -> Token[Connections | None]:
    """Use these connections until `leave_hot`, outside any context of an application: for a door without a session."""
    return _here.set(held)


def leave_hot(entered: Token[Connections | None]) -> None:
    """Forget them again."""
    _here.reset(entered)


def _hot() -> Connections:
    held = _here.get()
    if held is not None:
        return held
    engine = db.engine
    hot = _of_engine.get(engine)
    if hot is None:
        with _making:
            hot = _of_engine.get(engine) or _of_engine.setdefault(engine, Connections(engine))
    return hot


def read(statement: str, values: dict[str, Any]) -> Any:
    """The first row of a statement that only reads, or None; it sees what is committed."""
    with _hot().borrow() as raw:
        return raw.execute(statement, values).fetchone()


def read_together(work: Callable[[Any], T]) -> T:
    """What the work reads on one connection; statement by statement, not in a transaction."""
    with _hot().borrow() as raw:
        return work(raw)


def write(work: Callable[[Any], T]) -> T:
    """Do the work on a raw connection inside a transaction; answer what it answered, after the commit.

    The work may be done more than once (each time from the start, after a rollback), so it changes nothing but rows.
    Raises what the work raises; RuntimeError when the session of this context has written already, for that holds
    the lock we would wait for.
    """
    if _here.get() is None and db.session.registry.has() and in_transaction():
        raise RuntimeError("a hot statement cannot run beside another transaction of the same request")
    return _hot().write(work)
