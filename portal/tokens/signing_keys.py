"""The keys that sign access tokens: files of SIGNING_KEYS_DIR, the newest signs, former ones check for a while more.

A file is a private key in PEM (PKCS 8), mode 600, named by its time of making. Whoever shares the folder between hosts
shares the keys; each process looks whether the folder changed. A key id is the thumbprint of RFC 7638.
"""

from __future__ import annotations

import os
import secrets
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
_read: dict[Path, tuple[int, list[SigningKey]]] = {}


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
    try:
        found = _of_algorithm(_ring())
        return found[0] if found else make_key()
    except OSError as error:
        log.error("signing_keys.unreadable", error=type(error).__name__)
        raise Unavailable from error


def checking_keys() -> list[SigningKey]:
    """The keys by which tokens may be signed that are good now, newest first. Raises Unavailable."""
    try:
        found = _of_algorithm(_ring())
    except OSError as error:
        log.error("signing_keys.unreadable", error=type(error).__name__)
        raise Unavailable from error
    return [key for key in found if not _retired(key, found)]


def key_set() -> dict[str, Any]:
    """The public halves of those as a key set (RFC 7517). Raises Unavailable."""
    signing_key()
    return {"keys": [one.key.as_dict(private=False) for one in checking_keys()]}


def make_key() -> SigningKey:
    """Make a key of the algorithm of the settings; from now on it signs. Raises OSError."""
    algorithm = settings.current().token_algorithm
    made = OKPKey.generate_key("Ed25519") if algorithm == "EdDSA" else RSAKey.generate_key(RSA_BITS)
    folder = _folder()
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
    _read.pop(folder, None)
    return _key_in(path)


def drop_retired_keys() -> int:
    """Delete the files of keys by which nothing can be signed any more that is still good. Answers how many.

    Raises OSError.
    """
    ring = _ring()
    gone = [key for key in ring if _retired(key, _of(ring, str(key.key.alg)))]
    for key in gone:
        key.path.unlink(missing_ok=True)
    _read.pop(_folder(), None)
    return len(gone)


def _retired(key: SigningKey, same: Iterable[SigningKey]) -> bool:
    """Whether another one has signed in its place for so long that all it signed is over."""
    later = [other.made_at for other in same if other.made_at > key.made_at]
    return bool(later) and min(later) + RETIRES_AFTER < clock.now()


def _folder() -> Path:
    return Path(settings.current().signing_keys_dir)


def _of_algorithm(ring: list[SigningKey]) -> list[SigningKey]:
    return _of(ring, settings.current().token_algorithm)


def _of(ring: list[SigningKey], algorithm: str) -> list[SigningKey]:
    return [one for one in ring if one.key.alg == algorithm]


def _ring() -> list[SigningKey]:
    """All keys of the folder, newest first; read again only when it changed. None where there is no folder yet."""
    folder = _folder()
    try:
        mark = folder.stat().st_mtime_ns
    except FileNotFoundError:
        return []
    kept = _read.get(folder)
    if kept is None or kept[0] != mark:
        ring = [one for path in sorted(folder.glob("*.pem"), reverse=True) if (one := _key_or_none(path)) is not None]
        kept = _read[folder] = (mark, ring)
    return kept[1]


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
        named: Any = {"kid": bare.thumbprint(), "alg": algorithm, "use": "sig"}
        return SigningKey(path, made_at, kind.import_key(pem, named))
    raise ValueError(path.name)
