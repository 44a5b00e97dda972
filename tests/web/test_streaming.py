"""Streams: a quarter of the threads at once, each giving its place back however it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy import select

from portal.audit.models import AuditEntry
from portal.core.database import db
from portal.core.errors import Unavailable
from portal.web.frame import Doorward
from portal.web.streaming import Places, Stream, places_of
from tests.races import race
from tests.visitor import SeenPage, Visitor


def pieces(count: int = 3) -> Iterator[bytes]:
    """An answer of so many pieces."""
    for number in range(count):
        yield b"%d" % number


@pytest.fixture
def setting() -> dict[str, object]:
    """Two streams at once."""
    return {"threads": 8}


def test_a_place_comes_back_at_the_end_when_closed_or_thrown_away() -> None:
    app, places = Flask("streams"), Places(1)
    assert list(Stream(app, pieces(), places)) == [b"0", b"1", b"2"]
    half = Stream(app, pieces(), places)
    assert next(half) == b"0"
    half.close()
    half.close()
    assert places.taken == 0
    thrown = Stream(app, pieces(), places)
    assert places.taken == 1
    del thrown
    assert places.taken == 0


def test_what_breaks_gives_its_place_back_and_is_ended() -> None:
    app, places, ended = Flask("streams"), Places(1), []

    def breaking() -> Iterator[bytes]:
        try:
            yield b"first"
            raise ValueError
        finally:
            ended.append(True)

    stream = Stream(app, breaking(), places)
    assert next(stream) == b"first"
    with pytest.raises(ValueError):
        next(stream)
    assert (places.taken, ended) == (0, [True])


def test_the_one_too_many_is_told_when_to_come_back() -> None:
    app, places = Flask("streams"), Places(1)
    held = Stream(app, pieces(), places)
    with app.app_context(), pytest.raises(Unavailable) as told:
        Stream(app, pieces(), places)
    assert told.value.retry_after
    assert places.taken == 1
    held.close()
    assert places.taken == 0


def test_many_at_once_take_no_more_places_than_there_are() -> None:
    app, places = Flask("streams"), Places(3)

    def take(_number: int) -> Stream | None:
        with app.app_context():
            try:
                return Stream(app, pieces(), places)
            except Unavailable:
                return None

    held = [stream for stream in race(12, take) if stream]
    assert (len(held), places.taken) == (3, 3)
    held.clear()
    assert places.taken == 0


def test_a_quarter_of_the_threads_may(app: Doorward) -> None:
    assert places_of(app).most == 2


def ask(alice: Visitor) -> SeenPage:
    """Have an export sent."""
    return alice.send(alice.get("/account/exports/new"), {"format": "csv"})


def test_a_full_house_answers_503_and_writes_nothing_down(app: Doorward, person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    held = [Stream(app, pieces(), places_of(app)) for _ in range(2)]
    refused = ask(alice)
    assert refused.status == 503
    assert int(refused.response.headers["Retry-After"]) > 0
    exported = select(AuditEntry.id).where(AuditEntry.event == "conversation.exported")
    assert db.session.scalar(exported) is None
    held.clear()
    page = ask(alice)
    assert page.status == 200
    assert page.response.mimetype == "text/csv"
    page.response.close()
    assert places_of(app).taken == 0
    assert db.session.scalar(exported) is not None


def test_it_is_saved_and_never_shown(person: Callable[..., Visitor]) -> None:
    headers = ask(person("alice")).response.headers
    assert headers["Content-Disposition"].startswith('attachment; filename="message-logs-')
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
