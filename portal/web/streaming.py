"""Files sent piece by piece: each holds a thread as long as its reader takes, so only a quarter of them may."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, cast

from flask import Response, current_app

from portal.core import settings
from portal.core.errors import Unavailable
from portal.core.text import gettext

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from flask import Flask

RETRY_S = 10
PIECE = 64 * 1024
PLACES = "streams"


class Places:
    """How many streams may run at once in this process, and how many do."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0
        self._lock = threading.Lock()

    def take(self) -> None:
        """Take a place. Raises Unavailable when none is free."""
        with self._lock:
            if self.taken >= self.most:
                words = gettext("Many files are being fetched just now. Try again in a moment.")
                raise Unavailable(words, retry_after=RETRY_S)
            self.taken += 1

    def free(self) -> None:
        """Give a place back."""
        with self._lock:
            self.taken -= 1


class Stream:
    """The pieces of an answer. Each is made in a context of its own: nothing is held while the reader takes it.

    The place is given back once: at the end, when the server closes the answer, or when it is thrown away unsent.
    """

    def __init__(self, app: Flask, pieces: Iterator[bytes], places: Places) -> None:
        self._closed = True
        places.take()
        self._closed = False
        self._app, self._pieces, self._places = app, pieces, places

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> bytes:
        try:
            with self._app.app_context():
                return next(self._pieces)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End it, however far it went."""
        if self._closed:
            return
        self._closed = True
        self._places.free()
        end: Any = getattr(self._pieces, "close", None)
        if end is not None:
            end()

    def __del__(self) -> None:
        self.close()


def places_of(app: Flask) -> Places:
    """The places of this application in this process: a quarter of THREADS."""
    made: Places = app.extensions.setdefault(PLACES, Places(max(1, settings.current().threads // 4)))
    return made


def stream_file(pieces: Iterator[bytes], *, name: str, media_type: str, size: int | None = None) -> Response:
    """An answer that is saved as a file of this name. Raises Unavailable when too many run.

    `name` must be plain ASCII of our own making.
    """
    app = cast("Flask", current_app._get_current_object())  # type: ignore[attr-defined]  # what the proxy stands for
    response = Response(Stream(app, pieces, places_of(app)), content_type=media_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "no-store"
    if size is not None:
        response.content_length = size
    return response


def pieces_of(file: BinaryIO) -> Iterator[bytes]:
    """A file piece by piece, closed at the end."""
    with file:
        while piece := file.read(PIECE):
            yield piece
