"""`doorward rotate signing-key` where the key cannot be written."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Doorwards


def test_a_folder_that_is_none_is_one_line(doorward: Doorwards, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    elsewhere = {"SIGNING_KEYS_DIR": str(tmp_path / "file")}
    done = doorward("rotate", "signing-key", **elsewhere)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "doorward: This cannot be done safely at the moment. Try again shortly."
    assert "down     signing-keys:" in doorward("check", **elsewhere).stdout
