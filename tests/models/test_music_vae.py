"""MusicVAE: what its decoders read and write, that it learns, and its use on MIDI files."""

import dataclasses
import functools
import json
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_sweeps import assert_same_run

from ae_jax.commands.apply import shared
from ae_jax.core import lookup, schedules
from ae_jax.core.errors import RunFailed, UserError
from ae_jax.data.batching import Batches
from ae_jax.data.music import attributes, audio, events, midi, scores
from ae_jax.data.sources import scales
from ae_jax.evaluation import gather
from ae_jax.evaluation.data import EvalData
from ae_jax.experiments import analysis, configuration, experiment, runner
from ae_jax.models.nets import autoregressive, recurrent
from ae_jax.sweeps import axes, launch

ROOT = Path(__file__).parents[2]
KEY = jax.random.key(5)
SMALL = {"model.encoder_hidden": "24", "model.decoder_hidden": "48", "model.latent_dim": "12"}


def built(name="music_vae_2bar", **overrides):
    config = configuration.load(str(ROOT / f"configs/{name}.py:tiny,scales_{name.split('_')[2]}"))
    for key, text in {**SMALL, **overrides}.items():
        configuration.override(config, key, text)
    return config, experiment.build(config)


# --- networks ---------------------------------------------------------------------------------------------------------


def test_one_step_after_the_other_is_all_steps_at_once():
    decoder = autoregressive.Decoder((5, 7))
    z, before = jax.random.normal(KEY, (3, 4)), jax.random.normal(KEY, (3, 6, 2))
    whole, variables = jax.jit(decoder.init_with_output)(KEY, z, before)
    states, context = jax.jit(functools.partial(decoder.apply, method="begin"))(variables, z)
    step = jax.jit(functools.partial(decoder.apply, method="step"))
    for t in range(6):
        states, h = step(variables, states, context, before[:, t])
        np.testing.assert_allclose(h, whole[:, t], atol=1e-6)


def test_an_encoder_of_parts_reads_each_alone_and_then_what_it_made_of_them():
    encoder, x = recurrent.Encoder((4,), part=3), jax.random.normal(KEY, (2, 6, 5))
    params = jax.jit(encoder.init)(KEY, x)["params"]
    read = lambda layer, x: recurrent.Encoder((4,)).apply({"params": {"Lstm_0": params[layer]}}, x)
    codes = jnp.stack([read("Lstm_0", x[:, :3]), read("Lstm_0", x[:, 3:])], axis=1)
    np.testing.assert_allclose(encoder.apply({"params": params}, x), read("Lstm_1", codes), atol=1e-6)
    with pytest.raises(UserError, match="encoder_part=4 does not divide 6 steps"):
        recurrent.Encoder((4,), part=4).init(KEY, x)


def test_cells_that_remember_begin_with_gates_for_times_of_their_own():
    x = jnp.zeros((1, 2, 3))
    draw = lambda memory: recurrent.Lstm(200, memory=memory).init(KEY, x)["params"]["inputs"]["bias"]
    i, f, g, o = np.split(np.asarray(draw(16), float), 4)
    kept = 1 / (1 + np.exp(-f))  # the share of a cell that one step leaves; 1 / (1 - kept) is its time, u + 1
    assert np.all((1 / (1 - kept) >= 2) & (1 / (1 - kept) <= 16)) and 8 < np.mean(1 / (1 - kept)) < 10
    assert np.array_equal(i, -f) and not g.any() and not o.any() and not draw(0).any()
    with pytest.raises(UserError, match="memory=2"):
        draw(2)


def test_a_bidirectional_encoder_reads_time_either_way():
    encoder, x = recurrent.Encoder((4,), bidirectional=True), jax.random.normal(KEY, (2, 5, 3))
    h, variables = jax.jit(encoder.init_with_output)(KEY, x)
    swapped = {"params": {f"Lstm_{i}": variables["params"][f"Lstm_{1 - i}"] for i in (0, 1)}}
    np.testing.assert_allclose(jax.jit(encoder.apply)(swapped, x[:, ::-1]), jnp.roll(h, 4, axis=1), atol=1e-6)
    forward = jax.jit(recurrent.Encoder((4,)).apply)({"params": {"Lstm_0": variables["params"]["Lstm_0"]}}, x)
    np.testing.assert_allclose(h[:, :4], forward, atol=1e-6)


