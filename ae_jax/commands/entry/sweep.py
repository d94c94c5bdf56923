r"""Train a config over axes of its keys, or resume such a sweep.

Runs that differ in numbers only share one compiled program, so hundreds of runs compile a few times.

ae-jax sweep --config=vae:digits --workdir=runs/beta --axis=weights.kl=1,2,4 --axis=seed=0:8
ae-jax sweep --config=vae:digits --workdir=runs/lr --axis=optimizer.learning_rate=log:1e-4:1e-2:5
ae-jax sweep --config=vae:digits --workdir=runs/wide --axis=model.hidden=64,256 --dry_run
ae-jax sweep --config=vae:digits --workdir=runs/wide --axis=model.hidden=64,256 --engine=ray
ae-jax sweep --config=vae:digits --workdir=runs/best --search=optuna --trials=40 \
    --maximize=elbo --axis=optimizer.learning_rate=log:1e-4:1e-2 --axis=model.hidden=64,128,256
ae-jax plot --workdir=runs/beta --figures=metric_curve,learning_curves

The values of an axis are 1,2,4 or INT:INT[:INT] or lin:A:B:N or log:A:B:N. Commas inside brackets do not split, and
text in quotes is one value. A search also takes ranges, lin:A:B, log:A:B or INT:INT, and draws any number in them.
Each run has a run directory in --workdir, and results.csv has a row for each run. A finished run is not trained again
unless you delete its directory.
The exit status is 1 if a run failed (the other runs are completed) or if the sweep was stopped.
"""

import sys

from absl import flags

from ae_jax.commands import options
from ae_jax.core import errors, lookup
from ae_jax.core.errors import UserError
from ae_jax.experiments import configuration
from ae_jax.sweeps import axes

# The kinds of names that this command takes, each with the function whose keywords are flags.
NAMES = {"engines": "make"}


def define_flags(into):
    """Define the flags of `sweep`."""
    options.define_shared_flags(into, "engines", "make")
    flags.DEFINE_string(
        "config",
        None,
        "config file, with :ARGUMENTS after its name; --config.KEY=VALUE changes a key",
        flag_values=into,
    )
    flags.DEFINE_string("workdir", None, "the sweep's directory", required=True, flag_values=into)
    options.define_trust_flag(into)
    flags.DEFINE_multi_string("axis", [], f"KEY=VALUES: {axes.FORMS}; once for each axis", flag_values=into)
    flags.DEFINE_list(
        "zip", [], "keys of axes whose values are paired one by one instead of combined", flag_values=into
    )
    flags.DEFINE_string(
        "csv", "", "a CSV file instead of axes: a header of config keys, and a row for each run", flag_values=into
    )
    flags.DEFINE_integer("random", None, "train only this many of the combinations, drawn at random", flag_values=into)
    flags.DEFINE_integer("max_runs", 10_000, "refuse a plan with more runs than this", lower_bound=1, flag_values=into)
    flags.DEFINE_enum(
        "way",
        "auto",
        ["auto", "map", "threads", "vmap"],
        "how the runs of a compiled group are trained together",
        flag_values=into,
    )
    flags.DEFINE_string(
        "engine",
        "local",
        "where compiled groups are trained: local or ray (a file in ae_jax/sweeps/engines)",
        flag_values=into,
    )
    flags.DEFINE_enum(
        "search",
        None,
        ["optuna"],
        "choose the values of the axes from the results of earlier runs",
        flag_values=into,
    )
    flags.DEFINE_integer("trials", 100, "runs of a search in all", lower_bound=1, flag_values=into)
    flags.DEFINE_integer(
        "together", 8, "runs of a search that are drawn and trained at a time", lower_bound=1, flag_values=into
    )
    flags.DEFINE_string(
        "minimize",
        "",
        "the metric to minimise, in a search and in the list of best runs (default: the config's criterion)",
        flag_values=into,
    )
    flags.DEFINE_string(
        "maximize", "", "the metric to maximise, in a search and in the list of best runs", flag_values=into
    )
    flags.DEFINE_integer("best", 5, "how many of the best runs to list at the end", lower_bound=0, flag_values=into)
    flags.DEFINE_bool("dry_run", False, "print the plan and train nothing", flag_values=into)


def main(line):
    """Train the sweep, or only print its plan; then list the best runs and those that failed."""
    flag, config = line.flags, line.config()
    proposed = configuration.load_sweep(flag.config)
    if not flag.search and (ignored := [name for name in ("trials", "together") if flag[name].present]):
        raise UserError(f"--{ignored[0]} is an option of --search\nadd --search=optuna, or leave it out")
    if flag.search and flag.trials > flag.max_runs:
        raise UserError(
            f"--trials={flag.trials} is more than --max_runs={flag.max_runs}\nuse fewer trials, or a larger --max_runs"
        )
    if flag.search:
        folder, names = _searched(flag, config, flag.axis or [f"{key}={values}" for key, values in proposed.items()])
    else:
        drawn = axes.assignments(flag.axis, proposed, flag.zip, flag.csv, flag.random, flag.max_runs)
        folder, names = _swept(flag, config, drawn)
    return 0 if folder is None else _print_results(flag, folder, names)


def _swept(flag, config, assignments):
    """Train the sweep, or print its plan.

    Returns:
      The sweep's directory, or None after a dry run; and the names of its runs.
    """
    # The engine comes before JAX is imported, so that a missing cluster is reported at once.
    engine = _chosen_engine(flag)
    from ae_jax.experiments import analysis
    from ae_jax.sweeps import launch

    metric, known = flag.minimize or flag.maximize, analysis.directions(config)
    if metric and metric not in known:
        raise errors.unknown("metric among those of eval.metrics", metric, known)
    plan, said = launch.describe(launch.make_plan(flag.workdir, config, assignments, flag.way, engine, flag.trust))
    print(said, flush=True)
    return None if flag.dry_run else launch.run(plan), [run.name for run in plan.runs]


def _searched(flag, config, texts):
    """Run a search; return the sweep's directory and the names of its runs."""
    if flag.zip or flag.csv or flag.random is not None or flag.dry_run:
        raise UserError("--search chooses the runs itself\nleave out --zip, --csv, --random and --dry_run")
    engine = _chosen_engine(flag)
    from ae_jax.sweeps import search

    found = search.make(flag.workdir, config, texts, flag.minimize, flag.maximize, flag.trust)
    folder = search.run(found, flag.trials, flag.together, flag.way, engine)
    return folder, list(folder.read()[1])


def _chosen_engine(flag):
    return lookup.find("engines", flag.engine, "make")(**options.shared_options(flag, "engines", "make", flag.engine))


def _print_results(flag, folder, names):
    """Print the best runs and those that failed; return the exit status."""
    from ae_jax.sweeps import launch

    print(f"done: {len(names)} runs in {flag.workdir}, their results in {folder.results}")
    print(launch.best(folder, flag.best, flag.minimize or flag.maximize))
    failed = launch.failures(folder, names)
    print(*failed, sep="\n", end="\n" if failed else "", file=sys.stderr)
    return int(bool(failed))
