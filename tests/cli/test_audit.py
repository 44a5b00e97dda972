"""`doorward audit verify`: one line and an exit code; also after a restore of an older backup."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.cli.conftest import Doorwards


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_it_tells_in_a_line_and_by_its_exit_code(doorward: Doorwards, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert doorward("client", "create", "--name", "gate", "--scope", "keys:verify").exit_code == 0
    assert doorward("jobs", "run", "seal_audit").exit_code == 0
    assert doorward("backup", "create", "old.zip").exit_code == 0
    assert doorward("client", "create", "--name", "second", "--scope", "keys:verify").exit_code == 0
    assert doorward("jobs", "run", "seal_audit").exit_code == 0
    told = doorward("audit", "verify", "--roots", str(data / "audit-roots.jsonl"))
    assert (told.exit_code, told.stdout.count("\n"), told.stdout[:6]) == (0, 1, "whole:"), told.output
    assert doorward("audit", "verify", "--roots", "none.jsonl").exit_code == 1
    (tmp_path / "odd.jsonl").write_text("no root\n")
    odd = doorward("audit", "verify", "--roots", "odd.jsonl")
    assert (odd.exit_code, odd.stderr) == (1, "doorward: line 1 of odd.jsonl is no root\n")

    head = (data / "audit-head.json").read_bytes()
    restored = doorward("backup", "restore", "old.zip", "--replace", "--yes")
    assert restored.exit_code == 0, restored.output
    assert doorward("audit", "verify").exit_code == 0
    (aside,) = data.glob("audit-head.2*.json")
    assert aside.read_bytes() == head
    shutil.copy(aside, data / "audit-head.json")
    told = doorward("audit", "verify")
    assert (told.exit_code, told.stdout[:7]) == (1, "broken "), "the end of before is not that of the backup"
    aside.replace(data / "audit-head.json")
    with sqlite3.connect(tmp_path / "doorward.sqlite3") as database:
        database.execute("DELETE FROM audit_entries WHERE seq = 2")
    told = doorward("audit", "verify")
    assert (told.exit_code, told.stdout) == (1, "broken at entry 2: removed: entry 2 is not there\n")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_a_command_left_cannot_be_cut_off_unseen(doorward: Doorwards, tmp_path: Path) -> None:
    """Without a server beside it too: the command itself keeps the end where it has sealed."""
    for name in ("first", "second"):
        assert doorward("client", "create", "--name", name, "--scope", "keys:verify").exit_code == 0
    with sqlite3.connect(tmp_path / "doorward.sqlite3") as database:
        [(last,)] = database.execute("SELECT max(seq) FROM audit_entries")
        database.execute("DELETE FROM audit_entries WHERE seq = ?", [last])
        before = database.execute("SELECT digest FROM audit_entries WHERE seq = ?", [last - 1]).fetchone()[0]
        database.execute("UPDATE audit_head SET seq = ?, digest = ?", [last - 1, before])
    told = doorward("audit", "verify")
    assert (told.exit_code, "cut off at the end" in told.stdout) == (1, True), told.stdout
    assert doorward("audit", "verify").exit_code == 1, "what vouches for it stays"
