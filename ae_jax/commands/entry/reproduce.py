"""Train rows that have published or earlier values, and print the verdicts.

    ae-jax reproduce                                  (lists the rows)
    ae-jax reproduce simple_ae denoising_ae
    ae-jax reproduce simple_ae --seeds=3
    ae-jax reproduce --page=docs/results.md           (renders the tables of that page anew)
    ae-jax reproduce iwae_table1 --stored             (the table of a paper, with what was obtained so far)
    ae-jax reproduce adbench                          (anomaly detection on tables, see docs/anomaly.md)

Runs found in --folder are resumed. Exit status 1 if any row misses its expected value, is better than a published one
without an explanation, or has changed since earlier runs.
"""

import pathlib

from absl import flags

from ae_jax.commands import options

TAKES_ARGUMENTS = True


def define_flags(into):
    """Define the flags of `reproduce`."""
    flags.DEFINE_string("folder", "runs/reproduce", "where the run directories are", flag_values=into)
    options.define_trust_flag(into)
    flags.DEFINE_integer("seeds", 1, "how many seeds, from the config's own", lower_bound=1, flag_values=into)
    flags.DEFINE_string(
        "page", "", "render the tables of this Markdown page anew, and do nothing else", flag_values=into
    )
    flags.DEFINE_bool("markdown", False, "print the table in Markdown", flag_values=into)
    flags.DEFINE_bool("stored", False, "train nothing: print what stands in benchmarks/results.json", flag_values=into)


def main(line):
    """Train what is named, and print its table; without a name, list the rows and groups."""
    from ae_jax.commands import reproduce, tables, verdicts

    flag = line.flags
    if list(line.arguments) == ["adbench"]:
        from ae_jax.commands import adbench

        adbench.run(stored=flag.stored)
        return 0
    stored = reproduce.read()
    if flag.page:
        page = pathlib.Path(flag.page)
        page.write_text(tables.fill(page.read_text(), stored))
        return 0
    if not line.arguments:
        rows = [row for row in reproduce.rows().values() if row.name in stored]
        done = [each for row in rows for each in verdicts.lines(row, stored)]
        print(tables.table(done, flag.markdown))
        if not flag.markdown:
            print("not run yet:", ", ".join(name for name in reproduce.rows() if name not in stored) or "none")
            print("groups:", *tables.groups(stored), sep="\n")
        return 0
    chosen = reproduce.select(line.arguments)
    for row in () if flag.stored else chosen:
        seeds = reproduce.seeds(row, flag.seeds)
        by_seed = {seed: reproduce.run(row, pathlib.Path(flag.folder), seed, flag.trust) for seed in seeds}
        stored = reproduce.record(row, by_seed)
    finished = [each for row in chosen if row.name in stored for each in verdicts.lines(row, stored)]
    print(tables.table(finished, flag.markdown))
    if missing := [row.name for row in chosen if row.name not in stored]:
        print("not run yet:", ", ".join(missing))
    for name, table in reproduce.tables().items():
        if name in line.arguments:
            print("", name, tables.grid(table, stored, flag.markdown), sep="\n")
    return int(bool(missing) or not all(each.passed for each in finished))
