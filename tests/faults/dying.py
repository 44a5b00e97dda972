"""`doorward` as it is, but its server kills itself with -9, all of it at once, at a named point.

    DIE_AT="after append:7" python -m tests.faults.dying serve

dies when the seventh append has returned. The product knows nothing of this: its functions are wrapped when this
module is loaded, in the server and, however they are begun, in its workers.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from portal import serving
from portal.cli import main
from portal.messages import flush
from portal.messages.spool_file import FileSpool
from portal.messages.spool_redis import RedisSpool

POINTS = (
    "before append",
    "after append",
    "after acknowledge",
    "mid-flush",
    "after commit before trim",
    "after trim",
)
# Longer than the way of an answer to a client of this machine.
SENT_S = 0.02


class Fuse:
    """Counts how often a point is passed, and dies there when it has been often enough."""

    def __init__(self, told: str) -> None:
        point, _, count = told.rpartition(":")
        if point not in POINTS:
            raise SystemExit(f"there is no point {point!r}")
        self.point, self.left = point, int(count)
        self._counting = threading.Lock()

    def pass_by(self, point: str) -> None:
        """This point is passed."""
        if point != self.point:
            return
        with self._counting:
            self.left -= 1
            if self.left > 0:
                return
            if point == "after acknowledge":
                time.sleep(SENT_S)
            os.killpg(os.getpgrp(), signal.SIGKILL)

    def wrap(self, function: Callable[..., Any], before: str | None, after: str | None) -> Callable[..., Any]:
        """The function with a point before and one after it."""

        def wrapped(*arguments: Any, **named: Any) -> Any:
            if before:
                self.pass_by(before)
            answer = function(*arguments, **named)
            if after:
                self.pass_by(after)
            return answer

        return wrapped


class _Told:
    """The body of an answer, which tells when it has been handed over."""

    def __init__(self, body: Any, told: Callable[[], None]) -> None:
        self.body, self.told = body, told

    def __iter__(self) -> Any:
        return iter(self.body)

    def close(self) -> None:
        """Called by the server at the end; the answer leaves right after, so the point is passed a moment later."""
        if hasattr(self.body, "close"):
            self.body.close()
        threading.Thread(target=self.told, daemon=True).start()


def arm(fuse: Fuse) -> None:
    """Wrap what the points lie around."""
    for kind in (FileSpool, RedisSpool):
        kind.append = fuse.wrap(kind.append, "before append", "after append")  # type: ignore[method-assign]  # wrapped for the test
        kind.trim = fuse.wrap(kind.trim, "after commit before trim", "after trim")  # type: ignore[method-assign]  # as above
    flush.store_lines = fuse.wrap(flush.store_lines, None, "mid-flush")
    make_app = serving.worker_app

    def worker_app() -> Any:
        app = make_app()
        answer = app.wsgi_app

        def answering(environ: Any, start_response: Any) -> Any:
            body = answer(environ, start_response)
            if environ["REQUEST_METHOD"] != "POST":
                return body
            return _Told(body, lambda: fuse.pass_by("after acknowledge"))

        app.wsgi_app = answering  # type: ignore[method-assign]  # as Flask tells to
        return app

    serving.worker_app = worker_app


if told := os.environ.get("DIE_AT"):
    arm(Fuse(told))

if __name__ == "__main__":
    main()
