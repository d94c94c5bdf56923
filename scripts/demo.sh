#!/usr/bin/env bash
# Trains the VAE with a 2-D latent on handwritten digits, and draws its figures. It first makes .venv if needed.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
make_environment report
run=runs/demo
.venv/bin/python scripts/train.py --config=configs/vae.py:digits --workdir=$run
.venv/bin/python scripts/evaluate.py --workdir=$run --metrics=elbo,mse,collapse
echo "its figures:"
.venv/bin/python scripts/plot.py --workdir=$run --figures=manifold,scatter,reconstructions,samples,curves,explorer
echo "all of it on one page, to look at in a browser:"
.venv/bin/python scripts/report.py --workdir=$run
