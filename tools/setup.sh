# Read in by `run` and `test`: makes .venv and fills it from a constraints file. POSIX sh; needs only python3.
# The caller has set -eu, stands in the checkout, and has set `here` to its path.
# shellcheck shell=sh

LOWEST=3.11

# A variable meant for another Python or another pip must not reach ours.
unset PYTHONHOME PYTHONPATH PYTHONSTARTUP PIP_USER PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV PIP_REQUIRE_HASHES
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

say() {
  printf '%s\n' "$*"
}

die() {
  printf 'doorward: %s\n' "$*" >&2
  exit 1
}

# Sets `python` to the first Python that is new enough.
find_python() {
  seen=
  for python in python3 python3.14 python3.13 python3.12 python3.11; do
    command -v "$python" >/dev/null 2>&1 || continue
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      return 0
    fi
    [ -n "$seen" ] || seen=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true)
  done
  die "Python $LOWEST or newer is needed${seen:+, and python3 is $seen}. Install it so that python3 or python$LOWEST is found."
}

# quietly WHAT COMMAND…: runs the command, and shows what it printed only when it fails.
quietly() {
  what=$1
  shift
  if "$@" >"$notes" 2>&1; then
    return 0
  else
    code=$?
  fi
  cat "$notes" >&2
  # An orderly failure leaves a sound .venv behind; a killed one (128 and more) may not, so its mark stays.
  [ "$code" -ge 128 ] || rm -f .venv/unfinished
  die "$what failed (the output is above)."
}

# Whether .venv holds a Python that runs and can install, and lies where it was made: its programs know it by full path.
venv_is_sound() {
  [ ! -e .venv/unfinished ] || return 1
  [ ! -e .venv/place ] || [ "$(cat .venv/place)" = "${here:?}" ] || return 1
  .venv/bin/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

make_venv() {
  find_python
  say "Making .venv with $("$python" --version 2>&1)"
  rm -rf .venv
  mkdir .venv
  : >.venv/unfinished
  if "$python" -m venv .venv >"$notes" 2>&1; then
    return 0
  fi
  # Some systems ship Python without venv or without ensurepip.
  if "$python" -c 'import virtualenv' 2>/dev/null; then
    quietly "Making .venv" "$python" -m virtualenv --quiet .venv
    return 0
  fi
  "$python" -c 'import pip' 2>/dev/null || die "this Python has neither venv nor pip. Install the system's package for one of them (python3-venv)."
  say "This Python has no venv: fetching virtualenv"
  borrowed=$(mktemp -d)
  quietly "Fetching virtualenv" "$python" -m pip install --quiet --target "$borrowed" "virtualenv>=20.26"
  quietly "Making .venv" env PYTHONPATH="$borrowed" "$python" -m virtualenv --quiet .venv
  rm -rf "$borrowed"
}

# What .venv was made from, word for word.
describe() {
  cat "$1" pyproject.toml
}

is_set_up() {
  [ -e ".venv/$2" ] && venv_is_sound && describe "$1" | cmp -s - ".venv/$2"
}

# One set-up at a time. The kernel gives the lock back when this shell ends, however it ends.
take_lock() {
  exec 9>>.venv.lock
  if ! "$1" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)' 2>/dev/null; then
    say "Another set-up is at work here: waiting for it"
    "$1" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
  fi
}

# set_up CONSTRAINTS STAMP: seconds when nothing has changed. A change of either file, a moved checkout, a lost Python
# or an interrupted set-up makes it again.
set_up() {
  is_set_up "$1" "$2" && return 0
  find_python
  take_lock "$python"
  if ! is_set_up "$1" "$2"; then
    notes=.venv/set-up.log
    venv_is_sound || make_venv
    : >.venv/unfinished
    # One stamp at a time: after another set-up, what an older stamp says is no longer so.
    rm -f .venv/stamp .venv/stamp-dev
    printf '%s\n' "$here" >.venv/place
    say "Installing what $1 names"
    quietly "Installing from $1" .venv/bin/python -m pip install --quiet --require-hashes -r "$1"
    say "Installing Doorward itself"
    quietly "Installing Doorward" .venv/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
    describe "$1" >".venv/$2.new"
    mv ".venv/$2.new" ".venv/$2"
    rm -f .venv/unfinished
  fi
  exec 9>&-
}
