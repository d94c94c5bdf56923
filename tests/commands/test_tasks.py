"""Tasks on real files: digits as images and arrays, models trained for a step, results against numpy and Pillow."""

import csv
import dataclasses
import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import sklearn.datasets
from PIL import Image

from ae_jax.commands.apply import shared
from ae_jax.core.errors import RunFailed, UserError
from ae_jax.experiments import analysis, configuration, runner

DIGITS = sklearn.datasets.load_digits().images.astype(np.uint8)  # [N, 8, 8], 0 .. 16
PIXELS = np.rint(DIGITS[:12] * (255 / 16)).astype(np.uint8)
CONFIGS = {"ae": "ae.py:smoke", "vae": "vae.py:smoke", "cvae": "cvae.py:smoke", "super": "super_resolution.py:smoke"}
CONFIGS["ladder"] = "iwae.py:smoke,k=1,objective=elbo,layers=2"
MODELS = {"ladder": {"name": "ladder", "upper_hidden": (5,), "latent_dim": 3, "upper_dims": (2,)}}
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """name -> directory of a run of that config, trained once."""
    made = {}

    def trained(name):
        if name not in made:
            config = configuration.load(str(ROOT / "configs" / CONFIGS[name]))
            config.train.update(steps=1, eval_every=0)
            config.model.update(MODELS.get(name, {}))
            made[name] = tmp_path_factory.mktemp("runs") / name
            runner.train_run(config, str(made[name]), say=lambda *_, **__: None)
        return made[name]

    return trained


@pytest.fixture(scope="module")
def load(run):
    """name -> the run, loaded once."""
    made = {}

    def loaded(name):
        if name not in made:
            made[name] = analysis.load(str(run(name)))
        return made[name]

    return loaded


@pytest.fixture
def photos(tmp_path):
    """A folder of twelve PNG images of 8x8 grey pixels."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, image in enumerate(PIXELS):
        Image.fromarray(image).save(folder / f"digit {number:02d}.png")
    return folder


def apply(trained, task, source, output, **options):
    return shared.apply(trained, task, str(source), str(output), options)


def command(run, source, out, *flags):
    """The ended process of scripts/apply.py."""
    words = [ROOT / "scripts/apply.py", f"--workdir={run}", f"--input={source}", f"--output={out}", *flags]
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, cwd=run.parent)


def code_of(trained, x, **label):
    """Codes [N, D] of x [N, H, W] in [0, 1]."""
    x = np.float32(x)[..., None]
    batch = {"x": x, "inputs": x, "mask": np.ones(len(x)), **label}
    return np.asarray(trained.experiment.model.apply(trained.variables, batch, rngs={"latent": jax.random.key(0)}).code)


def scale_of(trained, x):
    """Standard deviations [N, D] of the posteriors of x [N, H, W] in [0, 1]."""
    x = np.float32(x)[..., None]
    batch, rngs = {"x": x, "inputs": x, "mask": np.ones(len(x))}, {"latent": jax.random.key(0)}
    latents = trained.experiment.model.apply(trained.variables, batch, method="encode", rngs=rngs)
    return np.exp(np.asarray(latents[0].posterior.log_scale))


def mean_of(trained, z, x=None, **label):
    """The decoder's means [N, H, W] at codes z [N, D]."""
    batch = {"mask": np.ones(len(z)), **({} if x is None else {"inputs": np.float32(x)[..., None]}), **label}
    codes = (np.float32(z)[None],)
    return np.asarray(trained.experiment.model.apply(trained.variables, codes, batch, method="decode").mean[0])[..., 0]


def read(path):
    return np.asarray(Image.open(path))


def rounded(values, expected, scale=255):
    """Whether `values` are the whole numbers nearest to scale * expected."""
    assert values.dtype == np.uint8
    assert np.abs(values - scale * np.clip(expected, 0, 1)).max() < 0.51


