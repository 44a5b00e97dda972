"""The secrets a development installation makes for itself, kept in DATA_DIR/secrets.json with mode 600."""

from __future__ import annotations

import json
import os
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FORMER = "former_encryption_keys"
_read: dict[Path, tuple[tuple[int, int, int], tuple[str, ...]]] = {}


def made_secrets(data_dir: Path) -> dict[str, str]:
    """Secrets made once; several processes starting at once agree on one."""
    path = data_dir / "secrets.json"
    if not path.exists():
        made = {"secret_key": secrets.token_urlsafe(48), "encryption_key": new_encryption_key()}
        draft = _drafted(data_dir, made)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    loaded: dict[str, str] = json.loads(path.read_text())
    return loaded


def new_encryption_key() -> str:
    """A fresh key, as ENCRYPTION_KEYS wants it."""
    from cryptography.fernet import Fernet  # takes long to load, and settings are read by every command

    return Fernet.generate_key().decode()


def keys_of(made: dict[str, str]) -> list[str]:
    """The encryption keys of such secrets, newest first."""
    return [made["encryption_key"], *(key for key in made.get(FORMER, "").split(",") if key)]


def kept_keys(data_dir: Path) -> tuple[str, ...]:
    """The encryption keys that are in the file now; none where there is no file. Read again only when it changed."""
    path = data_dir / "secrets.json"
    try:
        stat = path.stat()
    except FileNotFoundError:
        return ()
    mark = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    known = _read.get(path)
    if known is None or known[0] != mark:
        known = _read[path] = (mark, tuple(keys_of(json.loads(path.read_text()))))
    return known[1]


def put_new_key_first(data_dir: Path) -> None:
    """Make a new encryption key; those of before stay behind it, for what they sealed and for who has not looked."""
    made = made_secrets(data_dir)
    made |= {"encryption_key": new_encryption_key(), FORMER: ",".join(keys_of(made))}
    _drafted(data_dir, made).replace(data_dir / "secrets.json")


def _drafted(data_dir: Path, made: dict[str, str]) -> Path:
    draft = data_dir / f"secrets.{secrets.token_hex(8)}.draft"
    draft.touch(mode=0o600)
    with draft.open("w") as file:
        json.dump(made, file)
        file.flush()
        os.fsync(file.fileno())
    return draft
