# Shared by the scripts beside it: finds Python and keeps .venv up to date.
# Sourced, not run.

# Tell whether a program is a Python that is new enough.
is_new_enough() {
  command -v "$1" >/dev/null 2>&1 &&
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# Print the path of a Python that is new enough, or explain what is missing and stop.
find_python() {
  local candidate version
  if [ -n "${PYTHON:-}" ] && ! is_new_enough "$PYTHON"; then
    if command -v "$PYTHON" >/dev/null 2>&1; then
      version=$("$PYTHON" --version 2>&1) || true
      echo "Presence needs Python 3.11 or newer, and PYTHON=$PYTHON is ${version%%$'\n'*}. Name a newer one, or leave PYTHON unset." >&2
    else
      echo "There is no program $PYTHON, which PYTHON names. Name the path of Python 3.11 or newer, or leave PYTHON unset." >&2
    fi
    return 1
  fi
  for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11 python; do
    if [ -n "$candidate" ] && is_new_enough "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  echo "Presence needs Python 3.11 or newer, and none was found. Install it, or name it: PYTHON=/path/to/python $0" >&2
  return 1
}

# Leave .venv to be used or made; keep one that another tool made and that cannot be used, and say
# what to do. One of ours that is half made, for the first start was interrupted, goes.
check_venv() {
  if [ ! -e .venv ] && [ ! -L .venv ]; then
    return
  fi
  if [ ! -d .venv ]; then
    echo "$PWD/.venv is no folder, and Presence keeps its packages in one of that name. It was left as it is: move it away (mv .venv old.venv), then start again." >&2
    return 1
  fi
  if .venv/bin/python -m pip --version >/dev/null 2>&1; then
    if ! is_new_enough .venv/bin/python; then
      echo "$PWD/.venv has $(.venv/bin/python --version 2>&1), and Presence needs Python 3.11 or newer. It was left as it is: move it away (mv .venv old.venv), then start again." >&2
      return 1
    fi
    # What is installed by another one's Python goes to that one, be it the system's.
    if [ ! -e .venv/.made-by-presence ] &&
      ! .venv/bin/python -c 'import os, sys; sys.exit(not os.path.samefile(sys.prefix, ".venv"))'; then
      echo "$PWD/.venv is no environment of its own: its Python keeps packages elsewhere. It was left as it is: move it away (mv .venv old.venv), then start again." >&2
      return 1
    fi
    if [ ! -w .venv ]; then
      echo "$PWD/.venv cannot be written to by this user. Start as the user it belongs to, or give it to this one: chown." >&2
      return 1
    fi
    return
  fi
  if [ -e .venv/.made-by-presence ] && [ ! -L .venv ]; then
    rm -rf .venv
    return
  fi
  echo "$PWD/.venv was made by something else: it has no pip, which script/server needs. It was left as it is. Put pip into it (python -m ensurepip, or uv pip install pip), or move it away (mv .venv old.venv) and start again." >&2
  return 1
}

# Make .venv if there is none, and install the given requirements files when they have changed. Where
# the system has flock, of several starts at once one does it and the others wait.
prepare_venv() {
  (
    if command -v flock >/dev/null 2>&1 && ! flock -n 9; then
      echo "Waiting for another start that prepares .venv ..." >&2
      flock 9
    fi
    make_venv "$1"
  ) 9<.
}

make_venv() {
  local python wanted included stamp=.venv/.installed-$1
  check_venv || return 1
  if [ ! -e .venv ]; then
    python=$(find_python) || return 1
    if ! mkdir .venv 2>/dev/null; then
      echo "Presence keeps its packages in $PWD/.venv, and this folder cannot be written to. Put Presence where its user can write, or give the folder to that user: chown." >&2
      return 1
    fi
    # Says whose it is, from the beginning: an interrupted first start leaves it half made.
    : >.venv/.made-by-presence
    echo "Making .venv with $("$python" --version) ..." >&2
    "$python" -m venv .venv || {
      rm -rf .venv
      echo "A virtual environment could not be made. On Debian and Ubuntu: apt-get install python3-venv" >&2
      return 1
    }
  fi
  wanted=$(cat requirements*.txt | cksum)
  if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    echo "Installing $1 ..." >&2
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$1" || {
      echo "The packages of $1 could not be installed, for the reason above. pip needs an index of packages that it can reach, and one of Python 3.11 to 3.14 (.venv has $(.venv/bin/python --version 2>&1); PYTHON= chooses another, once .venv is moved away)." >&2
      return 1
    }
    echo "$wanted" >"$stamp"
    for included in $(sed -n 's/^-r //p' "$1"); do
      echo "$wanted" >".venv/.installed-$included"
    done
  fi
}
