r"""Train a config in a run directory, or resume the run that is there.

ae-jax train --config=vae:digits --workdir=runs/digits
ae-jax train --config=vae:mnist --workdir=runs/mnist --config.train.steps=2000
ae-jax train --help --config=vae    (prints the keys of a config; ae-jax list configs prints the configs)
ae-jax train --config=vae --workdir=runs/warm --config.weights.kl=linear:0:1:1000
ae-jax train --config=vae --workdir=/shared/vae --coordinator=host0:4711 --num_processes=2 \
    --process_id=0    (on the other host --process_id=1; Slurm and TPU pods need no such flags)
"""

from absl import flags

from ae_jax.commands import options


def define_flags(into):
    """Define the flags of `train`."""
    text = "config file, with :ARGUMENTS after its name; --config.KEY=VALUE changes a key"
    flags.DEFINE_string("config", None, text, flag_values=into)
    flags.DEFINE_string("workdir", None, "the run directory", required=True, flag_values=into)
    options.define_trust_flag(into)
    options.define_process_flags(into)
    options.define_profile_flag(into)


def main(line):
    """Train the config, and print a line that sums up the run."""
    config, flag = line.config(), line.flags
    from ae_jax.devices import processes
    from ae_jax.experiments import runner
    from ae_jax.sweeps import directory

    # All processes check first, so that none waits for one that has already refused.
    with processes.agreeing():
        directory.check_is_no_sweep(flag.workdir)
    summary = runner.train_run(config, flag.workdir, profile=flag.profile, trust=flag.trust)
    print(f"done: step {summary.step} in {summary.seconds:.1f} s; the run is in {flag.workdir}")
