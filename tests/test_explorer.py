"""Programs and pages, in a real browser without a network: what the page decodes is what the decoder decodes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ae_jax import figures, lookup, pages, programs
from ae_jax.batching import Batches
from ae_jax.errors import UserError
from ae_jax.nets import conv, mlp, recurrent
from ae_jax.plots import explorer
from ae_jax.types import DataSpec

KEY = jax.random.key(2)
N = 40
NETS = {
    "mlp": (mlp.Encoder((8,)), mlp.Decoder((16,))),
    "conv": (conv.Encoder((4, 8)), conv.Decoder((4, 8))),
    "upsampling": (conv.Encoder((4, 4), 3), conv.Decoder((4, 4), 3, up="nearest", final_kernel=3)),
    "recurrent": (recurrent.Encoder((8,)), recurrent.Decoder((8,))),
}


@functools.cache
def made(family="vae", net="mlp", shape=(8, 8, 1), dims=2):
    """(model, variables, data), the parameters drawn wide enough that codes matter."""
    spec = DataSpec(shape, "pixels" if len(shape) == 3 else "reals", classes=3)
    generator = np.random.default_rng(0)
    x = generator.integers(0, 256, (N, *shape), np.uint8) if spec.kind == "pixels" else generator.random((N, *shape))
    batches = Batches({"x": x, "label": (np.arange(N) % 3).astype(np.int32)}, spec, 10)
    encoder, decoder = NETS[net]
    model = lookup.find("models", family, "Model")(spec, encoder=encoder, decoder=decoder, latent_dim=dims)
    shapes = jax.eval_shape(model.init, {"params": KEY, "latent": KEY}, next(iter(batches)))
    draw = lambda leaf: generator.normal(size=leaf.shape, scale=2 / np.sqrt(max(leaf.size / leaf.shape[-1], 4)))
    return model, jax.tree.map(lambda leaf: draw(leaf).astype(np.float32), shapes), {"test": batches}


@pytest.fixture
def open_page(browser, tmp_path):
    """The function arrays -> an open page, from disk and offline; no error may reach its console."""
    context, said = browser.new_context(offline=True, viewport={"width": 1000, "height": 800}), []

    def opened(found):
        path = figures.save(tmp_path / "explorer", found, explorer.figure(found), "png")
        page = context.new_page()
        page.on("console", lambda message: message.type == "error" and said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_function("window.explorer !== undefined", timeout=20_000)
        return page

    yield opened
    context.close()
    assert said == []


def arrays(**of):
    return explorer.arrays(*made(**of), KEY)


def decoded(code, label=0, **of):
    model, variables, _ = made(**of)
    batch = {"label": jnp.array([label]), "mask": jnp.ones(1)}
    return np.asarray(
        model.apply(variables, (jnp.asarray(code, jnp.float32)[None, None],), batch, method="decode").mean[0, 0]
    )


@pytest.mark.parametrize(
    "of",
    [
        dict(),
        dict(net="conv", dims=5),
        dict(net="conv", shape=(11, 9, 3)),
        dict(net="upsampling", family="ae"),
        dict(net="recurrent", shape=(6,)),
        dict(family="conditional"),
    ],
    ids=str,
)
def test_the_page_decodes_as_the_decoder_does(of, open_page):
    page, found = open_page(arrays(**of)), arrays(**of)
    answered = page.evaluate("[0, 7].map((i) => Array.from(explorer.decode(explorer.codeOf(i), i % 3).values))")
    for i, values in zip((0, 7), answered, strict=True):
        expected = decoded(found["codes"][i], i % 3, **of).ravel()
        np.testing.assert_allclose(values, expected, atol=0.01 * np.ptp(expected) + 1e-3)  # constants are float16


def shown(page, canvas):
    """A canvas' greys in [0, 1], [height, width]."""
    script = "(c) => [c.height, c.width, Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)]"
    height, width, values = page.locator(canvas).evaluate(script)
    return np.array(values).reshape(height, width, 4)[..., 0] / 255