def test_codes_of_a_folder(load, photos, tmp_path):
    trained = load("vae")
    paths, unreadable = apply(trained, "encode", photos, tmp_path / "codes", batch_size=5)
    assert [path.name for path in paths] == ["photos.npz", "photos.csv"] and not unreadable
    header, *rows = csv.reader(paths[1].read_text().splitlines())
    assert header == ["file", "z0", "z1", "z0_scale", "z1_scale"]
    assert [row[0] for row in rows] == [f"digit {number:02d}.png" for number in range(12)]
    codes, scales = np.split(np.array([row[1:] for row in rows], np.float32), 2, axis=1)
    np.testing.assert_allclose(codes, code_of(trained, PIXELS / 255), rtol=1e-4, atol=1e-5)
    stored = np.load(paths[0])
    np.testing.assert_array_equal(stored["scale"], scales)
    np.testing.assert_allclose(scales, scale_of(trained, PIXELS / 255), rtol=1e-4)
    np.testing.assert_array_equal(stored["code"], codes)
    assert list(stored["names"]) == [row[0] for row in rows]


def test_a_reconstruction_is_of_the_kind_that_was_given(load, photos, tmp_path):
    trained, out = load("vae"), tmp_path / "out"
    x = DIGITS[:12] / 16
    expected = mean_of(trained, code_of(trained, PIXELS / 255))
    paths, _ = apply(trained, "reconstruct", photos, out)
    assert sorted(path.name for path in out.iterdir()) == sorted(file.name for file in photos.iterdir())
    rounded(np.stack([read(path) for path in paths]), expected)

    ((path,), _) = apply(trained, "reconstruct", photos / "digit 03.png", out / "one")
    rounded(read(path), expected[3])

    expected = mean_of(trained, code_of(trained, x))
    np.save(tmp_path / "levels.npy", DIGITS[:12])
    ((path,), _) = apply(trained, "reconstruct", tmp_path / "levels.npy", out)
    assert path == out / "levels.npy"
    rounded(np.load(path), expected, 16)

    np.savez(tmp_path / "floats.npz", x=x[..., None], label=np.arange(12))
    ((path,), _) = apply(trained, "reconstruct", tmp_path / "floats.npz", out, batch_size=7)
    assert np.load(path)["x"].dtype == np.float32
    np.testing.assert_allclose(np.load(path)["x"][..., 0], expected, atol=1e-5)


@pytest.mark.parametrize("name, suffix", [("vae", ".csv"), ("vae", ".npz"), ("ladder", ".npz")])
def test_decoding_the_codes_reconstructs(load, photos, tmp_path, name, suffix):
    trained = load(name)
    shutil.copy(photos / "digit 00.png", photos / "a, b.v2.png")
    apply(trained, "encode", photos, tmp_path)
    decoded, _ = apply(trained, "decode", tmp_path / f"photos{suffix}", tmp_path / "decoded")
    straight, _ = apply(trained, "reconstruct", photos, tmp_path / "straight")
    assert [path.name for path in decoded] == [path.name for path in straight] and decoded[0].name == "a, b.v2.png"
    for one, other in zip(decoded, straight):
        assert np.abs(read(one).astype(int) - read(other)).max() <= 1  # rounding, where the batches differ


