# Sourced by demo.sh and test.sh: `make_environment EXTRA` makes .venv with this package and one of its extras.
# It needs only a Python, does not change the system's Python, and does nothing if the environment is up to date.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

make_environment() {
  local extra=$1 stamp state python
  # The stamp has a checksum of the files that choose the packages, so a change of them installs anew.
  state=$(cat setup.cfg pyproject.toml constraints.txt | cksum)
  stamp=.venv/.installed-$extra
  if [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$state" ]; then return; fi
  echo "making .venv (package and extra '$extra'); this takes about a minute"
  if command -v uv >/dev/null; then
    [ -x .venv/bin/python ] || uv venv -q --python '>=3.11' .venv
    uv pip install -q --python .venv/bin/python -c constraints.txt -e ".[$extra]"
  else
    python=$(find_python)
    if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
      rm -rf .venv
      "$python" -m venv .venv >/dev/null 2>&1 || environment_without_ensurepip "$python"
    fi
    .venv/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[$extra]" 2> >(grep -v WARNING >&2)
  fi
  echo "$state" >"$stamp"
}

# Prints the path of the first Python that is new enough.
find_python() {
  local name
  for name in python3 python3.13 python3.12 python3.11; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  echo "no Python >= 3.11 on the PATH, only: $(python3 --version 2>&1)" >&2
  echo "install Python 3.11 or newer, or uv" >&2
  exit 2
}

# Makes .venv without ensurepip, which Debian's Python lacks. pip's wheel runs without being installed, and installs
# itself into the environment. If the module venv is missing too, the wheel installs virtualenv, which makes .venv.
environment_without_ensurepip() {
  local python=$1 folder
  rm -rf .venv
  folder=$(mktemp -d)
  pip_wheel "$python" "$folder"
  local pip=("$python" "$(echo "$folder"/pip-*.whl)/pip")
  if "$python" -m venv --without-pip .venv 2>/dev/null; then
    "${pip[@]}" -q --python .venv/bin/python install pip
  else
    "${pip[@]}" install -q --target "$folder/site" virtualenv
    PYTHONPATH=$folder/site "$python" -m virtualenv -q .venv
  fi
  rm -rf "$folder"
}

# Copies pip's wheel into a folder: the one that the distribution ships, or else that of the configured package index.
pip_wheel() {
  local python=$1 folder=$2
  if cp /usr/share/python-wheels/pip-*.whl "$folder" 2>/dev/null; then return; fi
  if "$python" scripts/fetch_pip.py "$folder"; then return; fi
  if (cd "$folder" && apt-get download -qq python3-pip-whl && dpkg -x python3-pip-whl*.deb .) >/dev/null 2>&1; then
    cp "$folder"/usr/share/python-wheels/pip-*.whl "$folder"
    return
  fi
  echo "this Python has no pip, and no package index is configured to fetch it from" >&2
  echo "do one of these: apt-get install python3-venv; set PIP_INDEX_URL; install uv" >&2
  exit 2
}
