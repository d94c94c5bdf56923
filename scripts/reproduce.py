"""Trains rows that have an expected value, and prints expected, obtained, difference and verdict.

    python scripts/reproduce.py                                  (lists the rows)
    python scripts/reproduce.py simple_ae denoising_ae
    python scripts/reproduce.py simple_ae --seeds=3
    python scripts/reproduce.py --markdown                       (the README's table, of all that was run)
    python scripts/reproduce.py iwae_table1 --stored             (a paper's table, with what was obtained so far)

Resumes what it finds in --folder. Exit status 1 if any row is outside its tolerance.
"""

import pathlib

from absl import flags

from ae_jax.commands import cli, reproduce, tables

flags.DEFINE_string("folder", "runs/reproduce", "where the run directories are")
flags.DEFINE_integer("seeds", 1, "how many seeds, from the config's own", lower_bound=1)
flags.DEFINE_bool("markdown", False, "print the table in Markdown")
flags.DEFINE_bool("stored", False, "train nothing: print what stands in benchmarks/results.json")


def main():
    stored = reproduce.read()
    if not cli.arguments:
        rows = [row for row in reproduce.rows().values() if row.name in stored]
        done = [line for row in rows for line in reproduce.lines(row, stored)]
        print(tables.table(done, cli.FLAGS.markdown))
        if not cli.FLAGS.markdown:
            print("not run yet:", ", ".join(name for name in reproduce.rows() if name not in stored) or "none")
            print("groups:", *tables.groups(stored), sep="\n")
        return 0
    chosen = reproduce.select(cli.arguments)
    for row in () if cli.FLAGS.stored else chosen:
        seeds = reproduce.seeds(row, cli.FLAGS.seeds)
        by_seed = {seed: reproduce.run(row, pathlib.Path(cli.FLAGS.folder), seed) for seed in seeds}
        stored = reproduce.record(row, by_seed)
    finished = [line for row in chosen if row.name in stored for line in reproduce.lines(row, stored)]
    print(tables.table(finished, cli.FLAGS.markdown))
    if missing := [row.name for row in chosen if row.name not in stored]:
        print("not run yet:", ", ".join(missing))
    for name, table in reproduce.tables().items():
        if name in cli.arguments:
            print("", name, tables.grid(table, stored, cli.FLAGS.markdown), sep="\n")
    return int(bool(missing) or not all(line.passed for line in finished))


if __name__ == "__main__":
    cli.run(main, __doc__, takes_arguments=True)
