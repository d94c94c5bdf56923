"""Trains a config many times, over axes of its keys: hundreds of runs as a few programs. Resumes what it finds.

python scripts/sweep.py --config=configs/vae.py:digits --workdir=runs/beta --axis=weights.kl=1,2,4 --axis=seed=0:8
python scripts/sweep.py --config=configs/vae.py:digits --workdir=runs/lr --axis=optimizer.learning_rate=log:1e-4:1e-2:5
python scripts/sweep.py --config=configs/vae.py:digits --workdir=runs/wide --axis=model.hidden=64,256 --dry_run
python scripts/plot.py --workdir=runs/beta --figures=metric_curve,learning_curves

Values of an axis are 1,2,4 or INT:INT[:INT] or lin:A:B:N or log:A:B:N; commas inside brackets do not split, and what
stands in quotes is one value. Each run leaves a run directory in --workdir; results.csv has a row for each. A run that
ended is not run again; delete its directory to run it again.
Exit status 1 where a run failed (the others are done) or the sweep was stopped.
"""

import sys

from absl import flags

from ae_jax import axes, cli, configuration

flags.DEFINE_string("config", None, "config file, with :arguments; --config.KEY=VALUE changes a key")
flags.DEFINE_string("workdir", None, "the sweep's directory", required=True)
flags.DEFINE_multi_string("axis", [], f"KEY=VALUES: {axes.FORMS}; once for each axis")
flags.DEFINE_list("zip", [], "axes that advance together")
flags.DEFINE_string("csv", "", "a file with the runs instead: a head of config keys, a row a run")
flags.DEFINE_integer("random", None, "draw this many of the combinations")
flags.DEFINE_integer("max_runs", 10_000, "refuse a plan of more runs", lower_bound=1)
flags.DEFINE_enum("way", "auto", ["auto", "map", "vmap"], "one run after the other, side by side, or what is faster")
flags.DEFINE_integer("best", 5, "how many of the best runs to list at the end", lower_bound=0)
flags.DEFINE_bool("dry_run", False, "print the plan and train nothing")


def main():
    flag, config = cli.FLAGS, cli.config()
    assignments = axes.assignments(
        flag.axis, configuration.load_sweep(flag.config), flag.zip, flag.csv, flag.random, flag.max_runs
    )
    from ae_jax import launch

    plan, said = launch.describe(launch.make_plan(flag.workdir, config, assignments, flag.way))
    print(said, flush=True)
    if flag.dry_run:
        return 0
    folder = launch.run(plan)
    print(f"done: {len(plan.runs)} runs in {flag.workdir}, their results in {folder.results}")
    print(launch.best(folder, flag.best))
    failed = launch.failures(folder, plan)
    print(*failed, sep="\n", end="\n" if failed else "", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    cli.run(main, __doc__)
