"""Logging: one record a line, JSON or for reading, with the request id, never with a secret."""

from __future__ import annotations

import logging
import os
import re
import string
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TextIO

import structlog

from portal.core import clock

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from portal.core.settings import Settings

log = structlog.get_logger()
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
# What a path may hold to be written down as it is, in either format.
_PLAIN = frozenset(string.ascii_letters + string.digits + "/-_.~")
_hand: Callable[..., None] | None = None
# Line breaks of every sort, escape sequences of terminals, and what turns the direction of writing.
_UNRULY = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def keep_to_one_line(_logger: object, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Write out what could begin a forged line or move a terminal's cursor; JSON does so by itself."""
    for name, value in entry.items():
        if isinstance(value, str):
            entry[name] = _UNRULY.sub(lambda found: found[0].encode("unicode_escape").decode(), value)
    return entry


def _console_renderer(*, colors: bool) -> structlog.typing.Processor:
    """For reading. The pretty one costs a third of a hot request, so only people at a terminal and traces get it."""
    # The other formatters show the local variables of every frame: passwords, keys, what people wrote.
    pretty = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
    plain = structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"])

    def render(logger: Any, method: str, entry: MutableMapping[str, Any]) -> Any:
        wanted = pretty if colors or entry.get("exc_info") else plain
        return wanted(logger, method, entry)

    return render


def _add_request_id(_logger: object, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if made := request_id.get():
        entry["request_id"] = made
    return entry


def write_request_line(method: str, path: str, status: str, ms: float, made: str) -> None:
    """The line of one request, as the log would write it; by hand where nothing in it needs care, for it is the
    one line that every hot request has."""
    if _hand is None:
        return
    if not _PLAIN.issuperset(path) or not method.isalpha() or len(method) > 8:
        log.info("request", method=method, path=path, status=int(status), ms=round(ms, 1))
        return
    at = clock.now().isoformat().replace("+00:00", "Z")
    _hand(at, method, path, status, ms, made)


def _hand_of(settings: Settings, file: TextIO) -> Callable[..., None] | None:
    """The writer of request lines for these settings; None where they are not wanted."""
    if getattr(logging, settings.log_level.upper()) > logging.INFO:
        return None
    if settings.log_format == "json":
        form = (
            '{"method":"%s","path":"%s","status":%s,"ms":%.1f,"event":"request","request_id":"%s","level":"info",'
            '"timestamp":"%s"}\n'
        )
    else:
        form = "method=%s path=%s status=%s ms=%.1f request_id=%s level=info event=request timestamp=%s\n"

    def hand(at: str, method: str, path: str, status: str, ms: float, made: str) -> None:
        file.write(form % (method, path, status, ms, made, at))
        file.flush()

    def hand_over(at: str, method: str, path: str, status: str, ms: float, made: str) -> None:
        os.write(descriptor, (form % (method, path, status, ms, made, at)).encode())

    try:
        descriptor = file.fileno()
    except OSError:  # a stream that is no file
        return hand
    return hand_over  # past two buffers, both of which every line would fill and empty


def set_up_logs(settings: Settings) -> None:
    """Shape and level of the log, to standard error."""
    global _hand
    _hand = _hand_of(settings, sys.stderr)
    level = getattr(logging, settings.log_level.upper())
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else _console_renderer(colors=sys.stderr.isatty())
    )
    processors: list[structlog.typing.Processor] = [
        _add_request_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if settings.log_format == "json":
        frames = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        processors.append(structlog.processors.ExceptionRenderer(frames))
    else:
        processors.append(keep_to_one_line)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        level=max(level, logging.WARNING), stream=sys.stderr, format="%(levelname)s %(name)s %(message)s"
    )
