"""The Idempotency-Key header: the same call again gets the same answer again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from flask import Response, request

from portal.repeats.service import Repeat, Replay, keep, repeat_of, replay_of
from portal.web.identity import actor
from portal.web.problems import bytes_response
from portal.web.requests import unwrapped

if TYPE_CHECKING:
    from collections.abc import Callable
    from wsgiref.types import WSGIEnvironment

    from portal.core.actor import Actor


HEADER_REPLAYED = ("Idempotent-Replayed", "true")


def repeat_here() -> Repeat | None:
    """The call of this request when it names itself. Raises Invalid for a key that is none."""
    asked = unwrapped(request)
    return repeat_in(asked.environ, actor(), asked.get_data())


def repeat_in(environ: WSGIEnvironment, who: Actor, body: bytes) -> Repeat | None:
    """The call of this WSGI request when it names itself. Raises Invalid."""
    key = environ.get("HTTP_IDEMPOTENCY_KEY")
    if key is None or who.id is None:
        return None
    return repeat_of(who.id, key, environ["REQUEST_METHOD"].encode(), environ["PATH_INFO"].encode(), body)


def replayed(replay: Replay) -> Response:
    """The answer of the first time."""
    response = bytes_response(replay.body, replay.status)
    response.headers.add(*HEADER_REPLAYED)
    return response


def answer_of(made: bytes | Replay) -> Response:
    """A fresh answer, or that of the first time."""
    return replayed(made) if isinstance(made, Replay) else bytes_response(made)


def answer_once(
    make: Callable[[], dict[str, Any] | msgspec.Struct], status: int = 200, *, secret: str | None = None
) -> Response:
    """Do it and keep the answer in the same transaction, or answer as the first time.

    For verbs whose change the frame commits. `secret` is the member that is shown this once: what is kept, and answered
    again, has null there. Raises Mismatch, and Conflict while the first call still runs.
    """
    repeat = repeat_here()
    if repeat is None:
        return bytes_response(msgspec.json.encode(make()), status)
    before = replay_of(repeat)
    if before is not None:
        return replayed(before)
    made = msgspec.to_builtins(make())
    keep(repeat, status, msgspec.json.encode(made | {secret: None} if secret else made))
    return bytes_response(msgspec.json.encode(made), status)