def test_super_resolution_reads_small_images_and_writes_large_ones(load, photos, tmp_path):
    trained, small = load("super"), tmp_path / "small"
    with pytest.raises(UserError, match=r"(?s)digit 00.png is 8x8, and this model reads images of 4x4.*--resize"):
        apply(trained, "reconstruct", photos, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    small.mkdir()
    halves = [Image.fromarray(image).resize((4, 4), Image.Resampling.BICUBIC) for image in PIXELS]
    for number, image in enumerate(halves):
        image.save(small / f"digit {number:02d}.png")
    x = np.stack(halves) / 255
    expected = mean_of(trained, code_of(trained, x), x)
    for source, resize in ((small, False), (photos, True)):
        paths, _ = apply(trained, "reconstruct", source, tmp_path / "out", resize=resize)
        rounded(np.stack([read(path) for path in paths]), expected)
    np.save(tmp_path / "codes.npy", code_of(trained, x))
    with pytest.raises(UserError, match="adds its inputs"):
        apply(trained, "decode", tmp_path / "codes.npy", tmp_path / "out")


def test_colour_for_a_grey_model(load, tmp_path):
    trained, colours = load("ae"), np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(colours).save(tmp_path / "c.png")
    with pytest.raises(UserError, match=r"(?s)c.png is in colour.*--resize"):
        apply(trained, "encode", tmp_path / "c.png", tmp_path / "out")
    apply(trained, "encode", tmp_path / "c.png", tmp_path / "out", resize=True)
    grey = np.asarray(Image.fromarray(colours).convert("L"))[None] / 255
    np.testing.assert_allclose(np.load(tmp_path / "out/c.npz")["code"], code_of(trained, grey), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["uint8", "floats"])
def test_arrays_of_another_size(load, tmp_path, kind):
    """Stretched as Pillow stretches numbers, within the values that there are."""
    trained, large = load("vae"), np.kron(DIGITS[:5], np.ones((3, 2), np.uint8))[:, :23]
    for x in (large, large[..., None], large[0]):
        np.save(tmp_path / "large.npy", x if kind == "uint8" else x / 16)
        with pytest.raises(UserError, match=r"(?s)large.npy has shape .*\ntry --resize"):
            apply(trained, "encode", tmp_path / "large.npy", tmp_path / "out")
        apply(trained, "encode", tmp_path / "large.npy", tmp_path / "out", resize=True)
        images = [Image.fromarray(image) for image in np.float32(x.reshape(-1, 23, 16)) / 16]
        small = np.stack([image.resize((8, 8), Image.Resampling.BICUBIC) for image in images]).clip(0, 1)
        found = np.load(tmp_path / "out/large.npz")["code"]
        np.testing.assert_allclose(found, code_of(trained, small), rtol=1e-4, atol=1e-5)
    ((path,), _) = apply(trained, "reconstruct", tmp_path / "large.npy", tmp_path / "out", resize=True)
    assert (np.load(path).shape, np.load(path).dtype) == ((1, 8, 8, 1), large.dtype if kind == "uint8" else np.float32)


def test_the_runs_own_data(load, tmp_path):
    trained = load("ae")
    apply(trained, "encode", "", tmp_path)
    stored = np.load(tmp_path / "test.npz")
    assert len(stored["code"]) == 297 and stored["names"][-1] == "test_296"
    np.testing.assert_allclose(stored["code"], code_of(trained, DIGITS[-297:] / 16), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("spherical", [False, True])
def test_interpolation(load, photos, tmp_path, spherical):
    trained = load("vae")
    ends = [photos / "digit 00.png", photos / "digit 07.png"]
    paths, _ = apply(trained, "interpolate", ",".join(map(str, ends)), tmp_path / "out", steps=11, spherical=spherical)
    *frames, strip = map(read, paths)
    start, end = code_of(trained, PIXELS[[0, 7]] / 255)
    t = np.arange(11)[:, None] / 10
    share, other = 1 - t, t
    if spherical:
        angle = np.arccos(start @ end / np.linalg.norm(start) / np.linalg.norm(end))
        share, other = np.sin((1 - t) * angle) / np.sin(angle), np.sin(t * angle) / np.sin(angle)
    rounded(np.stack(frames), mean_of(trained, share * start + other * end))
    np.testing.assert_array_equal(strip, np.hstack(frames))
    stem = "digit 00_digit 07"
    assert [path.name for path in paths] == [f"{stem}_{n:02d}.png" for n in range(11)] + [f"{stem}.png"]


def test_samples(load, tmp_path):
    trained = load("vae")

    def sample(out, seed=0, **options):
        paths, _ = apply(dataclasses.replace(trained, seed=seed), "sample", "", tmp_path / out, count=5, **options)
        assert [path.name for path in paths] == [f"sample_{n}.png" for n in range(5)]
        return np.stack([read(path) for path in paths])

    first = sample("a")
    np.testing.assert_array_equal(first, sample("b"))
    assert len(np.unique(first, axis=0)) == 5 and (sample("c", seed=1) != first).any()
    origin = mean_of(trained, np.zeros((1, 2)))
    rounded(sample("cold", temperature=0.0), origin)
    warm, hot = (np.abs(sample("warm", temperature=t) - 255 * origin).mean() for t in (0.5, 2.0))
    assert 0.5 < warm < hot / 2


def test_classes(load, photos, tmp_path):
    trained, label = load("cvae"), np.tile([7, 2], 3)
    paths, _ = apply(trained, "sample", "", tmp_path / "out", count=6, temperature=0.0, label=("7", "2"), batch_size=4)
    rounded(np.stack([read(path) for path in paths]), mean_of(trained, np.zeros((6, 2)), label=label))
    np.savez(tmp_path / "labelled.npz", x=PIXELS / np.float32(255), label=np.arange(12) % 10)
    apply(trained, "encode", tmp_path / "labelled.npz", tmp_path / "out")
    expected = code_of(trained, PIXELS / 255, label=np.arange(12) % 10)
    np.testing.assert_allclose(np.load(tmp_path / "out/labelled.npz")["code"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("sampler", ["gaussian", "mixture"])
def test_a_plain_autoencoder_draws_by_a_sampler_fitted_to_its_codes(load, tmp_path, sampler):
    trained = load("ae")
    paths, _ = apply(trained, "sample", "", tmp_path / "out", count=3, sampler=sampler)
    assert len({path.read_bytes() for path in paths}) == 3


def test_a_sampler_of_the_users_own(load, tmp_path, monkeypatch):
    code = "import numpy\ndef fit(codes, key):\n    return lambda key, n: numpy.repeat(codes.mean(0)[None], n, 0)\n"
    (tmp_path / "average.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    trained = load("ae")
    paths, _ = apply(trained, "sample", "", tmp_path / "out", count=2, sampler="average:fit")
    train = np.delete(DIGITS[:1500], np.random.RandomState(1).permutation(1500)[:200], axis=0) / 16
    expected = mean_of(trained, code_of(trained, train).mean(axis=0)[None])
    rounded(np.stack([read(path) for path in paths]), np.repeat(expected, 2, 0))


def test_what_cannot_be_decoded_is_left_out_and_named(run, photos, tmp_path):
    whole = (photos / "digit 05.png").read_bytes()
    (photos / "digit 05.png").write_bytes(whole[:60])
    (photos / "notes.jpg").write_text("not an image")
    # The run is moved, and its training data are gone.
    moved, out = tmp_path / "elsewhere" / "run", tmp_path / "out"
    shutil.copytree(run("ae"), moved)
    stored = json.loads((moved / "config.json").read_text())
    stored["config"]["data"].update(source="files", path="/nowhere")
    (moved / "config.json").write_text(json.dumps(stored))
    ended = command(moved, photos, out, "--task=reconstruct", "--limit=13")
    assert ended.returncode == 1, ended.stderr
    assert [word in ended.stderr for word in ("digit 05.png", "notes.jpg", "Traceback")] == [True, True, False]
    assert len(ended.stdout.splitlines()) == len(list(out.iterdir())) == 11
    with pytest.raises(RunFailed, match="notes.jpg"):
        apply(analysis.load(str(moved)), "encode", photos / "notes.jpg", tmp_path / "none")


def test_a_flag_of_another_task(run, photos, tmp_path):
    ended = command(run("ae"), photos, tmp_path / "out", "--task=encode", "--count=3")
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 2) and "--count" in ended.stderr
    assert not (tmp_path / "out").exists()


def table(text):
    return lambda path: path.with_suffix(".csv").write_text(text)


def array(values):
    return lambda path: np.save(path.with_suffix(".npy"), values)


BAD = [
    ("vae", "encode", "nothing", {}, None, "does not exist"),
    ("vae", "encode", "bad.csv", {}, table("a\nx\n"), "holds text, 'x' in row 1"),
    (
        "vae",
        "encode",
        "bad.mid",
        {},
        lambda path: path.with_suffix(".mid").touch(),
        "none of what this model reads.*expected .png, .*or .npz",
    ),
    ("vae", "encode", "bad.npy", {}, array(np.zeros((3, 7, 7))), r"\[3, 7, 7\].*\[N, 8, 8, 1\] or \[N, 8, 8\]\ntry"),
    ("vae", "encode", "bad.npy", {"resize": True}, array(np.zeros((2, 9, 9, 3))), r"\[2, 9, 9, 3\].*\[N, 8, 8\]$"),
    ("vae", "encode", "bad.npy", {"resize": True}, array(np.zeros((9, 9, 3))), r"\[9, 9, 3\].*\[N, 8, 8\]$"),
    ("vae", "encode", "bad.npy", {}, array(PIXELS), "holds 255, and this model's pixels are 0 to 16"),
    ("vae", "encode", "bad.npy", {}, array(PIXELS.astype(float)), "from 0 to 255"),
    ("vae", "encode", "bad.npy", {}, array(PIXELS.astype(int)), "int64"),
    ("vae", "encode", "bad.npy", {}, array(np.full((1, 8, 8), np.nan)), "NaN"),
    ("vae", "encode", "bad.npy", {}, array(np.array([{}])), "cannot be read"),
    ("vae", "encode", "bad.npy", {"label": ("3",)}, array(DIGITS[:2]), "reads no label"),
    ("cvae", "encode", "bad.npy", {}, array(DIGITS[:2]), "conditional.*--label"),
    ("cvae", "encode", "bad.npy", {"label": ("10",)}, array(DIGITS[:2]), "0 to 9"),
    ("cvae", "encode", "bad.npy", {"label": ("one",)}, array(DIGITS[:2]), "0 to 9"),
    ("vae", "decode", "", {}, None, "no --input"),
    ("vae", "decode", "bad.npy", {}, array(np.zeros((2, 3))), r"\[2, 3\].*\[N, 2\]"),
    ("vae", "decode", "bad.csv", {}, table("file,z0,z1\na,1,2\nb,1\n"), "row 3 has 2 fields"),
    ("vae", "decode", "bad.csv", {}, table("file,z0,z1\na,1,two\n"), "two"),
    ("vae", "decode", "bad.csv", {}, table("a,1,2\n"), "first line"),
    ("vae", "decode", "bad.csv", {}, table("file,z0,z1\n../a,1,2\n"), r"'../a.png'"),
    ("vae", "decode", "bad.csv", {}, table("file,z0,z1\na.png,1,2\na.jpg,1,2\n"), "both become a.png"),
    ("vae", "interpolate", "bad.npy,bad.npy", {"label": ("1", "2")}, array(DIGITS[0]), "one class"),
    ("vae", "interpolate", "bad.npy", {}, array(DIGITS[:1]), "expected A,B"),
    ("vae", "interpolate", "bad.npy,bad.npy", {}, array(DIGITS[:2]), "2 examples"),
    ("vae", "interpolate", "bad.npy,bad.npy", {"steps": 0}, array(DIGITS[0]), "at least 1"),
    ("vae", "sample", "bad.npy", {}, None, "reads no examples"),
    ("vae", "sample", "", {"count": 0}, None, "^--count=0\nexpected at least 1"),
    ("vae", "sample", "", {"temperature": -1.0}, None, "^--temperature=-1.0\nexpected a number of at least 0"),
    ("vae", "sample", "", {"sampler": "none_such"}, None, "none_such"),
    ("ae", "sample", "", {}, None, "no prior"),
    ("ae", "sample", "", {"temperature": 0.5}, None, "normal prior"),
    ("ae", "smaple", "", {}, None, "sample"),
]


@pytest.mark.parametrize("name, task, source, options, make, message", BAD)
def test_a_mistake_is_said_and_nothing_written(load, tmp_path, name, task, source, options, make, message):
    if make:
        make(tmp_path / "bad")
    source = ",".join(str(tmp_path / part) for part in source.split(",")) if source else ""
    with pytest.raises(UserError, match=f"(?s){message}") as raised:
        apply(load(name), task, source, tmp_path / "out", **options)
    assert len(str(raised.value).splitlines()) <= 2
    assert not (tmp_path / "out").exists()


def test_no_original_is_overwritten(load, photos, tmp_path):
    before = (photos / "digit 00.png").read_bytes()
    for output, message in ((photos, "is an input"), (tmp_path / "out.png", "is a file")):
        with pytest.raises(UserError, match=message):
            apply(load("vae"), "reconstruct", photos, output)
    assert (photos / "digit 00.png").read_bytes() == before and len(list(photos.iterdir())) == 12
