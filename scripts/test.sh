#!/usr/bin/env bash
# The linter and the whole test suite, in .venv, which it makes first. Arguments go to pytest.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
make_environment test
bash scripts/lint.sh
JAX_PLATFORMS=cpu .venv/bin/python -m pytest -q -n auto --dist loadfile "$@"
