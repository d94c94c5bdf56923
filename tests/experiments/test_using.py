"""A trained model on arrays: what the functions return, from the model's own methods and NumPy."""

import jax
import numpy as np
import pytest
import sklearn.datasets

from ae_jax.core.errors import UserError
from ae_jax.experiments import analysis, configuration, runner, using

DIGITS = sklearn.datasets.load_digits().images[:12, ..., None].astype(np.uint8)  # 0 .. 16
X = DIGITS / np.float32(16)
LABEL = np.arange(12) % 10


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    """The function name -> opened run of a step on the digits, by a config of that name."""
    made = {}

    def loaded(name):
        if name not in made:
            config = configuration.load(f"configs/{name}.py:smoke")
            config.train.update(steps=1, eval_every=0)
            workdir = str(tmp_path_factory.mktemp(name) / "run")
            runner.train_run(config, workdir, say=lambda *_, **__: None)
            made[name] = analysis.load(workdir)
        return made[name]

    return loaded


def outputs(trained, **label):
    batch = {"x": X, "inputs": X, "mask": np.ones(len(X)), **label}
    return trained.model.apply(trained.variables, batch, rngs={"latent": jax.random.key(0)})


def means(trained, codes, **label):
    batch = {"mask": np.ones(len(codes)), **label}
    return np.asarray(trained.model.apply(trained.variables, (codes[None],), batch, method="decode").mean[0])


def test_examples_are_encoded_decoded_and_reconstructed(load):
    trained = load("vae")
    codes = using.encode(trained, X, batch_size=5)
    assert codes.shape == (12, using.dimension(trained)) and codes.dtype == np.float32
    np.testing.assert_allclose(codes, outputs(trained).code, rtol=1e-4, atol=1e-5)
    # Integers are levels of pixels.
    np.testing.assert_array_equal(using.encode(trained, DIGITS, batch_size=5), codes)
    expected = means(trained, codes)
    np.testing.assert_allclose(using.decode(trained, codes.astype(float), batch_size=7), expected, atol=1e-5)
    np.testing.assert_allclose(using.reconstruct(trained, X), expected, atol=1e-5)


def test_labels_are_taken_in_turn(load):
    trained = load("cvae")
    expected = np.asarray(outputs(trained, label=LABEL).code)
    np.testing.assert_allclose(using.encode(trained, X, label=LABEL), expected, rtol=1e-4, atol=1e-5)
    sevens = using.sample(trained, 3, temperature=0.0, label=7)
    np.testing.assert_allclose(sevens, means(trained, np.zeros((3, 2)), label=np.full(3, 7)), atol=1e-5)
    mixed = using.sample(trained, 3, temperature=0.0, label=[7, 2], batch_size=2)
    np.testing.assert_allclose(mixed, means(trained, np.zeros((3, 2)), label=np.array([7, 2, 7])), atol=1e-5)


def test_a_key_decides_what_is_drawn(load):
    trained = load("vae")
    first, again, other = (using.sample(trained, 4, key=jax.random.key(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, using.sample(trained, 4))  # the run was opened with seed 0
    assert (first != other).any()


def test_the_way_between_two_latents(load):
    trained, (start, end) = load("vae"), np.array([[3.0, 0.0], [0.0, 2.0]])
    t = np.arange(5)[:, None] / 4
    found = using.interpolate(trained, start, end, steps=5)
    np.testing.assert_allclose(found, means(trained, (1 - t) * start + t * end), atol=1e-5)
    # The angle between both is a right one.
    found = using.interpolate(trained, start, end, steps=5, spherical=True)
    arc = np.cos(t * np.pi / 2) * start + np.sin(t * np.pi / 2) * end
    np.testing.assert_allclose(found, means(trained, arc), atol=1e-5)
    found = using.interpolate(trained, start, end, steps=1)
    np.testing.assert_allclose(found, means(trained, np.array([[1.5, 1.0]])), atol=1e-5)


MISTAKES = {
    "shape": ("vae", lambda run: using.encode(run, X[:, :7]), r"\[12, 7, 8, 1\].*\n.*\[N, 8, 8, 1\]"),
    "no examples": ("vae", lambda run: using.reconstruct(run, X[:0]), r"\[0, 8, 8, 1\]"),
    "latents": ("vae", lambda run: using.decode(run, np.zeros((4, 3))), r"\[4, 3\]\n.*\[N, 2\]"),
    "one latent": ("vae", lambda run: using.decode(run, np.zeros(2)), r"\[2\]\n.*\[N, 2\]"),
    "label": ("vae", lambda run: using.encode(run, X, label=LABEL), "reads no label"),
    "no label": ("cvae", lambda run: using.encode(run, X), "no labels\n.*0 to 9"),
    "no class": ("cvae", lambda run: using.encode(run, X, label=10), "'10' is no class"),
    "no prior": ("ae", lambda run: using.sample(run, 3), "no prior.*\n.*mixture"),
    "steps": ("vae", lambda run: using.interpolate(run, np.zeros(2), np.ones(2), steps=0), "steps=0"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_in_two_lines(mistake, load):
    name, call, message = MISTAKES[mistake]
    with pytest.raises(UserError, match=message) as caught:
        call(load(name))
    assert len(str(caught.value).splitlines()) == 2


def test_an_arc_keeps_the_distance_and_the_pace():
    t = np.linspace(0, 1, 5)
    a, b = 2 * np.eye(3)[0], 2 * np.eye(3)[1]
    angle = np.pi / 2 * t[:, None]
    expected = 2 * (np.cos(angle) * np.eye(3)[:1] + np.sin(angle) * np.eye(3)[1:2])
    np.testing.assert_allclose(using._arc(a, b, t), expected, atol=1e-12)
    # No arc is the shortest between points in one direction: they are joined by a line.
    np.testing.assert_allclose(using._arc(a, 3 * a, t), a[None] + 2 * a[None] * t[:, None])
