"""Spools in files as tests make and read them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import orjson

from portal.messages.spool_file import FileSpool
from portal.messages.spool_protocol import Entry, body_of

Make = Callable[..., FileSpool]
CLIENT = str(uuid.UUID(int=7))
HOLD = """
import sys
from pathlib import Path
from portal.core.settings import load
from portal.messages.spool_file import FileSpool
from portal.messages.spool_protocol import Entry
folder = Path(sys.argv[1])
spool = FileSpool(load({}, folder=folder, data_dir=folder))
spool.append([Entry("c", "theirs", b"0", b"{}")])
print(spool.folder.listed()[-1].path, flush=True)
sys.stdin.read()
"""


DIGEST, OTHER = b"\xab" * 16, b"\xcd" * 16


def entry(name: str, size: int = 0, *, digest: bytes = DIGEST) -> Entry:
    """A record to keep."""
    body = {"client_id": CLIENT, "source_id": name, "digest": digest.hex(), "filling": "x" * size}
    return Entry(CLIENT, name, digest, orjson.dumps(body))


def paths(spool: FileSpool) -> list[Path]:
    """The files of the host."""
    return [one.path for one in spool.folder.listed()]


def kept(spool: FileSpool) -> list[str]:
    """The ids of all lines in all files."""
    found = []
    for path in paths(spool):
        for raw in path.read_bytes().splitlines(keepends=True):
            body = body_of(raw)
            assert body is not None
            found.append(str(orjson.loads(body)["source_id"]))
    return found


def refuse(*_: object) -> None:
    """A disk that does not."""
    raise OSError(28, "no space")
