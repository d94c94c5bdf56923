"""Programs and pages, in a real browser without a network: what the page decodes is what the decoder decodes."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ae_jax.core import lookup
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data.batching import Batches
from ae_jax.evaluation import projections
from ae_jax.evaluation.data import EvalData
from ae_jax.models.nets import autoregressive, conv, mlp, recurrent
from ae_jax.plots import page_program, pages, style
from ae_jax.plots.figures import explorer

KEY = jax.random.key(2)
N = 40
NETS = {
    "mlp": (mlp.Encoder((8,)), mlp.Decoder((16,))),
    "conv": (conv.Encoder((4, 8)), conv.Decoder((4, 8))),
    "upsampling": (conv.Encoder((4, 4), 3), conv.Decoder((4, 4), 3, up="nearest", final_kernel=3)),
    "recurrent": (recurrent.Encoder((8,)), recurrent.Decoder((8,))),
    "writer": (recurrent.Encoder((8,), bidirectional=True), autoregressive.Decoder((12,))),
}


@functools.cache
def made(family="vae", net="mlp", shape=(8, 8, 1), dims=2):
    """(model, variables, data), the parameters drawn wide enough that codes matter."""
    generator, kind = np.random.default_rng(0), "pixels" if len(shape) == 3 else "reals"
    if family == "music":
        spec, x = DataSpec(shape, "events", classes=3, levels=90), generator.integers(40, 60, (N, *shape), np.uint8)
    else:
        spec = DataSpec(shape, kind, classes=3)
        x = generator.integers(0, 256, (N, *shape), np.uint8) if kind == "pixels" else generator.random((N, *shape))
    batches = Batches({"x": x, "label": (np.arange(N) % 3).astype(np.int32)}, spec, 10)
    encoder, decoder = NETS[net]
    model = lookup.find("models", family, "Model")(spec, encoder=encoder, decoder=decoder, latent_dim=dims)
    shapes = jax.eval_shape(model.init, {"params": KEY, "latent": KEY}, next(iter(batches)))
    wide = 6 if family == "music" else 2  # so that melodies have many notes
    scale = lambda leaf: wide / np.sqrt(leaf.size / leaf.shape[-1]) if leaf.ndim > 1 else 0.5
    draw = lambda leaf: generator.normal(size=leaf.shape, scale=scale(leaf))
    return model, jax.tree.map(lambda leaf: draw(leaf).astype(np.float32), shapes), EvalData.of(test=batches)


@pytest.fixture
def open_page(browser, tmp_path):
    """The function arrays -> an open page, from disk and offline; no error may reach its console."""
    context, said = browser.new_context(offline=True, viewport={"width": 1000, "height": 800}, has_touch=True), []
    context.set_default_timeout(120_000)  # milliseconds

    def opened(found):
        path = style.save(tmp_path / "explorer", found, explorer.figure(found), "png")
        page = context.new_page()
        page.on("console", lambda message: message.type == "error" and said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_function("window.explorer !== undefined")
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


MELODIES = dict(family="music", net="writer", shape=(16,), dims=5)


def test_the_page_writes_the_melodies_that_the_decoder_writes(open_page):
    model, variables, _ = made(**MELODIES)
    page, found = open_page(arrays(**MELODIES)), arrays(**MELODIES)
    written = page.evaluate("[...Array(10).keys()].map((i) => [...explorer.decode(explorer.codeOf(i), 0).values])")
    rounded = jax.tree.map(lambda leaf: leaf.astype(np.float16).astype(np.float32), variables)  # as in the page
    expected = model.apply(rounded, found["codes"][:10], method="write")
    np.testing.assert_array_equal(written, expected)
    assert len(np.unique(written)) > 4


def test_a_button_plays_the_melody_that_is_shown(open_page):
    page = open_page(arrays(**MELODIES))
    page.evaluate("explorer.pick(3)")
    page.get_by_role("button", name="play the example").click()
    page.wait_for_function("explorer.sound().source.buffer.getChannelData(0).some((value) => value !== 0)")
    assert page.evaluate("explorer.sound().source.buffer.duration") == pytest.approx(16 / 8, abs=1e-3)  # of a second
    assert np.ptp(shown(page, "#example", channel=2)) > 0.2  # the notes of its piano roll are blue
    onset = [0] * 16
    onset[4], onset[12] = 50, 1  # the A of 440 Hz, from step 4 until step 12
    samples = np.array(page.evaluate("(events) => Array.from(explorer.samplesOf(events))", onset))
    second = len(samples) // 2
    assert not samples[: second // 2].any() and not samples[-second // 2 :].any() and 0.1 < np.abs(samples).max() <= 1
    spectrum = np.abs(np.fft.rfft(samples[second // 2 : second // 2 + second]))
    assert spectrum.argmax() == 440


def shown(page, canvas, channel=0):
    """A canvas' values in [0, 1], [height, width], of red, green or blue."""
    script = "(c) => [c.height, c.width, Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)]"
    height, width, values = page.locator(canvas).evaluate(script)
    return np.array(values).reshape(height, width, 4)[..., channel] / 255


