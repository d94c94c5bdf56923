#!/usr/bin/env bash
# The linter and the type checker: `bash scripts/lint.sh` checks, `bash scripts/lint.sh --fix` also repairs what it can.
set -eu
cd "$(dirname "$0")/.."
[ -d .venv/bin ] && PATH=$PWD/.venv/bin:$PATH
folders="ae_jax configs scripts tests benchmarks"
# The packages whose prose follows the rules for docstrings (Google's, and imperative first lines).
documented="ae_jax/core ae_jax/objectives ae_jax/devices ae_jax/sweeps ae_jax/data/*.py ae_jax/data/formats ae_jax/data/music ae_jax/plots
    ae_jax/evaluation/*.py ae_jax/evaluation/metrics ae_jax/models ae_jax/training"
if [ "${1:-}" = --fix ]; then ruff format -q --line-length 120 $folders; fi
# F722 and F821 take the shapes in jaxtyping's annotations, such as "S B", for code.
shapes="ae_jax/core/*:F722,ae_jax/core/*:F821,ae_jax/objectives/*:F722,ae_jax/objectives/*:F821"
ruff check -q --line-length 120 --select E,F,I,B,UP --ignore E731,B905 --per-file-ignores "$shapes" "$@" $folders
ruff check -q --select D,D401,E731 --config 'lint.pydocstyle.convention="google"' "$@" $documented
ruff format -q --check --line-length 120 $folders
mypy --no-error-summary
