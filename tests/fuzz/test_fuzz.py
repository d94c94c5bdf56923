"""The fuzzers, 60 cases of each target in one process; `python -m tests.fuzz --minutes=N` runs more."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from ae_jax.core.errors import UserError
from ae_jax.data.formats import images as image_files
from ae_jax.data.music import midi
from ae_jax.experiments import checks, rundir
from tests.fuzz import targets

CASES = 60


def run(name: str, cases: int, number: int = 0) -> None:
    """Try cases of a target, drawn by a seed; raise `targets.Fault` at the first fault."""

    @seed(number)
    @settings(
        max_examples=cases,
        database=None,
        deadline=None,
        derandomize=False,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def attempt(data):
        with tempfile.TemporaryDirectory() as folder:
            targets.TARGETS[name](data, Path(folder))

    attempt()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", targets.TARGETS)
def test_no_input_ends_in_a_traceback(name):
    run(name, CASES)


def _faulty(function, hits):
    """Return a function that fails where `hits` says so."""

    def changed(*arguments, **options):
        if hits(*arguments):
            raise ZeroDivisionError("planted")
        return function(*arguments, **options)

    return changed


# {target: (owner of the function, its name, which of its arguments bring out the planted fault)}.
PLANTED = {
    "command_lines": ("ae_jax.commands.cli.errors", "nearest", lambda name, _: True),
    "configs": (checks, "complete", lambda config: config.seed == 0),
    "small_files": (rundir.files, "parse_lines", lambda content: not content.endswith(b"\n")),
    "midi_files": (midi, "_ticks_per_quarter", lambda division: division != 96),
    "images": (image_files, "_opened", lambda file: file.stat().st_size < 40),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", targets.TARGETS)
def test_a_planted_fault_is_found(name, monkeypatch):
    owner, attribute, hits = PLANTED[name]
    if isinstance(owner, str):
        from ae_jax.core import errors as owner
    monkeypatch.setattr(owner, attribute, _faulty(getattr(owner, attribute), hits))
    with pytest.raises((targets.Fault, BaseExceptionGroup)):
        run(name, 4 * CASES)


def test_the_oracle_refuses_messages_of_many_lines():
    with pytest.raises(targets.Fault, match="many lines"), targets.oracle("x"):
        raise UserError("one\ntwo\nthree")
