"""Evaluate metrics of a trained run, print them as one JSON object, and keep them.

The same line is appended to evaluations.jsonl in the run directory.

ae-jax evaluate --workdir=runs/digits --metrics=elbo,mse,psnr
ae-jax evaluate --workdir=runs/digits --metrics=elbo --elbo_samples=100 --limit=100
ae-jax evaluate --workdir=runs/digits --metrics=mse --data=idx:path/to/mnist --checkpoint=best

To compare rate and distortion of the runs of a sweep, use ae-jax plot --figures=rate_distortion.
"""

import contextlib
import json

from absl import flags

from ae_jax.commands import options

# The kinds of names that this command takes, each with the function whose keywords are flags.
NAMES = {"metrics": "evaluate"}


def define_flags(into):
    """Define the flags of `evaluate`."""
    options.define_run_flags(into)
    options.define_process_flags(into)
    options.define_profile_flag(into)
    options.define_option_flags(into, "metrics", "evaluate")
    options.define_output_flag(into, "the folder for evaluations.jsonl (default: the run directory)")
    flags.DEFINE_list("metrics", ["elbo"], "names of files in ae_jax/evaluation/metrics", flag_values=into)


def main(line):
    """Evaluate the metrics, and print the record as JSON."""
    options.check_names(["metrics"], line.flags.metrics)
    from ae_jax.devices import processes
    from ae_jax.experiments import analysis, hooks
    from ae_jax.sweeps import directory

    flag = line.flags
    # All processes check first, so that none waits for one that has already refused.
    with processes.agreeing():
        directory.check_is_no_sweep(flag.workdir)
        chosen = options.options(flag, "metrics", "evaluate", flag.metrics)
        devices = analysis.on_all_devices(flag.workdir)
    with devices:
        trained = analysis.load(**options.run_options(flag))
        with hooks.profiled(trained.run) if flag.profile else contextlib.nullcontext():
            record = analysis.measure(trained, flag.metrics, chosen)
            # Printed before it is stored: a full disk must not lose what took hours to compute.
            print(json.dumps(record), flush=True)
            analysis.store(trained, record, flag.output)
