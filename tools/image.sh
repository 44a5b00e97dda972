#!/bin/sh
# Walks the Dockerfile's steps without Docker, in a folder that is removed afterwards: the wheel and the source archive
# build and hold the same, and the installed `doorward` finds its templates, static files and migrations from anywhere.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
cd "$here"
. tools/setup.sh
find_python
python=$(command -v "$python")

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
notes=$place/notes

say "Copying what .dockerignore lets in"
mkdir "$place/src" "$place/elsewhere" "$place/data"
for path in portal templates static migrations pyproject.toml constraints.txt README.md CHANGELOG.md LICENSE; do
  [ -e "$path" ] || die "$path is missing, and the image is built from it."
  cp -R "$path" "$place/src/"
done
find "$place/src" -name __pycache__ -type d -prune -exec rm -rf {} +
cd "$place/src"

say "Installing what constraints.txt names"
quietly "Making the environment" "$python" -m venv "$place/opt"
quietly "Installing" "$place/opt/bin/pip" install --require-hashes -r constraints.txt

say "Building the wheel"
quietly "The wheel" "$place/opt/bin/pip" wheel --no-deps --no-build-isolation --wheel-dir "$place/wheel" .
say "Building the source archive, and the wheel from it"
quietly "The source archive" "$place/opt/bin/python" -m hatchling build --target sdist --directory "$place/sdist"
quietly "The wheel from it" "$place/opt/bin/pip" wheel --no-deps --no-build-isolation \
  --wheel-dir "$place/second" "$place"/sdist/*.tar.gz
"$place/opt/bin/python" - "$place"/wheel/*.whl "$place"/second/*.whl <<'PYTHON'
import sys
import zipfile

first, second = ({info.filename: info.CRC for info in zipfile.ZipFile(path).infolist()} for path in sys.argv[1:])
differing = sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))
if differing:
    sys.exit(f"The two wheels differ in {', '.join(differing[:5])}")
foreign = sorted(name for name in first if not name.startswith(("portal/", "doorward-")))
if foreign:
    sys.exit(f"The wheel carries what it should not: {', '.join(foreign[:5])}")
PYTHON

say "Installing the wheel"
quietly "Installing the wheel" "$place/opt/bin/pip" install --no-deps --no-index "$place"/wheel/*.whl
# The sources go, so that nothing can be found there by chance.
rm -rf "$place/src"

say "Asking it from another folder"
cd "$place/elsewhere"
PATH=$place/opt/bin:$PATH
DATA_DIR=$place/data
export PATH DATA_DIR
"$place/opt/bin/python" - <<'PYTHON'
import sys

from portal.core import places

for folder, sign in (
    (places.templates_dir(), "*/*.html"),
    (places.static_dir(), "*.css"),
    (places.migrations_dir(), "env.py"),
):
    if not any(folder.glob(sign)):
        sys.exit(f"No {sign} in {folder}")
PYTHON
quietly "doorward --help" doorward --help
say "The image's steps pass."
