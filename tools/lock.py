"""Write constraints.txt and constraints-dev.txt: every requirement pinned, with the digests of all its files.

    python3 tools/lock.py            pin again, keeping versions that still fit
    python3 tools/lock.py --upgrade  take the newest versions
    python3 tools/lock.py --check    say whether the files still answer pyproject.toml, change nothing

The files hold for Python 3.11 to 3.14 on every system and name no registry: whoever installs from them takes
the packages from wherever their pip is set up to look, and the digests say whether they are the right ones.
Needs only python3 and a way to reach a registry; the resolver lives in a folder that is removed afterwards.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
LOWEST_PYTHON: Final = "3.11"
RESOLVER: Final = "uv==0.13.8"
# File → the dependency groups it carries beside the project's own dependencies.
FILES: Final = {"constraints.txt": ("build",), "constraints-dev.txt": ("build", "dev")}
ADDRESS: Final = re.compile(r"://|\b(?:index-url|find-links|trusted-host)\b")
PINNED: Final = re.compile(r"^(?P<name>[a-z0-9][a-z0-9.-]*)(?:\[[a-z0-9,-]+\])?==(?P<version>[^\s;\\]+)", re.MULTILINE)


def make_resolver(folder: Path) -> Path:
    """Install the resolver into a virtual environment in this folder and return its program."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run(
        [
            folder / "bin" / "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            RESOLVER,
        ],
        check=True,
    )
    return folder / "bin" / "uv"


def resolve(resolver: Path, target: Path, groups: tuple[str, ...], *, upgrade: bool, base: Path | None) -> None:
    """Pin the project's dependencies and these groups into `target`; what stands there already is preferred.

    `base` is a file whose versions are binding, so that the second file never disagrees with the first.
    """
    command: list[str | Path] = [resolver, "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
    command += ["--python-version", LOWEST_PYTHON, "--python", sys.executable, "--no-header", "--no-annotate"]
    command += ["--no-emit-index-url", "--no-config", "--custom-compile-command", "python3 tools/lock.py"]
    for group in groups:
        command += ["--group", group]
    if base is not None:
        # Without digests: a constraint with digests is refused for a package that the target does not name.
        pins = target.with_suffix(".base")
        pins.write_text(re.sub(r" \\\n( +--hash=\S+( \\)?\n)+", "\n", base.read_text()))
        command += ["--constraints", pins]
    if upgrade:
        command.append("--upgrade")
    command += ["--output-file", target, "pyproject.toml"]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def pins_of(text: str) -> set[tuple[str, str]]:
    """The (name, version) pairs that a constraints file pins."""
    return {(match["name"], match["version"]) for match in PINNED.finditer(text)}


def find_faults(texts: dict[str, str]) -> list[str]:
    """What is wrong with constraints files, one sentence each; empty when all is well."""
    faults: list[str] = []
    for name, text in texts.items():
        if ADDRESS.search(text):
            faults.append(f"{name} names an address")
        blocks = re.split(r"\n(?=\S)", text.strip())
        faults += [f"{name}: no digest for {block.split()[0]}" for block in blocks if "--hash=sha256:" not in block]
    missing = pins_of(texts["constraints.txt"]) - pins_of(texts["constraints-dev.txt"])
    faults += [f"constraints-dev.txt lacks {name} {version}" for name, version in sorted(missing)]
    return faults


def main() -> int:
    """Make or check the files; 0 when they are right, 1 when not."""
    parser = argparse.ArgumentParser(description="Pin the dependencies.")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--upgrade", action="store_true", help="take the newest versions")
    choice.add_argument("--check", action="store_true", help="change nothing, say whether the files are right")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="doorward-lock-") as name:
        folder = Path(name)
        resolver = make_resolver(folder / "venv")
        base: Path | None = None
        for file, groups in FILES.items():
            target = folder / file
            if (ROOT / file).exists():
                shutil.copyfile(ROOT / file, target)
            resolve(resolver, target, groups, upgrade=options.upgrade, base=base)
            base = target
        texts = {file: (folder / file).read_text() for file in FILES}
        faults = find_faults(texts)
        if options.check:
            stale = [file for file in FILES if not (ROOT / file).exists() or (ROOT / file).read_text() != texts[file]]
            faults += [f"{file} does not answer pyproject.toml: run python3 tools/lock.py" for file in stale]
        if not faults and not options.check:
            for file, text in texts.items():
                (ROOT / file).write_text(text)
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
