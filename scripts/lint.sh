#!/usr/bin/env bash
# The linter with this project's options, in one place: `bash scripts/lint.sh` checks, `bash scripts/lint.sh --fix` mends.
set -eu
cd "$(dirname "$0")/.."
ruff=$([ -x .venv/bin/ruff ] && echo .venv/bin/ruff || command -v ruff)
folders="ae_jax configs scripts tests benchmarks"
if [ "${1:-}" = --fix ]; then "$ruff" format -q --line-length 120 $folders; fi
"$ruff" check -q --line-length 120 --select E,F,I,B,UP --ignore E731,B905 "$@" $folders
"$ruff" format -q --check --line-length 120 $folders
