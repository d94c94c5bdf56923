"""What is fuzzed: each target reads one kind of input that a user, or a stranger, may have made.

A target is a function of hypothesis's `data` and an empty folder. It raises `Fault` where the package answers with
anything but a result or a message of one or two lines.
"""

import contextlib
import io
import json
import pathlib
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ae_jax.commands import cli
from ae_jax.core.errors import RunFailed, UserError
from ae_jax.core.types import DataSpec
from ae_jax.data.formats import Reading
from ae_jax.data.formats import images as image_files
from ae_jax.data.music import midi
from ae_jax.experiments import checks, configuration, rundir
from ae_jax.sweeps import directory, results

SPEC = DataSpec((8, 8, 1), classes=10, levels=17)
_ODD = st.sampled_from(
    [
        "",
        " ",
        "0",
        "-1",
        "1e400",
        "nan",
        "None",
        "no",
        "true",
        "[",
        "()",
        "'",
        "a" * 300,
        "\0",
        "\n",
        "../..",
        "=1",
        "é",
    ]
)
_TEXT = st.one_of(_ODD, st.text(max_size=12), st.integers().map(str), st.floats().map(str))


class Fault(AssertionError):
    """An input that the package neither takes nor refuses in two lines."""


@contextlib.contextmanager
def oracle(what: Any):
    """Allow errors of one or two lines; turn every other exception into a Fault."""
    try:
        yield
    except (UserError, RunFailed) as error:
        if not 1 <= len(str(error).strip().splitlines()) <= 2:
            raise Fault(f"{what!r}: a message of many lines: {error}") from error
    except Exception as error:
        raise Fault(f"{what!r}: {type(error).__name__}: {error}") from error


# --- command lines ----------------------------------------------------------------------------------------------------

_FLAGS = ("workdir", "config", "metrics", "figures", "axis", "task", "input", "output", "batch_size", "limit", "seed")
_COMMANDS = ("train", "evaluate", "plot", "apply", "sweep", "report", "list", "devices", "nothing")


def command_lines(data: Any, folder: pathlib.Path) -> None:
    """Run a command line that cannot succeed, because its workdir is empty or its config is wrong."""
    command = data.draw(st.sampled_from(_COMMANDS[:-3]))
    words = [f"--{data.draw(st.sampled_from(_FLAGS))}={data.draw(_TEXT)}" for _ in range(data.draw(st.integers(0, 4)))]
    words += [f"--config.{data.draw(_TEXT)}={data.draw(_TEXT)}"] * data.draw(st.integers(0, 1))
    words = [word.replace("\0", "") for word in words] + [f"--workdir={folder / 'none'}", "--config=no_such_config"]
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = cli.run(command, words)
    except Exception as error:
        raise Fault(f"{command} {words}: {traceback.format_exc(limit=-3)}") from error
    said = err.getvalue().strip().splitlines()
    if status not in (0, 1, 2) or (status == 2 and not 1 <= len(said) <= 2):
        raise Fault(f"{command} {words}: status {status}, {said}")
    if status == 2 and any(folder.iterdir()):
        raise Fault(f"{command} {words}: status 2 left {list(folder.iterdir())}")


# --- configs ----------------------------------------------------------------------------------------------------------

_KEYS = sorted(configuration.keys(configuration.load("vae:digits")))


def configs(data: Any, folder: pathlib.Path) -> None:
    """Change keys of a config, and complete it."""
    key = data.draw(st.one_of(st.sampled_from(_KEYS), _TEXT))
    text = data.draw(_TEXT)
    with oracle((key, text)):
        config = configuration.load("vae:digits")
        configuration.override(config, key, text)
        json.dumps(configuration.to_plain(checks.complete(config)))


# --- files ------------------------------------------------------------------------------------------------------------

_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)


def damaged(data: Any, content: bytes) -> bytes:
    """Return the content of a file after a cut, a change of a few bytes, or in a wrong form."""
    kind = data.draw(st.sampled_from(("cut", "changed", "other")))
    if kind == "other":
        return data.draw(st.one_of(st.binary(max_size=30), _JSON.map(lambda value: json.dumps(value).encode())))
    if kind == "cut":
        return content[: data.draw(st.integers(0, len(content)))]
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    return bytes(changed)


def small_files(data: Any, folder: pathlib.Path) -> None:
    """Damage one small file of a run or of a sweep, and read the directory."""
    config = configuration.to_plain(configuration.load("vae:digits"))
    spec = {"shape": [8, 8, 1], "classes": 10, "levels": 17}
    result = {"status": "done", "reason": "", "seconds": 1.0, "final": {"elbo": -1.0}, "best": {}}
    line = {"step": 1, "split": "train", "loss": 2.0, "window_seconds": 0.1}
    contents = {
        "config.json": {"format": 1, "config": config, "spec": spec},
        "versions.json": {"packages": {}},
        "sweep.json": {"format": 1, "config": config, "runs": {"seed=0": {"seed": "0"}}},
        "seed=0/result.json": result,
        "metrics.jsonl": line,
        "timings.jsonl": line,
        "evaluations.jsonl": line,
    }
    chosen = data.draw(st.sampled_from(sorted(contents)))
    (folder / "seed=0").mkdir()
    for name, value in contents.items():
        content = (json.dumps(value) + "\n").encode()
        (folder / name).write_bytes(damaged(data, content) if name == chosen else content)
    run, sweep = rundir.RunDir(folder), directory.SweepDir(folder)
    reads: list[Callable[[], Any]] = [
        *(run.read, lambda: run.format, lambda: rundir.read_json(run.versions), lambda: results.write(sweep)),
        *(lambda path=path: rundir.truncate_lines(path, 0) for path in (run.metrics, run.timings, run.evaluations)),
    ]
    with contextlib.redirect_stderr(io.StringIO()):
        for read in reads:
            with oracle(chosen):
                read()


def midi_files(data: Any, folder: pathlib.Path) -> None:
    """Damage a MIDI file, and read it."""
    notes = np.array([[0, 4, 60], [4, 4, 64], [8, 8, 67]])
    content = damaged(data, midi.to_bytes(notes, 16))
    with oracle(content):
        score = midi.parse(content)
        for voice in score.voices:
            midi.melodies(score, voice)


def images(data: Any, folder: pathlib.Path) -> None:
    """Damage an image, and read it as the data source `files` does."""
    from PIL import Image

    packed = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(
        packed, data.draw(st.sampled_from(("PNG", "BMP")))
    )
    path = folder / "image.png"
    path.write_bytes(damaged(data, packed.getvalue()))
    with oracle(path.read_bytes()):
        image_files.read([path], Reading())


TARGETS = {each.__name__: each for each in (command_lines, configs, small_files, midi_files, images)}