def test_hovering_at_an_examples_code_shows_it_and_what_the_decoder_gives_there(open_page):
    page, found = open_page(arrays()), arrays()
    x, y = page.evaluate("explorer.plane.toScreen(explorer.codeOf(11))")
    page.locator("#map").hover(position={"x": x, "y": y})
    at = page.evaluate("explorer.state.code")
    assert np.abs(shown(page, "#decoded") - decoded(at)[..., 0]).mean() < 0.02
    chosen = page.evaluate("explorer.state.chosen")
    assert np.abs(found["codes"][chosen] - found["codes"][11]).max() < 0.1
    x = made()[2]["test"].arrays["x"][chosen, ..., 0] / 255
    assert np.abs(shown(page, "#example") - x).mean() < 0.02  # sixteen greys
    assert np.abs(shown(page, "#reconstruction") - decoded(found["codes"][chosen])[..., 0]).mean() < 0.02


def test_a_hidden_class_has_no_points(open_page):
    page = open_page(arrays())
    orange = """() => { const c = document.getElementById("map"); const [r, g, b] = [0xE6, 0x9F, 0x00]; let n = 0;
        const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
        for (let i = 0; i < d.length; i += 4) n += d[i] === r && d[i + 1] === g && d[i + 2] === b; return n; }"""
    assert page.evaluate(orange) > 0
    page.get_by_role("checkbox", name="1").uncheck()
    assert page.evaluate(orange) == 0


def test_sliders_buttons_and_keys_move_the_code(open_page):
    page = open_page(arrays(dims=5))
    before = shown(page, "#decoded")
    page.get_by_role("slider").first.fill("1.5")
    after = shown(page, "#decoded")
    assert np.abs(after - before).max() > 0.01
    page.get_by_role("button", name="mean").click()
    np.testing.assert_array_equal(shown(page, "#decoded"), before)
    page.locator("#map").focus()
    for key in ("ArrowLeft", "ArrowUp", "+", "-", "Escape"):
        page.keyboard.press(key)


def test_a_path_is_played_to_its_end(open_page):
    page = open_page(arrays())
    page.get_by_role("button", name="draw a path").click()
    box = page.locator("#map").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 150, steps=5)
    page.mouse.up()
    there = "explorer.state.code.every((v, d) => Math.abs(v - explorer.state.path.codes[1][d]) < 1e-6)"
    page.wait_for_function(f"explorer.state.path && {there}")


def test_a_class_switch_decodes_the_same_code_in_another_class(open_page):
    page = open_page(arrays(family="conditional"))
    code = page.evaluate("explorer.state.code")
    page.locator("#class").select_option("2")
    assert np.abs(shown(page, "#decoded") - decoded(code, 2, family="conditional")[..., 0]).mean() < 0.02


def test_without_data_the_page_is_made_from_the_decoder_alone(open_page):
    class Missing(dict):
        def __getitem__(self, name):
            raise UserError("no file 'x.npy'\ntry another")

    found = explorer.arrays(*made()[:2], Missing(), KEY)
    page = open_page(found)
    assert "Made from the decoder alone: no file 'x.npy'" in page.locator("header").text_content()
    assert np.abs(shown(page, "#decoded") - decoded([0.0, 0.0])[..., 0]).mean() < 0.02


def test_large_pictures_are_shrunk_and_one_example_is_enough(open_page):
    found = explorer.arrays(*made(shape=(100, 50, 1)), KEY, count=1)
    assert found["originals"].shape == (1, 64, 32, 1)
    text = open_page(found).locator("header").text_content()
    assert "1 of 40 examples" in text and "64x32 pixels" in text


def test_what_cannot_run_in_a_page_is_said():
    model, variables, data = made(family="ae")
    with pytest.raises(UserError, match="adds its inputs"):
        explorer.arrays(model.clone(residual=True), variables, data, KEY)
    with pytest.raises(programs.Unsupported, match="sort"):
        programs.trace(jnp.sort, np.zeros(3, np.float32))


def test_words_are_shown_as_text_and_data_do_not_end_their_element(browser):
    hostile = "</script><script>window.broken = 1</script>'\"&ü漢"
    page = browser.new_page()
    html = pages.render(
        "explorer.html", {"x": hostile}, examples=hostile, dims=2, notes=[hostile], classes=[hostile],
        conditional=True, walks=True, music=False, pictures=[("decoded", hostile, hostile)],
    )  # fmt: skip
    page.set_content(html.html)
    assert page.evaluate("window.broken") is None
    for place in ("header", "figcaption", "option"):
        assert hostile in page.locator(place).text_content()
    assert page.locator("#decoded").get_attribute("aria-label") == hostile
    assert page.evaluate("JSON.parse(document.getElementById('data').textContent).x") == hostile
    page.close()
