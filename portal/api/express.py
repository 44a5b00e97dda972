"""The express lane: the hot routes in their plain form, answered beside Flask's request machinery, which costs as much
as the spending itself.

It takes only what it knows in full: an exact path, POST, a JSON body of known length, no query, a known host, a client
that may and whose calls are not counted. All else goes the way of every request, through the gates and to the same
functions; so does every error, to be told by the one place that tells errors.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

from portal.api.keys import answer_verify, answer_verify_many
from portal.api.pushing import answer_json_push
from portal.api.repeating import HEADER_REPLAYED, repeat_in
from portal.api.usage import answer_consume
from portal.core import hot, settings
from portal.core.access import Capability
from portal.core.hot import Lane
from portal.repeats.service import Replay
from portal.web.identity import client_in, kept_client_in
from portal.web.requests import ERROR, Welcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from flask import Flask

    from portal.core.actor import Actor
    from portal.core.hot import Connections
    from portal.core.settings import Settings
    from portal.repeats.service import Repeat

    Handler = Callable[[Actor, bytes, Repeat | None], bytes | Replay]

MOST_BODY = 256 * 1024
# Not `isdigit`, which takes "²" for one; and `int` refuses thousands of digits, which servers pass on.
LENGTH = re.compile("[0-9]{1,9}")


class Route(NamedTuple):
    """Who may, who answers, how well, and whether an Idempotency-Key means anything here."""

    capability: Capability
    handler: Handler
    status: str = "200 OK"
    repeats: bool = True


ROUTES: dict[str, Route] = {
    "/api/v1/keys/verify": Route(Capability.KEY_VERIFY, answer_verify),
    "/api/v1/keys/verify-many": Route(Capability.KEY_VERIFY, answer_verify_many),
    "/api/v1/usage/consume": Route(Capability.USAGE_CONSUME, answer_consume),
    "/api/v1/message-logs": Route(Capability.LOG_WRITE, answer_json_push, "202 ACCEPTED", repeats=False),
}
PLAIN = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]


class Express:
    """A WSGI application before Flask's own."""

    def __init__(self, app: Flask, inner: WSGIApplication, known: Settings) -> None:
        self.app, self.inner, self.settings = app, inner, known
        self.welcome = Welcome(known.hosts)
        self.most = min(MOST_BODY, known.max_body_bytes)
        self.held: Connections | None = None

    def _connections(self) -> Connections:
        """Asked for at the first request: nothing is opened before a server has forked its workers."""
        if self.held is None:
            with self.app.app_context():
                self.held = hot.connections()
        return self.held

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a plain hot request; hand on any other."""
        route = ROUTES.get(environ.get("PATH_INFO", ""))
        if (
            route is None
            or environ["REQUEST_METHOD"] != "POST"
            or environ.get("QUERY_STRING")
            or environ.get("SCRIPT_NAME")
            or environ.get("CONTENT_TYPE") != "application/json"
            or not LENGTH.fullmatch(length := environ.get("CONTENT_LENGTH", ""))
            or not 0 < int(length) <= self.most
            or "HTTP_CONTENT_ENCODING" in environ
            or environ.get("HTTP_HOST") not in self.welcome
        ):
            return self.inner(environ, start_response)
        made = self._make(environ, route, int(length))
        if made is None:
            return self.inner(environ, start_response)
        if isinstance(made, Replay):
            status, made, headers = f"{made.status} OK", made.body, [*PLAIN, HEADER_REPLAYED]
        else:
            status, headers = route.status, PLAIN
        start_response(status, [*headers, ("Content-Length", str(len(made)))])
        return [made]

    def _make(self, environ: WSGIEnvironment, route: Route, length: int) -> bytes | Replay | None:
        """The answer; None for a request that goes the way of every other one, with the error if it met one."""
        lane = Lane(self._connections())
        settings.enter(self.settings)
        entered = hot.enter_hot(lane)
        try:
            kept = kept_client_in(environ)
            if kept is not None:
                who, lane.premise = kept
                try:
                    made = _handled(environ, route, length, who)
                    hot.prove()
                except Exception:
                    if lane.premise.proved:
                        raise
                else:
                    return made
                lane.premise = None  # nothing that relied on it was changed: read it and begin again
            return _handled(environ, route, length, client_in(environ))
        except Exception as error:  # told by the frame, as every error is
            environ[ERROR] = error
            return None
        finally:
            hot.leave_hot(entered)
            settings.leave()


def _handled(environ: WSGIEnvironment, route: Route, length: int, who: Actor | None) -> bytes | Replay | None:
    # Before the body: a stranger who sends half of one and waits would hold a thread.
    if who is None or who.rate is not None or route.capability not in who.capabilities:
        return None
    body = environ["wsgi.input"].read(length)
    environ["wsgi.input"] = BytesIO(body)
    if len(body) != length:
        return None
    return route.handler(who, body, repeat_in(environ, who, body) if route.repeats else None)
