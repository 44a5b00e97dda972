"""Fetch the front-end parts named in vendor.json, or check those that lie here.

Needs python3, and npm to fetch.

    python3 tools/vendor.py            fetch, check the pinned hashes, write the files
    python3 tools/vendor.py --record   the same, and write the new sha256 hashes into vendor.json
    python3 tools/vendor.py --check    offline: what lies here is what vendor.json says, and nothing else

A package is pinned by version and by the sha512 integrity of its archive, each file taken by sha256.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import shutil
import subprocess  # nosec B404  # starts npm with arguments of its own
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ElementTree  # nosec B405  # reads icons whose digest was checked
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PINS = ROOT / "tools" / "vendor.json"
# Nothing may lie in these folders that the pins do not name.
OWNED = (ROOT / "static" / "vendor", ROOT / "tests" / "vendor")
SVG = "{http://www.w3.org/2000/svg}"
SYMBOL = (
    '<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75"'
    ' stroke-linecap="round" stroke-linejoin="round">{shapes}</symbol>'
)

Package = dict[str, Any]


class Refused(Exception):
    """A part that is not what its pin says."""


def read_pins() -> list[Package]:
    """The pinned packages, in the order written."""
    packages: list[Package] = json.loads(PINS.read_text(encoding="utf-8"))["packages"]
    return packages


def targets_of(package: Package) -> list[dict[str, Any]]:
    """Every file that a package gives: those copied, and the sprite made of its icons."""
    return [*package["files"], *([package["sprite"]] if "sprite" in package else [])]


def fetch_archive(package: Package, folder: Path) -> Path:
    """The package's archive by `npm pack`; raises Refused when its integrity differs from the pin."""
    npm = shutil.which("npm")
    if npm is None:
        raise Refused("npm is needed to fetch the parts; --check works without it")
    wanted = f"{package['name']}@{package['version']}"
    # No shell, and every argument is a pin of this project.
    done = subprocess.run(  # nosec B603  # no shell, fixed arguments
        [npm, "pack", wanted, "--silent", "--ignore-scripts"], cwd=folder, capture_output=True, text=True
    )
    archives = sorted(folder.glob("*.tgz"))
    if done.returncode or len(archives) != 1:
        raise Refused(f"npm could not fetch {wanted}: {done.stderr.strip()}")
    digest = hashlib.sha512(archives[0].read_bytes()).digest()
    found = "sha512-" + base64.b64encode(digest).decode()
    if found != package["integrity"]:
        raise Refused(f"{wanted}: integrity is {found}, the pin says {package['integrity']}")
    return archives[0]


def read_member(archive: tarfile.TarFile, path: str) -> bytes:
    """One file of an npm archive; read, never unpacked, so no path of the archive touches the disk."""
    try:
        member = archive.extractfile(f"package/{path}")
    except KeyError:
        member = None
    if member is None:
        raise Refused(f"{path} is not in the archive")
    return member.read()


def drop_source_map(content: bytes) -> bytes:
    """Without the line that names a source map: browsers would ask for a file that is not shipped."""
    return re.sub(rb"\n?(//|/\*)# sourceMappingURL=[^\n*]*(\*/)?\s*\Z", b"\n", content)


def draw_sprite(archive: tarfile.TarFile, sprite: dict[str, Any]) -> bytes:
    """One SVG file with a symbol for each named icon, in alphabetical order."""
    lines = ['<svg xmlns="http://www.w3.org/2000/svg">']
    for name in sorted(sprite["icons"]):
        source = read_member(archive, f"{sprite['from']}/{name}.svg").decode()
        # Safe to parse: the archive has just been found equal to its pinned hash.
        drawing = ElementTree.fromstring(source)  # noqa: S314  # nosec B314  # its digest was checked
        shapes = "".join(
            f"<{shape.tag.removeprefix(SVG)} "
            + " ".join(f'{key}="{value}"' for key, value in shape.attrib.items())
            + " />"
            for shape in drawing
            if shape.get("stroke") != "none" or shape.get("fill") != "none"
        )
        lines.append(SYMBOL.format(name=name, shapes=shapes))
    return ("\n".join([*lines, "</svg>"]) + "\n").encode()


def fetch(packages: list[Package], *, record: bool) -> None:
    """Fetch every package and write its files; with `record`, take over their hashes as the new pins."""
    for package in packages:
        with (
            tempfile.TemporaryDirectory() as folder,
            tarfile.open(fetch_archive(package, Path(folder))) as archive,
        ):
            contents = [drop_source_map(read_member(archive, part["from"])) for part in package["files"]]
            if "sprite" in package:
                contents.append(draw_sprite(archive, package["sprite"]))
        for part, content in zip(targets_of(package), contents, strict=True):
            found = hashlib.sha256(content).hexdigest()
            if record:
                part["sha256"] = found
            elif found != part["sha256"]:
                raise Refused(f"{part['to']}: fetched {found}, the pin says {part['sha256']}")
            target = ROOT / part["to"]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        print(f"{package['name']} {package['version']}: {len(contents)} files")
    if record:
        PINS.write_text(json.dumps({"packages": packages}, indent=2) + "\n", encoding="utf-8")


def faults(packages: list[Package]) -> list[str]:
    """What is missing, changed or not named, one sentence each; reads only the disk."""
    said: list[str] = []
    named: set[Path] = set()
    for part in (part for package in packages for part in targets_of(package)):
        target = ROOT / part["to"]
        named.add(target)
        if not target.is_file():
            said.append(f"{part['to']} is missing")
        elif hashlib.sha256(target.read_bytes()).hexdigest() != part["sha256"]:
            said.append(f"{part['to']} is not the pinned file")
    for folder in OWNED:
        strays = sorted(path for path in folder.rglob("*") if path.is_file() and path not in named)
        said.extend(f"{stray.relative_to(ROOT)} is not named in vendor.json" for stray in strays)
    return said


def main() -> int:
    """Run the command; 0 when all is as pinned, 1 with the reasons on stderr otherwise."""
    parser = argparse.ArgumentParser(description="Front-end parts from npm, pinned by version and hash.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="only compare what lies here; no network")
    mode.add_argument("--record", action="store_true", help="fetch and write the new hashes into vendor.json")
    chosen = parser.parse_args()
    packages = read_pins()
    try:
        if not chosen.check:
            fetch(packages, record=chosen.record)
        said = faults(packages)
    except Refused as refusal:
        said = [str(refusal)]
    for sentence in said:
        print(f"vendor: {sentence}", file=sys.stderr)
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
