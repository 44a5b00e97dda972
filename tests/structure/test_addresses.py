"""No file of the project names a place of somebody's machine or the address of a registry."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from tests.structure.source import ROOT

if TYPE_CHECKING:
    from pathlib import Path

# Put together from pieces, so that this file does not hold what it looks for.
FOLDERS = ("work", "root", r"home/\w+", r"Users/\w+")
HOSTS = (
    r"pypi\." + "org",
    r"python" + r"hosted\.org",
    r"registry\." + "(npmjs|yarnpkg)",
    r"artifactory\." + r"\w",
    r"devpi\." + r"\w",
)
# A folder of ours, as in portal/work, has something before its slash.
PLACES = re.compile("|".join([rf"(?<![\w.)}}*])/({'|'.join(FOLDERS)})\b", *HOSTS]).encode())
# What others wrote, pinned by its digest: words in it are not ours.
VENDORED = ("static/vendor/", "tests/vendor/")
# What tools make.
MADE = {".venv", ".git", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", "instance", "__pycache__"}


def project_files() -> list[Path]:
    """Every file that is in the repository or about to be; where git does not say, every file not made by tools."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=False, capture_output=True) if shutil.which("git") else None
    if listed is not None and listed.returncode == 0:
        found = [ROOT / name.decode() for name in listed.stdout.split(b"\0") if name]
    else:
        found = [path for path in ROOT.rglob("*") if not MADE & set(path.relative_to(ROOT).parts)]
    # Parts of others are taken as they are: what they name is none of ours.
    return sorted(path for path in found if path.is_file() and "vendor" not in path.relative_to(ROOT).parts)


def places_in(name: str, content: bytes) -> list[str]:
    """Each place of a machine or address of a registry in a file, with its line."""
    return [
        f"{name}:{number} {match.group().decode()}"
        for number, line in enumerate(content.split(b"\n"), 1)
        for match in PLACES.finditer(line)
    ]


def test_no_file_names_a_machine_or_a_registry() -> None:
    files = {str(path.relative_to(ROOT)): path for path in project_files()}
    assert len(files) > 200
    ours = {name: path for name, path in files.items() if not name.startswith(VENDORED)}
    assert [place for name, path in ours.items() for place in places_in(name, path.read_bytes())] == []


def test_places_and_addresses_are_found() -> None:
    for bad in (
        "/" + "work/main/run",
        'open("/' + 'root/.ssh/id")',
        "cd /" + "home/alice/doorward",
        "https://" + "pypi." + "org/simple",
        "https://files.python" + "hosted.org/x.whl",
        "https://registry." + "npmjs.org/htmx",
    ):
        assert len(places_in("f", b"\n" + bad.encode())) == 1, bad


def test_names_of_our_own_are_not() -> None:
    for fine in ("portal/work/models.py", "templates/account/home/index.html", "from portal.work import runs"):
        assert places_in("f", fine.encode()) == [], fine
