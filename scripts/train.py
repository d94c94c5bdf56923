r"""Trains a config in a run directory, or goes on with the run that is there.

python scripts/train.py --config=configs/vae.py:digits --workdir=runs/digits
python scripts/train.py --config=configs/vae.py:mnist --workdir=runs/mnist --config.train.steps=2000
python scripts/train.py --config=configs/vae.py --workdir=runs/warm --config.weights.kl=linear:0:1:1000
python scripts/train.py --config=configs/vae.py --workdir=/shared/vae --coordinator=host0:4711 --num_processes=2 \
    --process_id=0    (and the same with 1 on the other host; Slurm and TPU pods say so themselves)
"""

from absl import flags

from ae_jax.commands import cli

flags.DEFINE_string("config", None, "config file, with :arguments; --config.KEY=VALUE changes a key")
flags.DEFINE_string("workdir", None, "the run directory", required=True)
cli.define_process_flags()
cli.define_profile_flag()


def main():
    config = cli.config()
    from ae_jax.devices import processes
    from ae_jax.experiments import runner
    from ae_jax.sweeps import directory

    with processes.agreeing():
        directory.check_is_no_sweep(cli.FLAGS.workdir)
    summary = runner.train_run(config, cli.FLAGS.workdir, profile=cli.FLAGS.profile)
    print(f"done: step {summary.step} in {summary.seconds:.1f} s; the run is in {cli.FLAGS.workdir}")


if __name__ == "__main__":
    cli.run(main, __doc__)
