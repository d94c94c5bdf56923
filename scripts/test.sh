#!/usr/bin/env bash
# The linter, the types and the core suite, in .venv, which it makes first. With --all also what takes longer: executed
# notebooks, real data sets, long fuzzing. Further arguments go to pytest.
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