def test_hovering_at_an_examples_code_shows_it_and_what_the_decoder_gives_there(open_page):
    page, found = open_page(arrays()), arrays()
    x, y = page.evaluate("explorer.plane.toScreen(explorer.codeOf(11))")
    page.locator("#map").hover(position={"x": x, "y": y})
    at = page.evaluate("explorer.state.code")
    assert np.abs(shown(page, "#decoded") - decoded(at)[..., 0]).mean() < 0.02
    chosen = page.evaluate("explorer.state.chosen")
    assert np.abs(found["codes"][chosen] - found["codes"][11]).max() < 0.1
    x = made()[2].test.arrays["x"][chosen, ..., 0] / 255
    assert np.abs(shown(page, "#example") - x).mean() < 0.02  # sixteen greys
    assert np.abs(shown(page, "#reconstruction") - decoded(found["codes"][chosen])[..., 0]).mean() < 0.02


def test_a_hidden_class_has_no_points(open_page):
    page, orange = open_page(arrays()), (0xE6, 0x9F, 0x00)
    assert pixels(page, orange) > 0
    page.get_by_role("checkbox", name="1").uncheck()
    assert pixels(page, orange) == 0


def test_a_point_of_an_unknown_class_is_grey(open_page):
    page, grey = open_page(arrays()), (0xDD, 0xDD, 0xDD)
    assert pixels(page, grey) == 0
    found = arrays()
    assert pixels(open_page({**found, "label": np.full_like(found["label"], -1)}), grey) > 0


def pixels(page, colour):
    """How many of the map's have this colour."""
    script = """(colour) => { const c = document.getElementById("map"); let n = 0;
        const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
        for (let i = 0; i < d.length; i += 4) n += colour.every((value, k) => d[i + k] === value); return n; }"""
    return page.evaluate(script, list(colour))


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


def missing():
    raise UserError("no file 'x.npy'\ntry another")


def test_without_data_the_page_is_made_from_the_decoder_alone(open_page):
    found = explorer.arrays(*made()[:2], EvalData({"test": missing}), KEY)
    page = open_page(found)
    assert "Made from the decoder alone: no file 'x.npy'" in page.locator("header").text_content()
    assert np.abs(shown(page, "#decoded") - decoded([0.0, 0.0])[..., 0]).mean() < 0.02


def test_large_pictures_are_shrunk_and_one_example_is_enough(open_page):
    found = explorer.arrays(*made(shape=(100, 50, 1)), KEY, count=1)
    assert found["originals"].shape == (1, 64, 32, 1)
    text = open_page(found).locator("header").text_content()
    assert "1 of 40 examples" in text and "64x32 pixels" in text


@pytest.mark.parametrize("of", [dict(), dict(family="conditional")], ids=str)
def test_a_decoder_too_large_for_a_page_has_decoded_the_plane_beforehand(of, open_page, monkeypatch):
    monkeypatch.setattr(explorer, "_NUMBERS", 100)
    found = arrays(**of)
    page, places = open_page(found), np.linspace(*found["places"], int(found["across"]))
    assert "too large for a page (0.0 million numbers): 25x25 places" in page.locator("header").text_content()
    label, script = len(of), "([code, label]) => Array.from(explorer.decode(code, label).values)"
    at = lambda code: np.array(page.evaluate(script, [list(map(float, code)), label]))
    corners = [decoded((places[i], places[j]), label, **of).ravel() for i in (3, 4) for j in (7, 8)]
    assert np.abs(at((places[3], places[7]))[::3] - 255 * corners[0]).max() < 1
    middle = at(((places[3] + places[4]) / 2, (places[7] + places[8]) / 2))
    assert np.abs(middle[::3] - 255 * np.mean(corners, axis=0)).max() < 1
    page.evaluate("explorer.pick(4)")
    expected = decoded(found["codes"][4], found["label"][4], **of)[..., 0]
    assert np.abs(shown(page, "#reconstruction") - expected).mean() < 0.02  # sixteen greys


