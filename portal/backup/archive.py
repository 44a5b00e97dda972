"""The file of a backup: a ZIP with one part for each table, JSON lines, and a manifest that says what must be there.

A file from elsewhere is believed in nothing: names, sizes, counts and checksums are compared before a row is used,
and no more is read of a part than the manifest allows.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import zipfile
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Annotated, Any, Final, Self

import msgspec

from portal.core.errors import Invalid
from portal.core.ids import new_secret

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from pathlib import Path

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
MOST_PARTS: Final = 500
MOST_MANIFEST: Final = 1024 * 1024
MOST_LINE: Final = 64 * 1024 * 1024
# Deflate packs no tighter than 1032 to one; what claims more is no honest archive.
MOST_RATIO: Final = 1100
_BATCH: Final = 256 * 1024

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,62}\Z")]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class BackupRefused(Invalid):
    """A file that is no backup of ours, is damaged, or cannot be written. The words are one line."""

    def __init__(self, words: str) -> None:
        super().__init__(words=words)


class Part(msgspec.Struct, frozen=True):
    """One table: its columns in the order of each line's values, and what the part must weigh."""

    table: Name
    columns: dict[Name, str]
    rows: Count
    bytes: Count
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a backup says of itself. `spool_waiting`: bytes that the spool of that host still held."""

    format: int
    version: str
    revision: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-zA-Z_]{1,32}\Z")]
    database: str
    made_at: str
    spool_waiting: Count
    parts: Annotated[list[Part], msgspec.Meta(max_length=MOST_PARTS)]

    @property
    def rows(self) -> int:
        """Rows in all."""
        return sum(part.rows for part in self.parts)

    def part(self, table: str) -> Part | None:
        """The part of this table."""
        return next((part for part in self.parts if part.table == table), None)


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file for the owner alone that appears under its name only when the block has ended well.

    BackupRefused when the name is taken or the folder cannot be written to.
    """
    if path.exists():
        raise BackupRefused(f"{path} is there already; a backup overwrites nothing")
    draft = path.with_name(f"{path.name}.{new_secret()[:8]}.draft")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)  # as rename, and fails where somebody made the name meanwhile
        finally:
            with suppress(FileNotFoundError):
                draft.unlink()
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise BackupRefused(f"{path} cannot be written: {error.strerror}") from error


@dataclass(slots=True)
class Written:
    """What has gone into a part so far."""

    rows: int
    bytes: int
    sha256: str


def write_part(archive: zipfile.ZipFile, table: str, rows: Iterable[list[Any]]) -> Written:
    """Write a table, a line a row; in pieces, so that memory stays flat."""
    encoder, digest = msgspec.json.Encoder(), hashlib.sha256()
    count = size = 0
    with archive.open(_entry(f"{table}.jsonl"), "w", force_zip64=True) as part:
        piece = bytearray()

        def put() -> None:
            nonlocal size
            digest.update(piece)
            part.write(piece)
            size += len(piece)
            piece.clear()

        for row in rows:
            piece += encoder.encode(row)
            piece += b"\n"
            count += 1
            if len(piece) > _BATCH:
                put()
        put()
    return Written(count, size, digest.hexdigest())


def write_manifest(archive: zipfile.ZipFile, manifest: Manifest) -> None:
    """Write the manifest, the last of all."""
    archive.writestr(_entry(MANIFEST), msgspec.json.format(msgspec.json.encode(manifest), indent=1))


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = (stat.S_IFREG | 0o600) << 16
    return entry


class Archive:
    """A backup to read from, its outside checked: names, sizes, ratio, and that it holds what its manifest says."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises BackupRefused."""
        self.path = path
        with self._told():
            self._zip = zipfile.ZipFile(path)
        try:
            with self._told():
                self.manifest = self._read_manifest()
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def check(self) -> None:
        """Read every part to its end and compare it with the manifest. Raises BackupRefused."""
        for part in self.manifest.parts:
            for _ in self.rows(part):
                pass

    def rows(self, part: Part) -> Generator[list[Any], None, None]:
        """The rows of a part; at its end counts and checksum are compared. Raises BackupRefused."""
        decoder, digest = msgspec.json.Decoder(list[Any]), hashlib.sha256()
        count = size = 0
        with self._told(), self._zip.open(f"{part.table}.jsonl") as file:
            while line := file.readline(MOST_LINE):
                size += len(line)
                count += 1
                digest.update(line)
                if size > part.bytes or not line.endswith(b"\n"):
                    raise self._bad(f"{part.table} is not as long as the manifest says")
                row = decoder.decode(line)
                if len(row) != len(part.columns):
                    raise self._bad(f"{part.table} holds a row with other columns")
                yield row
        if (count, size, digest.hexdigest()) != (part.rows, part.bytes, part.sha256):
            raise self._bad(f"{part.table} is not the part that the manifest was made for")

    def _read_manifest(self) -> Manifest:
        entries = self._zip.infolist()
        if len(entries) > MOST_PARTS + 1:
            raise self._bad("holds too many parts")
        by_name = {entry.filename: entry for entry in entries}
        for entry in entries:
            if entry.flag_bits & 1 or entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise self._bad("a part is packed in a way that is not ours")
            if stat.S_IFMT(entry.external_attr >> 16) not in {0, stat.S_IFREG}:
                raise self._bad("a part is no plain file")
            if entry.file_size > MOST_RATIO * max(entry.compress_size, 1):
                raise self._bad("a part claims to grow beyond all measure")
        found = by_name.get(MANIFEST)
        if found is None or found.file_size > MOST_MANIFEST:
            raise self._bad("there is no manifest")
        with self._zip.open(found) as file:
            manifest = msgspec.json.decode(file.read(MOST_MANIFEST), type=Manifest)
        if manifest.format != FORMAT:
            raise self._bad(f"made by a version of Doorward that writes other backups ({manifest.version[:40]})")
        names = [MANIFEST, *(f"{part.table}.jsonl" for part in manifest.parts)]
        if len(entries) != len(names) or by_name.keys() != set(names):
            raise self._bad("its parts are not those that its manifest names")
        if any(by_name[f"{part.table}.jsonl"].file_size != part.bytes for part in manifest.parts):
            raise self._bad("its parts are not as long as its manifest says")
        return manifest

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise BackupRefused(f"there is no file {self.path}") from None
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
            # msgspec's errors are ValueErrors; its words are left out, for they may quote what was read.
            raise self._bad("it is damaged, or no backup at all") from error
        except OSError as error:
            raise BackupRefused(f"{self.path} cannot be read: {error.strerror}") from error

    def _bad(self, words: str) -> BackupRefused:
        return BackupRefused(f"{re.sub(r'[^ -~]', '?', self.path.name)}: {words}; nothing was changed")
