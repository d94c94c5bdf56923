#!/usr/bin/env bash
# Runs the linter and the type checker. `bash scripts/lint.sh --fix` first repairs the mistakes that ruff can repair.
set -eu
cd "$(dirname "$0")/.."
[ -d .venv/bin ] && PATH=$PWD/.venv/bin:$PATH
folders="ae_jax configs docs scripts tests benchmarks"
# The folders that follow the rules for docstrings: Google's style, and imperative first lines.
documented="ae_jax/core ae_jax/objectives ae_jax/devices ae_jax/data ae_jax/sweeps ae_jax/plots
    ae_jax/evaluation ae_jax/commands ae_jax/models ae_jax/training ae_jax/experiments
    ae_jax/__init__.py ae_jax/__main__.py scripts configs benchmarks"
if [ "${1:-}" = --fix ]; then ruff format -q --line-length 120 $folders; fi
# F722 and F821 read the shapes in jaxtyping's annotations, such as "S B", as code.
shapes="ae_jax/core/*:F722,ae_jax/core/*:F821,ae_jax/objectives/*:F722,ae_jax/objectives/*:F821"
ruff check -q --line-length 120 --select E,F,I,B,UP --ignore E731,B905 --per-file-ignores "$shapes" "$@" $folders
# The functions of a config have the same meaning in every file: configs/__init__.py documents them once.
ruff check -q --select D,D401,E731 --config 'lint.pydocstyle.convention="google"' --per-file-ignores "configs/*:D103" \
    "$@" $documented
ruff format -q --check --line-length 120 $folders
mypy --no-error-summary