def test_of_a_long_code_whose_decoder_is_too_slow_for_a_page_the_examples_are_left(open_page, monkeypatch):
    monkeypatch.setattr(explorer, "_PRODUCTS", 100)
    found = arrays(net="conv", dims=5)
    page = open_page(found)
    assert "too slow for a page" in page.locator("header").text_content()
    page.get_by_label("example", exact=True).fill("7")
    page.keyboard.press("Enter")
    expected = decoded(found["codes"][7], net="conv", dims=5)[..., 0]
    assert np.abs(shown(page, "#reconstruction") - expected).mean() < 0.02
    assert page.get_by_role("slider").count() == page.locator("#decoded").count() == 0
    with pytest.raises(UserError, match="nothing is left to explore: made from the decoder alone: no file 'x.npy'"):
        explorer.arrays(*made(net="conv", dims=5)[:2], EvalData({"test": missing}), KEY)


def test_a_programs_products_are_counted():
    x, kernel = np.ones((1, 5, 4, 3), np.float32), np.ones((3, 3, 3, 7), np.float32)
    names = dict(dimension_numbers=("NHWC", "HWIO", "NHWC"))
    function = lambda x: jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", **names) @ np.ones((7, 2), np.float32)
    assert page_program.products(page_program.trace(function, x)[0]) == 20 * (27 * 7 + 7 * 2)


def test_a_program_cuts_floats_to_whole_numbers_as_jax_does(browser):
    x = np.array([-1.5, -0.2, 0.7, 2.0], np.float32)
    program, _ = page_program.trace(lambda x: x.astype(jnp.int32) + 0.5, x)
    script = """async ([module, program, x]) => {
        const { compile } = await import("data:text/javascript," + encodeURIComponent(module));
        return [...compile(JSON.parse(program), new Float32Array([0.5]))(x)]; }"""
    module = Path(pages.__file__).with_name("program.js").read_text()
    assert browser.new_page().evaluate(script, [module, program, x.tolist()]) == [-0.5, 0.5, 0.5, 2.5]


def test_a_finger_points_two_pinch_and_a_tap_pins(open_page):
    page = open_page(arrays())
    session, box = page.context.new_cdp_session(page), page.locator("#map").bounding_box()

    def touch(kind, *places):
        points = [{"x": box["x"] + x, "y": box["y"] + y, "id": i} for i, (x, y) in enumerate(places)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", (100, 100))
    touch("touchMove", (200, 220))
    touch("touchEnd")
    at = page.evaluate("explorer.plane.toScreen(explorer.state.code)")
    np.testing.assert_allclose(at, (200, 220), atol=1.5)
    touch("touchStart", (100, 100), (200, 100))
    touch("touchMove", (100, 100), (300, 100))
    touch("touchEnd")
    wider = page.evaluate("explorer.plane.toScreen([1, 0])[0] - explorer.plane.toScreen([0, 0])[0]")
    page.evaluate("explorer.plane.showAll()")
    unit = page.evaluate("explorer.plane.toScreen([1, 0])[0] - explorer.plane.toScreen([0, 0])[0]")
    assert wider == pytest.approx(2 * unit, rel=0.05)
    x, y = page.evaluate("explorer.plane.toScreen(explorer.codeOf(11))")
    page.touchscreen.tap(box["x"] + x, box["y"] + y)
    assert "pinned" in page.locator("#status").text_content()


def test_umap_lays_out_the_codes_the_same_way_twice():
    pytest.importorskip("umap", reason="UMAP is an extra")
    codes = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    codes[:20] += 20
    points, axes = projections.plane(codes)
    assert axes == ["UMAP 1", "UMAP 2"]
    np.testing.assert_array_equal(points, projections.plane(codes, "umap")[0])
    middles = points[:20].mean(axis=0), points[20:].mean(axis=0)
    assert np.linalg.norm(middles[0] - middles[1]) > 2 * points[:20].std()


def test_what_cannot_be_laid_out_is_said():
    with pytest.raises(UserError, match="unknown projection 'tsne'.*\n.*pca, umap"):
        projections.plane(np.zeros((30, 5)), "tsne")
    with pytest.raises(
        UserError, match="UMAP is not installed\nuse|UMAP needs more than 15 latents, and there are 3\nuse"
    ):
        projections.plane(np.zeros((3, 5)), "umap")
    assert projections.plane(np.ones((1, 5)))[0].tolist() == [[0, 0]]


def test_what_cannot_run_in_a_page_is_said():
    model, variables, data = made(family="ae")
    with pytest.raises(UserError, match="adds its inputs"):
        explorer.arrays(model.clone(residual=True), variables, data, KEY)
    with pytest.raises(page_program.Unsupported, match="sort"):
        page_program.trace(jnp.sort, np.zeros(3, np.float32))
    with pytest.raises(page_program.Unsupported, match="booleans"):
        page_program.trace(lambda x: x.astype(bool).astype(jnp.float32), np.zeros(3, np.float32))


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
