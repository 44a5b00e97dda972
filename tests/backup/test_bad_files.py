"""A file that is no backup, a damaged or dishonest one: one line, and nothing changed."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from portal.web.frame import Doorward
from tests.backup.conftest import ENCRYPTION_KEY, Doorwards, make_talk, pack, parts_of, said

Parts = dict[str, Any]


@pytest.fixture
def good(doorward: Doorwards, tmp_path: Path) -> Path:
    """A small backup."""
    doorward("client", "create", "--name", "gate", "--scope", "keys:verify")
    assert doorward("backup", "create", "good.zip").exit_code == 0
    return tmp_path / "good.zip"


def changed(parts: Parts, change: Callable[[dict[str, Any]], None]) -> None:
    """Write the manifest again after a change."""
    manifest = json.loads(parts["manifest.json"])
    change(manifest)
    parts["manifest.json"] = json.dumps(manifest)


def put(parts: Parts, table: str, data: bytes) -> None:
    """Another text for a part, with a manifest that says so."""
    parts[f"{table}.jsonl"] = data

    def change(manifest: dict[str, Any]) -> None:
        part = next(part for part in manifest["parts"] if part["table"] == table)
        part |= {"rows": data.count(b"\n"), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    changed(parts, change)


def swap(parts: Parts) -> None:
    """Two parts in each other's place."""
    parts["plans.jsonl"], parts["accounts.jsonl"] = parts["accounts.jsonl"], parts["plans.jsonl"]


def rename(parts: Parts, name: str) -> None:
    """A part under another name, in the file and in its manifest."""
    parts[f"{name}.jsonl"] = parts.pop("accounts.jsonl")
    changed(parts, lambda told: next(one for one in told["parts"] if one["table"] == "accounts").update(table=name))


def edit(parts: Parts) -> None:
    """One letter of one value."""
    parts["plans.jsonl"] = parts["plans.jsonl"].replace(b"free", b"fred")


SPOILT: dict[str, Callable[[Parts], None]] = {
    "a part swapped": swap,
    "a value edited": edit,
    "a part missing": lambda parts: parts.pop("accounts.jsonl"),
    "a part too many": lambda parts: parts.update({"more.jsonl": b""}),
    "no manifest": lambda parts: parts.pop("manifest.json"),
    "a manifest that is no JSON": lambda parts: parts.update({"manifest.json": "{"}),
    "a manifest of another shape": lambda parts: changed(parts, lambda told: told.update(parts={})),
    "a format of tomorrow": lambda parts: changed(parts, lambda told: told.update(format=2)),
    "a way out of the folder": lambda parts: rename(parts, "../accounts"),
    "a table that is not ours": lambda parts: rename(parts, "strange"),
    "a table of the database's own": lambda parts: rename(parts, "sqlite_master"),
    "no line": lambda parts: put(parts, "plans", b"no JSON\n"),
    "no list": lambda parts: put(parts, "plans", b"{}\n"),
    "a row too short": lambda parts: put(parts, "plans", b"[1]\n"),
    "a last line without an end": lambda parts: put(parts, "plans", parts["plans.jsonl"] + b"[]"),
    "a value of another kind": lambda parts: put(parts, "plans", parts["plans.jsonl"].replace(b'"free"', b"7")),
    "a row twice": lambda parts: put(parts, "plans", parts["plans.jsonl"] * 2),
    "a reference to nobody": lambda parts: put(parts, "sealed_contents", b'[7,"00"]\n'),
    "a revision of tomorrow": lambda parts: changed(parts, lambda told: told.update(revision="9999")),
    "a revision that is none": lambda parts: changed(parts, lambda told: told.update(revision="../x")),
}


# What only the database, or its schema, can tell; of the rest no database is asked.
TOLD_BY_DATABASE = {"a table that is not ours", "a value of another kind", "a row twice", "a reference to nobody"}
BOTH = [("sqlite", spoilt) for spoilt in SPOILT] + [("postgresql", spoilt) for spoilt in sorted(TOLD_BY_DATABASE)]


@pytest.mark.parametrize(("database_url", "spoilt"), BOTH, indirect=["database_url"])
def test_a_spoilt_backup_is_one_line_and_nothing_changes(
    good: Path, doorward: Doorwards, tmp_path: Path, spoilt: str
) -> None:
    parts: Parts = dict(parts_of(good))
    SPOILT[spoilt](parts)
    pack(tmp_path / "bad.zip", parts)
    done = doorward("backup", "restore", "bad.zip", "--replace", "--yes")
    assert "Traceback" not in said(done)
    assert not [one for one in Path("/proc/self/fd").glob("*") if str(one.resolve()).endswith("bad.zip")]
    assert [one["name"] for one in json.loads(doorward("client", "list").stdout)] == ["gate"]
    assert not list(tmp_path.glob("*.restoring*"))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # no database is asked
def test_a_file_that_is_none_is_told(good: Path, doorward: Doorwards, tmp_path: Path) -> None:
    (tmp_path / "cut.zip").write_bytes(good.read_bytes()[:-100])
    (tmp_path / "text.zip").write_text("no archive")
    (tmp_path / "empty.zip").touch()
    torn = bytearray(good.read_bytes())
    torn[200] ^= 0xFF
    (tmp_path / "torn.zip").write_bytes(torn)
    for name in ("cut.zip", "text.zip", "empty.zip", "torn.zip", "gone.zip", "."):
        for command in ("verify", "restore"):
            done = doorward("backup", command, name)
            assert done.exit_code in {1, 2}, name  # 2: click says that a folder is no file
            assert done.stdout == ""
            assert "Traceback" not in done.stderr


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_grows_beyond_measure_or_is_no_plain_file_is_not_opened(
    good: Path, doorward: Doorwards, tmp_path: Path
) -> None:
    parts = parts_of(good)
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        for name, data in parts.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o120777 if name == "plans.jsonl" else 0o100600) << 16
            archive.writestr(entry, data)
    assert "no plain file" in said(doorward("backup", "verify", "link.zip"))
    with zipfile.ZipFile(tmp_path / "bzip.zip", "w", zipfile.ZIP_BZIP2) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    assert "packed in a way" in said(doorward("backup", "verify", "bzip.zip"))
    many = {**parts, **{f"t{number}.jsonl": b"" for number in range(600)}}
    pack(tmp_path / "many.zip", many)
    assert "too many" in said(doorward("backup", "verify", "many.zip"))
    # A directory that lies about a length: what is read beyond it is refused.
    data = good.read_bytes().replace(len(parts["plans.jsonl"]).to_bytes(4, "little"), (2**31).to_bytes(4, "little"))
    (tmp_path / "liar.zip").write_bytes(data)
    said(doorward("backup", "verify", "liar.zip"))


def test_a_backup_of_another_key_changes_nothing_until_that_key_is_put_behind(
    app: Doorward, doorward: Doorwards, other: Doorwards, tmp_path: Path
) -> None:
    make_talk(app)
    assert doorward("backup", "create", "one.zip").exit_code == 0
    fresh = Fernet.generate_key().decode()
    for _ in range(2):  # empty still, the second time
        refused = said(other("backup", "restore", "one.zip", ENCRYPTION_KEYS=fresh))
        assert "ENCRYPTION_KEYS: did not seal" in refused and refused.endswith("nothing was changed")
    assert other("backup", "restore", "one.zip", ENCRYPTION_KEYS=f"{fresh},{ENCRYPTION_KEY}").exit_code == 0
