"""Scores a trained run: one JSON object on standard output, the same line appended to evaluations.jsonl.

python scripts/evaluate.py --workdir=runs/digits --metrics=elbo,mse,psnr
python scripts/evaluate.py --workdir=runs/digits --metrics=elbo --elbo_samples=100 --limit=100
python scripts/evaluate.py --workdir=runs/digits --metrics=mse --data=idx:path/to/mnist --checkpoint=best

The rate against the distortion of a sweep's runs: plot.py --figures=rate_distortion.
"""

import contextlib
import json

from absl import flags

from ae_jax.commands import cli
from ae_jax.devices import processes
from ae_jax.experiments import analysis, hooks
from ae_jax.sweeps import directory

cli.define_run_flags()
cli.define_process_flags()
cli.define_profile_flag()
cli.define_option_flags("metrics", "evaluate")
flags.DEFINE_list("metrics", ["elbo"], "names of files in ae_jax/evaluation/metrics")


def main():
    metrics = cli.FLAGS.metrics
    with processes.agreeing():
        directory.check_is_no_sweep(cli.FLAGS.workdir)
        options, devices = cli.options("metrics", "evaluate", metrics), analysis.on_all_devices(cli.FLAGS.workdir)
    with devices:
        trained = analysis.load(**cli.run_flags())
        with hooks.profiled(trained.run) if cli.FLAGS.profile else contextlib.nullcontext():
            print(json.dumps(analysis.evaluate_run(trained, metrics, options)))


if __name__ == "__main__":
    cli.run(main, __doc__)
