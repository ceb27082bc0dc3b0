# Shared by the scripts beside it: finds Python and keeps .venv up to date.
# Sourced, not run.

# Print the path of a Python that is new enough, or explain what is missing and stop.
find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python; do
    if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 &&
      "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  echo "Presence needs Python 3.11 or newer, and none was found. Install it, or name it: PYTHON=/path/to/python $0" >&2
  return 1
}

# Make .venv if there is none, and install the given requirements files when they have changed.
prepare_venv() {
  local python wanted stamp=.venv/.installed-$1
  # Without pip it is what an interrupted first start left behind.
  if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    [ ! -e .venv ] || rm -rf .venv
    python=$(find_python)
    echo "Making .venv with $("$python" --version) ..." >&2
    "$python" -m venv .venv || {
      echo "A virtual environment could not be made. On Debian and Ubuntu: apt-get install python3-venv" >&2
      return 1
    }
  fi
  wanted=$(cat requirements*.txt | cksum)
  if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    echo "Installing $1 ..." >&2
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$1"
    echo "$wanted" >"$stamp"
  fi
}
