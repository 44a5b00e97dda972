"""Ids are ordered by time and never guessed from a neighbour; secrets are long."""

from __future__ import annotations

import os
from datetime import timedelta
from uuid import UUID

import pytest

from portal.core import clock
from portal.core.ids import new_id, new_secret, parse_id


def test_ids_are_of_version_7_and_differ() -> None:
    made = [new_id() for _ in range(500)]
    assert {(one.version, one.variant) for one in made} == {(7, "specified in RFC 4122")}
    assert len({one.int & (1 << 62) - 1 for one in made}) == 500


def test_a_later_id_sorts_later() -> None:
    try:
        made = []
        for minutes in range(5):
            clock.shift(timedelta(minutes=minutes))
            made.append(new_id())
    finally:
        clock.shift(timedelta(0))
    assert made == sorted(made)


def test_a_secret_holds_256_bits_and_fits_a_url() -> None:
    secret = new_secret()
    assert len(secret) == 43
    assert set(secret) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert new_secret() != secret


LIKE_ONE = "01a200e2-e9fb-7a83-9848-8d34a3e488c4"


@pytest.mark.parametrize(
    "typed", ["", "alice", "0193", "0" * 31, "g" * 32, "\0" * 32, f"{{{LIKE_ONE}}}", f"urn:uuid:{LIKE_ONE}"]
)
def test_what_is_no_id_is_told_apart(typed: str) -> None:
    assert parse_id(typed) is None


def test_an_id_is_read_as_typed() -> None:
    made = new_id()
    assert parse_id(str(made)) == parse_id(str(made).upper()) == parse_id(made.hex) == made


def test_a_forked_process_draws_bits_of_its_own() -> None:
    new_id()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, str(new_id()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    mine = new_id()
    theirs = UUID(os.read(reading, 100).decode())
    assert theirs.int & (1 << 62) - 1 != mine.int & (1 << 62) - 1