# --- the family -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["", "16"], ids=["flat", "hierarchical"])
def model(request):
    """(model, variables, batch) with random parameters, larger than those at first."""
    _, made = built(**{"model.conductor_hidden": request.param} if request.param else {})
    x = np.float32(made.splits["test"]["x"][:2])
    batch = {**made.example(), "x": x, "inputs": x}
    variables = jax.jit(lambda: made.model.init({"params": KEY, "latent": KEY}, batch))()
    return made.model, jax.tree.map(lambda leaf: 3 * leaf, variables), batch


@functools.cache
def asked(model, method, *static, **options):
    """The function (variables, *arrays, key) -> what the method answers, compiled."""

    def ask(variables, *arrays, key=KEY):
        rngs = {"latent": key, "sampling": key}
        return model.apply(variables, *arrays, *static, method=method, rngs=rngs, **options)

    return jax.jit(ask)


def write(model, variables, z, *temperature):
    return np.asarray(asked(model, "write", *temperature)(variables, z))


def logits_of(model, variables, z, **batch):
    return np.asarray(asked(model, "decode")(variables, (z,), batch).logits)


def test_an_event_is_given_its_code_and_the_events_before_it_alone(model):
    model, variables, batch = model
    z = jax.random.normal(KEY, (1, 2, 12))
    x, place = batch["x"], 5
    first, other = (
        logits_of(model, variables, z, x=each)[0] for each in (x, np.array(x) + (np.arange(x.shape[1]) == place)[None])
    )
    same = (first == other).all(axis=(0, 2))
    assert same[: place + 1].all() and not same[place + 1]
    bar = model.spec.bar if model.conductor_hidden else x.shape[1]
    assert same[(place // bar + 1) * bar :].all()  # a conductor's bars know nothing of each other


def test_every_event_counts_holds_too(model):
    model, variables, batch = model
    z = jax.random.normal(KEY, (1, 2, 12))
    p_x = asked(model, "decode")(variables, (z,), batch)
    logits, x = np.asarray(p_x.logits, np.float64)[0], batch["x"].astype(int)
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    expected = np.take_along_axis(log_p, x[..., None], axis=-1)[..., 0]
    assert (x == events.HOLD).mean() > 0.2
    np.testing.assert_allclose(p_x.log_prob(batch["x"][None])[0], expected.sum(axis=1), rtol=1e-4)


def test_what_is_written_greedily_is_the_mode_given_itself(model):
    model, variables, _ = model
    z = jax.random.normal(KEY, (1, 2, 12))
    written = write(model, variables, z)
    assert written.shape == (1, 2, *model.spec.shape) and len(np.unique(written)) > 2
    for batch in ({"x": written}, {"mask": np.ones(2)}):
        np.testing.assert_array_equal(logits_of(model, variables, z, **batch).argmax(axis=-1), written)


def test_events_are_drawn_at_their_temperature(model):
    model, variables, _ = model
    z = jnp.broadcast_to(jax.random.normal(KEY, (1, 12)), (4000, 12))
    first = write(model, variables, z, 2.0)[:, 0]
    logits = logits_of(model, variables, z[None, :1])[0, 0, 0] / 2.0
    p = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(np.bincount(first.astype(int), minlength=90) / 4000, p, atol=4 * np.sqrt(p.max() / 4000))


def test_in_training_the_decoder_reads_its_own_events_as_often_as_is_asked(model):
    model, variables, batch = model
    other = {**batch, "x": np.roll(batch["x"], 1, axis=1)}  # the same "inputs", so the same code

    @jax.jit
    def read(batch, probability):
        options = {"train": True, "hparams": {"sampling": probability}, "rngs": {"latent": KEY, "sampling": KEY}}
        return model.apply(variables, batch, **options).likelihood.logits

    plain = asked(model, "__call__")(variables, batch).likelihood.logits
    np.testing.assert_allclose(read(batch, 0.0), plain, atol=1e-5)
    assert not np.allclose(read(batch, 0.0), read(other, 0.0), atol=1e-3)
    np.testing.assert_array_equal(read(batch, 1.0), read(other, 1.0))


@pytest.mark.parametrize("samples", [1, 5])
def test_nll_of_a_decoder_that_ignores_its_code_is_its_cross_entropy_whatever_the_samples(samples, model):
    model, variables, batch = model
    params = dict(variables["params"])
    zeros = lambda tree: jax.tree.map(jnp.zeros_like, tree)
    params["decoder"] = {
        **params["decoder"],
        **{part: zeros(params["decoder"][part]) for part in ("states", "context")},
    }
    params["q_z"] = zeros(params["q_z"])  # the posterior is the prior: a weight is p(x|z), and no estimate
    logits = logits_of(model, {"params": params}, jax.random.normal(KEY, (1, 2, 12)), x=batch["x"])[0].astype(float)
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    expected = -np.take_along_axis(log_p, batch["x"].astype(int)[..., None], axis=-1).sum(axis=(1, 2)).mean()
    data = EvalData.of(test=Batches({"x": batch["x"]}, model.spec, 2))
    found = lookup.find("metrics", "nll", "evaluate")(model, {"params": params}, data, KEY, samples=samples, chunk=2)
    assert found["nll"] == pytest.approx(expected, rel=1e-5)


def test_sampling_is_a_number_that_may_vary(tmp_path):
    config, made = built(**{"model.sampling": "linear:0:1:10"})
    assert schedules.at(made.hparams, 5)["model"]["sampling"] == 0.5
    assert not hasattr(made.model, "sampling")
    assert built(**{"model.sampling": "None"})[1].hparams["model"] == {}  # true events are read throughout
    for key, text in (("model.sampling", "sigmoid"), ("model.samplign", "0.5")):
        with pytest.raises(UserError, match="schedule|did you mean 'model.sampling'"):
            configuration.override(config, key, text)
            experiment.build(config)


def test_the_decoders_that_are_compared_are_of_one_size():
    for size in ("tiny", "scales_16bar", "big"):
        names = ("music_vae_16bar", "music_vae_16bar_flat")
        configs = [configuration.load(str(ROOT / f"configs/{name}.py:{size}")) for name in names]
        counts = [
            sum(leaf.size for leaf in jax.tree.leaves(experiment.build(config, SIXTEEN).state_shapes().params))
            for config in configs
        ]
        assert abs(counts[0] / counts[1] - 1) < 0.1


SIXTEEN = scales.load("scales_16bar")[0]


@pytest.mark.parametrize("conductor", ["", "8"], ids=["flat", "hierarchical"])
def test_a_sweep_over_what_the_decoder_reads_leaves_what_train_leaves(conductor, tmp_path):
    config, values = configuration.load(str(ROOT / "configs/music_vae_2bar.py:smoke")), ("0.1", "0.9")
    configuration.override(config, "model.conductor_hidden", conductor)
    config.eval.update(metrics=("elbo",), criterion="elbo")
    axis = axes.assignments([f"model.sampling={','.join(values)}"])
    launch.run(launch.make_plan(str(tmp_path / "swept"), config, axis, "map"))
    configuration.override(config, "model.sampling", values[1])
    runner.train_run(config, str(tmp_path / "alone"), say=lambda *_, **__: None)
    runs = [tmp_path / f"swept/model.sampling={value}" for value in values]
    assert_same_run(runs[1], tmp_path / "alone")
    assert (runs[0] / "metrics.jsonl").read_text() != (runs[1] / "metrics.jsonl").read_text()


# --- a trained model --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A run of some seconds on scales, whose rhythms and keys it learns."""
    return train(tmp_path_factory.mktemp("runs") / "scales")


def train(folder, **overrides):
    config, _ = built(**overrides)
    config.train.update(steps=300, eval_every=150, log_every=150, checkpoint_every=300)
    config.optimizer.learning_rate = "cosine:1e-2:1e-4:300"
    config.model.sampling = "linear:0:0.5:300"
    config.weights.kl = 0.2
    runner.train_run(config, str(folder), say=lambda *_, **__: None)
    return folder


@pytest.fixture(scope="module")
def trained(workdir):
    return analysis.load(str(workdir))


@pytest.fixture(scope="module")
def found(trained):
    return analysis.evaluate_run(trained, ["melodies"], {"melodies_train": 64})


def test_it_learns_what_no_rule_knows(found):
    baselines = [found[f"accuracy_{rule}"] for rule in ("always_hold", "most_likely", "eighth_notes")]
    assert found["accuracy_argmax"] > max(baselines) + 0.02
    assert found["onset_f1_argmax"] > found["onset_f1_most_likely"] + 0.05
    assert found["accuracy_teacher_forced"] > found["accuracy_markov"] + 0.05
    assert 0 < found["kl_bits"] < 200


def test_the_nll_lies_below_the_bound(trained):
    found = analysis.evaluate_run(trained, ["elbo", "nll"], {"elbo_samples": 10, "nll_samples": 50, "nll_chunk": 25})
    assert 0 < found["nll"] < -found["elbo"]


def drawn_latents(model, variables, batches):
    """Latents and their posteriors, each example drawn by a key of its own, as metrics draw them."""

    def of_batch(model, variables, batch, key):
        latent = model.apply(variables, batch, rngs={"latent": key}).latents[0]
        return {"z": latent.sample[0], "loc": latent.posterior.loc, "log_scale": latent.posterior.log_scale}

    return gather.gather(gather.compiled(of_batch, model), variables, batches, jax.random.key(0))


def test_melodies_are_scored_as_they_are_written(trained, found):
    model, variables = trained.experiment.model, trained.variables
    (batch,) = trained.data.test
    drawn = drawn_latents(model, variables, trained.data.test)
    truth, written = np.asarray(batch["x"], int), write(model, variables, drawn["z"])
    assert found["accuracy_argmax"] == pytest.approx((written == truth).mean(), abs=1e-6)
    assert 0 < found["accuracy_temperature_1"] < found["accuracy_argmax"]
    assert found["note_f1_argmax"] == pytest.approx(scores.scores(written.astype(int), truth)["note_f1"].mean())
    loc, log_scale = drawn["loc"], drawn["log_scale"]
    nats = 0.5 * (np.exp(2 * log_scale) + np.square(loc) - 1) - log_scale
    assert found["kl_bits"] == pytest.approx(float(nats.sum(axis=1).mean()) / np.log(2), rel=1e-4)
    assert found["accuracy_always_hold"] == pytest.approx((truth == 0).mean())


def test_training_shows_the_main_scores_of_many(found):
    shown = runner.headline(found, ["melodies", "elbo"])
    assert set(shown) == {"accuracy_argmax", "note_f1_argmax", "accuracy_teacher_forced", "kl_bits"}
    assert shown["kl_bits"] == found["kl_bits"]


def test_sixteen_bars_are_scored_bar_by_bar():
    _, made = built("music_vae_16bar")
    params = jax.tree.map(lambda leaf: 3 * leaf, made.init(KEY).params)
    data = EvalData.of(**{split: made.batches(split).only(np.arange(20)) for split in ("train", "test")})
    found = analysis.evaluate(made, {"params": params}, ["melodies"], data, options={"melodies_train": 1})
    (batch,) = data.test
    drawn = drawn_latents(made.model, {"params": params}, data.test)
    written = write(made.model, {"params": params}, drawn["z"])
    same = (written == np.asarray(batch["x"])).reshape(-1, 16, 16).mean(axis=(0, 2))
    told = [found[f"accuracy_argmax_bar_{bar:02d}"] for bar in range(1, 17)]
    np.testing.assert_allclose(told, same, atol=1e-6)
    assert np.ptp(told) > 0 and "accuracy_argmax_bar_17" not in found


def test_melodies_are_drawn_at_a_temperature_that_is_named(trained):
    options = {"melodies_temperature": 1.5, "melodies_train": 1}
    drawn = analysis.evaluate(trained.experiment, trained.variables, ["melodies"], trained.data, options=options)
    assert drawn["accuracy_temperature_1.5"] < drawn["accuracy_argmax"] and "accuracy_temperature_1" not in drawn
    for temperature in (-1.0, float("nan"), float("inf")):
        options = {"melodies_temperature": temperature}
        with pytest.raises(UserError, match=f"--melodies_temperature is {temperature}\nuse a number above 0"):
            analysis.evaluate(trained.experiment, trained.variables, ["melodies"], trained.data, options=options)


@pytest.mark.parametrize(
    "name", ["reconstructions", "interpolations", "samples", "melody_samples", "melody_curves", "scatter"]
)
def test_figures_of_melodies(name, trained, tmp_path):
    options = {"reconstructions_count": 2, "interpolations_count": 1, "samples_count": 4, "interpolations_steps": 3}
    (path,) = analysis.draw(trained, [name], options, "png")
    stored = np.load(path.with_suffix(".npz"))
    if name == "melody_curves":
        lines = [json.loads(line) for line in trained.run.metrics.read_text().splitlines()]
        logged = [line for line in lines if line["split"] == "validation"]
        np.testing.assert_array_equal(stored["held_out"][0], [line["accuracy_argmax"] for line in logged])
        np.testing.assert_array_equal(stored["train"][1], [line["note_f1_argmax_train"] for line in logged])
    if name == "melody_samples":
        assert stored["temperature"].tolist() == [0.2, 0.7, 1.0]


def figure(name, trained, data=None, **options):
    arrays = lookup.find("figures", name, "arrays")
    return arrays(trained.experiment.model, trained.variables, data or trained.data, KEY, **options)


def test_figures_show_melodies_as_the_model_writes_them(trained):
    model, variables, (batch,) = trained.experiment.model, trained.variables, trained.data.test
    found, outputs = figure("reconstructions", trained, count=2), asked(model, "__call__")
    np.testing.assert_array_equal(found["original"], batch["x"][:2])
    z = outputs(variables, batch, key=jax.random.fold_in(KEY, 0)).latents[0].sample[0, :2]
    np.testing.assert_array_equal(found["reconstruction"], write(model, variables, z))

    found, codes = figure("interpolations", trained, count=2, steps=3), outputs(variables, batch).code[:4]
    np.testing.assert_array_equal(found["start"], batch["x"][0:4:2])
    np.testing.assert_array_equal(found["end"], batch["x"][1:4:2])
    for step, z in enumerate((codes[0::2], (codes[0::2] + codes[1::2]) / 2, codes[1::2])):
        np.testing.assert_array_equal(found["path"][:, step], write(model, variables, z))


def test_new_melodies_depart_from_the_likeliest_as_the_temperature_rises(trained):
    model, variables, batch = trained.experiment.model, trained.variables, {"mask": np.ones(8)}
    likeliest = lambda key: write(model, variables, asked(model, "prior_codes")(variables, batch, key=key)[0][0])
    np.testing.assert_array_equal(figure("samples", trained, count=8)["samples"], likeliest(KEY))
    samples = figure("melody_samples", trained, count=8, temperatures=("1e-4", "0.7", "9"))["samples"]
    cold, warm, hot = (samples != likeliest(jax.random.split(KEY)[0])[None]).mean(axis=(1, 2))
    assert cold == 0 < warm < hot


def test_the_map_of_a_corpus_names_its_sources(trained):
    names, test = ("reels", "jigs", "airs", "hymns", "carols"), trained.data.test
    named = dataclasses.replace(test, spec=dataclasses.replace(test.spec, names=names))
    found = figure("scatter", trained, EvalData.of(test=named))
    assert tuple(found["classes"]) == names
    np.testing.assert_array_equal(found["label"], trained.experiment.splits["test"]["label"])
    drawn = lookup.find("figures", "scatter", "figure")(found)
    assert tuple(text.get_text() for text in drawn.legends[0].get_texts()) == names


# --- the user's MIDI files --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tunes(tmp_path_factory, trained):
    """A folder of two held-out melodies, of one four bars long, and of one for two voices."""
    folder = tmp_path_factory.mktemp("tunes")
    grids = np.asarray(trained.experiment.splits["test"]["x"][:3])
    notes = [events.to_notes(grid) for grid in grids]
    for name, each in zip("ab", notes):
        (folder / f"{name}.mid").write_bytes(midi.to_bytes(each, 32))
    (folder / "long.mid").write_bytes(midi.to_bytes(np.concatenate([notes[0], notes[1] + [32, 0, 0]]), 64))
    one, two = midi.to_bytes(notes[0], 32), midi.to_bytes(notes[2], 32)
    (folder / "duet.mid").write_bytes(one[:10] + bytes([0, 2]) + one[12:] + two[14:])
    return folder


def apply(trained, task, source, output, **options):
    paths, _ = shared.apply(trained, task, str(source), str(output), options)
    return {path.name: path for path in paths}


def read(path):
    """The two bars in a file; silence where it has no notes."""
    try:
        (voice,) = midi.read(path).voices
    except UserError as error:
        assert "has no notes" in str(error)
        return np.zeros(32, np.uint8)
    return midi.grid(voice, rest=32)[:32]


def test_a_tune_comes_back_as_the_model_writes_it(trained, tunes, tmp_path):
    files = apply(trained, "reconstruct", tunes / "long.mid", tmp_path, render=True)
    assert sorted(files) == sorted(f"long_bar_{bar}.{kind}" for bar in ("01", "03") for kind in ("mid", "png", "wav"))
    x = np.float32(trained.experiment.splits["test"]["x"][:2])
    batch = {"x": x, "inputs": x, "mask": np.ones(2)}
    code = asked(trained.experiment.model, "__call__")(trained.variables, batch).code
    written = write(trained.experiment.model, trained.variables, code).astype(np.uint8)
    for name, grid in zip(("long_bar_01", "long_bar_03"), events.canonical(written)):
        expected = events.to_events(events.to_notes(grid), 32)
        np.testing.assert_array_equal(read(files[f"{name}.mid"]), expected)
        with wave.open(str(files[f"{name}.wav"])) as sound:
            assert sound.getnframes() / sound.getframerate() == pytest.approx(4.0)


def test_one_voice_and_one_bar_are_chosen(trained, tunes, tmp_path):
    with pytest.raises(UserError, match=r"duet.mid has 2 voices.*--track=0 \(track 0.*--track=1 \(track 1"):
        apply(trained, "encode", tunes / "duet.mid", tmp_path)
    codes = {}
    for name, options in {"a": {}, "duet": {"track": 0}, "long": {"start_bar": 1}}.items():
        codes[name] = np.load(apply(trained, "encode", tunes / f"{name}.mid", tmp_path, **options)[f"{name}.npz"])[
            "code"
        ]
        np.testing.assert_allclose(codes[name], codes["a"], atol=1e-5)
    with pytest.raises(UserError, match="no note from bar 9 .*\nexpected --start_bar from 1 to 4"):
        apply(trained, "encode", tunes / "long.mid", tmp_path, start_bar=9)
    with pytest.raises(UserError, match="long_bar_01, long_bar_03\nexpected one"):
        apply(trained, "interpolate", f"{tunes / 'long.mid'},{tunes / 'a.mid'}", tmp_path)


def test_a_bad_file_is_named_in_two_lines(workdir, tmp_path):
    (tmp_path / "bad.mid").write_bytes(b"RIFF" + bytes(40))
    words = [ROOT / "scripts/apply.py", f"--workdir={workdir}", "--task=reconstruct", f"--input={tmp_path / 'bad.mid'}"]
    done = subprocess.run([sys.executable, *words, f"--output={tmp_path / 'out'}"], capture_output=True, text=True)
    assert done.returncode == 2 and "bad.mid is no MIDI file" in done.stderr and done.stderr.count("\n") <= 2
    assert not (tmp_path / "out").exists()


def test_a_folder_of_which_some_is_left_out_ends_with_status_1(workdir, tunes, tmp_path):
    words = [ROOT / "scripts/apply.py", f"--workdir={workdir}", "--task=reconstruct", f"--input={tunes}"]
    words += ["--start_bar=3", f"--output={tmp_path}"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["long_bar_03.mid", "long_bar_03.png"]
    left_out = ("a.mid has no note", "b.mid has no note", "duet.mid has 2 voices")
    assert all(reason in done.stderr for reason in left_out) and "Traceback" not in done.stderr


def test_the_other_files_of_a_folder_are_read(trained, tunes, tmp_path):
    (tmp_path / "bad.mid").write_bytes(b"RIFF" + bytes(40))
    with pytest.raises(RunFailed, match="bad.mid is no MIDI file"):
        shared.apply(trained, "encode", str(tmp_path), str(tmp_path / "out"), {})
    shutil.copy(tunes / "a.mid", tmp_path)
    (_, table), unreadable = shared.apply(trained, "encode", str(tmp_path), str(tmp_path / "out"), {})
    assert [line.partition(",")[0] for line in table.read_text().splitlines()[1:]] == ["a_bar_01"]
    assert len(unreadable) == 1 and "bad.mid is no MIDI file" in unreadable[0]


def test_interpolation_goes_from_one_tune_to_the_other(trained, tunes, tmp_path):
    ends = [read(apply(trained, "reconstruct", tunes / f"{n}.mid", tmp_path / n)[f"{n}_bar_01.mid"]) for n in "ab"]
    files = apply(trained, "interpolate", f"{tunes / 'a.mid'},{tunes / 'b.mid'}", tmp_path, steps=3, spherical=True)
    assert sorted(files) == sorted(f"a_b{n}.{kind}" for n in ("", "_0", "_1", "_2") for kind in ("mid", "png"))
    np.testing.assert_array_equal(read(files["a_b_0.mid"]), ends[0])
    np.testing.assert_array_equal(read(files["a_b_2.mid"]), ends[1])
    mean = apply(trained, "interpolate", f"{tunes / 'a.mid'},{tunes / 'b.mid'}", tmp_path / "mean", steps=1)
    a, b = (np.load(apply(trained, "encode", tunes / f"{n}.mid", tmp_path)[f"{n}.npz"])["code"] for n in "ab")
    np.save(tmp_path / "half.npy", (a + b) / 2)
    half = apply(trained, "decode", tmp_path / "half.npy", tmp_path / "half")
    np.testing.assert_array_equal(read(mean["a_b_0.mid"]), read(half["half_0.mid"]))


def test_new_melodies_are_written_at_a_temperature(trained, tmp_path):
    options = {
        "": {},
        "drawn": {"event_temperature": 1.0},
        "again": {"event_temperature": 1.0},
        "hot": {"event_temperature": 9.0},
    }
    made = {name: apply(trained, "sample", "", tmp_path / name, count=3, **each) for name, each in options.items()}
    assert sorted(made[""]) == [f"sample_{n}.{kind}" for n in range(3) for kind in ("mid", "png")]
    bytes_of = {name: [files[f"sample_{n}.mid"].read_bytes() for n in range(3)] for name, files in made.items()}
    assert bytes_of["drawn"] == bytes_of["again"] and bytes_of["drawn"] not in (bytes_of[""], bytes_of["hot"])


@pytest.fixture(scope="module")
def varied(tmp_path_factory):
    """A run of some seconds on tunes of quarters or eighths, in steps or leaps, one in five of them off the beat."""
    folder = tmp_path_factory.mktemp("varied")
    (folder / "tunes").mkdir()
    generator = np.random.default_rng(0)
    for number in range(160):
        length, leap, late = (4, 2)[number % 2], (1, 4)[number // 2 % 2], number // 4 % 5 == 0
        onset = np.arange(0, 128, length)
        walk = generator.integers(0, 7) + np.cumsum(generator.choice([-1, 1], len(onset)))
        notes = [onset + late * length // 2, np.full(len(onset), length), 60 + leap * (np.abs(walk) % 7)]
        (folder / f"tunes/{number}.mid").write_bytes(midi.to_bytes(np.column_stack(notes)))
    data = {"source": "melodies", "name": "melodies_2bar", "path": str(folder / "tunes"), "split": "0.2"}
    data |= {"cache": str(folder / "cache"), "validation": "0", "transpose": "0"}
    return analysis.load(str(train(folder / "run", **{f"data.{key}": text for key, text in data.items()})))


@pytest.mark.parametrize("name", ["density", "pitch_range", "mean_interval", "syncopation"])
def test_an_attribute_moves_when_its_direction_is_added(name, varied, tmp_path):
    measure, found = getattr(attributes, name), {}
    for amount in (-1.5, 1.5):
        files = apply(varied, "reconstruct", "", tmp_path / str(amount), attribute=(f"{name}:{amount:+}",))
        found[amount] = measure(np.load(files["test.npz"])["x"]).mean()
    assert found[1.5] > found[-1.5]


def test_unknown_attributes_and_amounts_and_what_does_not_vary_are_refused(trained, tunes, tmp_path):
    for attribute, message in (
        ("densty:1", "did you mean 'density'"),
        ("density:much", "has no amount"),
        ("density:nan", "has no amount"),
        ("density", "no amount"),
        ("syncopation:1", "--attribute=syncopation has no direction: it is 0 in all melodies.*\nexpected another"),
    ):
        with pytest.raises(UserError, match=message):
            apply(trained, "reconstruct", tunes / "a.mid", tmp_path, attribute=(attribute,))


# --- attributes and sound ---------------------------------------------------------------------------------------------


def test_attributes_of_a_melody_by_hand():
    grid = np.zeros((2, 32), np.uint8)
    grid[0, [0, 3, 6, 8, 18]] = [
        41,
        45,
        38,
        40,
        40,
    ]  # 3 is held over 4, which is a beat; 6 ends at one; 18 is held over 20
    np.testing.assert_allclose(attributes.density(grid), [2.5, 0])
    np.testing.assert_allclose(attributes.pitch_range(grid), [7, 0])
    np.testing.assert_allclose(attributes.mean_interval(grid), [(4 + 7 + 2 + 0) / 4, 0])
    np.testing.assert_allclose(attributes.syncopation(grid), [2 / 5, 0])


def test_the_direction_of_an_attribute_is_from_the_least_quarter_to_the_greatest():
    values = np.array([3.0, 0.0, 1.0, 2.0, 9.0, 5.0, 4.0, 8.0])
    codes = np.stack([values, -values], axis=1)
    np.testing.assert_allclose(attributes.direction(values, codes), [8.0, -8.0])


@pytest.mark.parametrize(("rare", "expected"), [([2.0], 2), ([-4.0], 4), ([2.0, -4.0], 6)])
def test_the_direction_of_an_attribute_that_few_have_is_from_the_others_to_those(rare, expected):
    values = np.array([0.0] * 9 + rare)
    codes = np.stack([values, np.ones_like(values)], axis=1)
    np.testing.assert_allclose(attributes.direction(values, codes), [expected, 0])


def test_a_note_sounds_at_its_pitch_and_only_while_it_lasts():
    sound = audio.samples(np.array([[4, 8, 69]]), 16)
    assert len(sound) == 2 * audio.RATE and np.abs(sound).max() <= 1
    half = audio.RATE // 2
    assert not sound[:half].any() and not sound[3 * half :].any()
    spectrum = np.abs(np.fft.rfft(sound[half : 3 * half]))
    assert spectrum.argmax() == 440  # a second long: one bin a hertz
