#!/usr/bin/env bash
# Runs the linter, the type checker and the core tests in .venv, which it makes first. --all adds the long tests:
# notebooks, real data sets and long fuzzing. Further arguments go to pytest.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
make_environment test
tier=(-m "not long")
if [ "${1:-}" = --all ]; then
  tier=()
  shift
fi
bash scripts/lint.sh
JAX_PLATFORMS=cpu .venv/bin/python -m pytest -q -n auto --dist loadfile "${tier[@]}" "$@"
