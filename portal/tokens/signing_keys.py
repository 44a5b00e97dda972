"""The keys that sign access tokens: files of SIGNING_KEYS_DIR, the newest signs, former ones check for a while more.

A file is a private key in PEM (PKCS 8), mode 600, named by its time of making. Whoever shares the folder between hosts
shares the keys; each process looks at the folder every time. A key id is the thumbprint of RFC 7638.
"""

from __future__ import annotations

import os
import secrets
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey, RSAKey

from portal.core import clock, settings
from portal.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    Key = OKPKey | RSAKey

log = structlog.get_logger()
# The longest life a setting can give an access token, and what clocks may differ by: so long a former key checks.
RETIRES_AFTER = timedelta(hours=1, minutes=5)
RSA_BITS = 2048
NAMED_BY = "%Y%m%dT%H%M%S%fZ"
KINDS: dict[str, type[OKPKey] | type[RSAKey]] = {"EdDSA": OKPKey, "RS256": RSAKey}
# Of each folder: what lay in it when it was read, and the keys found there. Not by the folder's own time, which two
# changes within one tick of the file system share.
Seen = tuple[tuple[str, int, int, int], ...]
_read: dict[Path, tuple[Seen, list[SigningKey]]] = {}
_making = threading.Lock()


class SigningKey(NamedTuple):
    """One key: where it lies, when it was made, and itself with its id and algorithm."""

    path: Path
    made_at: datetime
    key: Key

    @property
    def kid(self) -> str:
        """Its id, as headers of tokens name it."""
        return str(self.key.kid)


def signing_key() -> SigningKey:
    """The key that signs: the newest of the algorithm of the settings. The first one is made when it is wanted.

    Raises Unavailable where the folder cannot be read or written.
    """
    found = _of_algorithm(_ring())
    if found:
        return found[0]
    with _making:  # of the threads here one makes it; of several processes each may, and all check by all of them
        found = _of_algorithm(_ring())
        return found[0] if found else make_key()


def checking_keys() -> list[SigningKey]:
    """The keys by which tokens may be signed that are good now, newest first. Raises Unavailable."""
    found = _of_algorithm(_ring())
    return [key for key in found if not _retired(key, found)]


def key_set() -> dict[str, Any]:
    """The public halves of those as a key set (RFC 7517). Raises Unavailable."""
    signing_key()
    return {"keys": [one.key.as_dict(private=False) for one in checking_keys()]}


def make_key() -> SigningKey:
    """Make a key of the algorithm of the settings; from now on it signs. Raises Unavailable."""
    try:
        return _make_key()
    except OSError as error:
        raise _away(error) from error


def _make_key() -> SigningKey:
    algorithm = settings.current().token_algorithm
    made = OKPKey.generate_key("Ed25519") if algorithm == "EdDSA" else RSAKey.generate_key(RSA_BITS)
    folder = folder_of_keys()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{clock.now().strftime(NAMED_BY)}-{made.thumbprint()[:8]}.pem"
    draft = path.with_name(f".{secrets.token_hex(8)}.draft")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(made.as_pem(private=True))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return _key_in(path)


def drop_retired_keys() -> int:
    """Delete the files of keys by which nothing can be signed any more that is still good. Answers how many.

    Raises Unavailable.
    """
    ring = _ring()
    gone = [key for key in ring if _retired(key, _of(ring, str(key.key.alg)))]
    try:
        for key in gone:
            key.path.unlink(missing_ok=True)
    except OSError as error:
        raise _away(error) from error
    return len(gone)


def damaged_files() -> list[str]:
    """The names of files in the folder that should be keys and are none. Raises Unavailable."""
    fine = {key.path.name for key in _ring()}
    try:
        return sorted(path.name for path in folder_of_keys().glob("*.pem") if path.name not in fine)
    except OSError as error:
        raise _away(error) from error


def _retired(key: SigningKey, same: Iterable[SigningKey]) -> bool:
    """Whether another one has signed in its place for so long that all it signed is over."""
    later = [other.made_at for other in same if other.made_at > key.made_at]
    return bool(later) and min(later) + RETIRES_AFTER < clock.now()


def folder_of_keys() -> Path:
    """Where the keys lie: SIGNING_KEYS_DIR."""
    return Path(settings.current().signing_keys_dir)


def _of_algorithm(ring: list[SigningKey]) -> list[SigningKey]:
    return _of(ring, settings.current().token_algorithm)


def _of(ring: list[SigningKey], algorithm: str) -> list[SigningKey]:
    return [one for one in ring if one.key.alg == algorithm]


def _ring() -> list[SigningKey]:
    """All keys of the folder, newest first; parsed again only when it changed. None where there is no folder yet.

    Raises Unavailable.
    """
    folder = folder_of_keys()
    try:
        with os.scandir(folder) as entries:
            files = sorted(entry.name for entry in entries if entry.name.endswith(".pem"))
        seen = tuple(_mark_of(folder / name) for name in files)
        kept = _read.get(folder)
        if kept is None or kept[0] != seen:
            ring = [one for name in reversed(files) if (one := _key_or_none(folder / name)) is not None]
            kept = _read[folder] = (seen, ring)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _away(error) from error
    return kept[1]


def _mark_of(path: Path) -> tuple[str, int, int, int]:
    try:
        told = path.stat()
    except FileNotFoundError:
        return path.name, 0, 0, 0  # a rotation dropped it meanwhile
    return path.name, told.st_mtime_ns, told.st_size, told.st_ino


def _away(error: OSError) -> Unavailable:
    log.error("signing_keys.unreadable", error=type(error).__name__)
    return Unavailable()


def _key_or_none(path: Path) -> SigningKey | None:
    try:
        return _key_in(path)
    except FileNotFoundError:
        return None  # a rotation dropped it meanwhile
    except (JoseError, ValueError, TypeError):
        log.error("signing_keys.damaged", file=path.name)
        return None


def _key_in(path: Path) -> SigningKey:
    made_at = datetime.strptime(path.name.partition("-")[0], NAMED_BY).replace(tzinfo=UTC)
    pem = path.read_bytes()
    for algorithm, kind in KINDS.items():
        try:
            bare = kind.import_key(pem)
        except (JoseError, ValueError, TypeError):
            continue
        if not bare.is_private or (isinstance(bare, OKPKey) and bare.curve_name != "Ed25519"):
            break
        named: Any = {"kid": bare.thumbprint(), "alg": algorithm, "use": "sig"}
        return SigningKey(path, made_at, kind.import_key(pem, named))
    raise ValueError(path.name)
