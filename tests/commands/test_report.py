"""Reports of real runs, in a real browser from disk without a network; what they show is what the runs' files hold."""

import pytest

from ae_jax.commands import charts, report
from ae_jax.core.errors import UserError
from ae_jax.experiments import analysis, configuration, rundir, runner
from ae_jax.sweeps import axes, launch, results

NAME = "run <script>alert(1)</script> 'q\" ü漢"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two short runs: one with a hostile name, figures and a verdict, the other with another weight."""
    folder, paths = tmp_path_factory.mktemp("runs"), {}
    for name, weight in ((NAME.replace("/", "_"), 1.0), ("other", 4.0)):
        config = configuration.load("configs/vae.py:smoke")
        configuration.override(config, "weights.kl", str(weight))
        with config.unlocked():
            config.expected = {"elbo": {"value": -1e6, "explained": "a joke", "source": "nobody <b>"}}
            config.regression = {"elbo": {"value": -50.0, "sd": 100.0, "seeds": 2}}
        runner.train_run(config, str(folder / name))
        paths[name] = folder / name
    analysis.draw(analysis.load(str(next(iter(paths.values()))), limit=20), ["scatter", "explorer"], {}, "png")
    return list(paths.values())


def visit(browser, path):
    """(page, what its console said)."""
    page, said = browser.new_context(offline=True).new_page(), []
    page.set_default_timeout(120_000)  # milliseconds; Plotly's script takes its time where others are at work
    page.on("console", lambda message: message.type == "error" and said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(f"dialog {dialog.message}"))
    page.goto(path.as_uri())
    return page, said


def test_a_report_shows_the_runs_numbers_names_and_figures(runs, browser):
    page, said = visit(browser, report.write(str(runs[0])))
    assert page.locator("h1").text_content() == runs[0].name
    line = [line for line in rundir.read_lines(runs[0] / "metrics.jsonl") if "elbo" in line][-1]
    row = page.get_by_role("row").filter(has_text="reconstruction").first.text_content()
    assert f"{line['reconstruction']:.5g}" in row and f"{line['reconstruction_se']:.2g}" in row
    assert "better" in page.locator(".good").text_content() and page.get_by_text("nobody <b>").count()
    assert page.locator(".js-plotly-plot").count() == 4  # loss, reconstruction, kl, gradient norm
    assert page.locator("img").evaluate("(image) => image.naturalWidth") > 100
    page.get_by_role("link", name="figures/explorer.html").click()
    page.wait_for_function("window.explorer !== undefined")
    assert said == []


def test_runs_side_by_side_show_where_they_differ(runs, browser):
    page, said = visit(browser, report.write(str(runs[1]), [str(runs[0])]))
    settings = page.get_by_role("row").filter(has_text="weights.kl").first
    assert settings.get_by_role("cell").all_text_contents() == ["4.0", "1.0"]
    assert said == []


def test_scores_of_other_data_splits_steps_and_parameters_are_not_the_runs(tmp_path):
    run, config = rundir.RunDir(tmp_path), configuration.load("configs/vae.py:digits")
    own = [{"step": 5, "split": "test", "elbo": -9.0, "mse": 9.0}, {"step": 7, "split": "test", "elbo": -3.0}]
    alike = {"step": 7, "split": "test", "data": "digits", "params": "raw", "elbo": -2.0}
    rundir.append_line(run.evaluations, alike)
    for other in ({"data": "mnist"}, {"split": "train"}, {"limit": 5}, {"step": 5}, {"params": "ema"}):
        rundir.append_line(run.evaluations, {**alike, **other, "elbo": -1.0})
    assert report._scores(run, config, own) == {"elbo": -2.0}


def test_runs_of_the_same_name_are_told_apart_by_their_folders(tmp_path):
    assert report._names([tmp_path / "a" / "vae", tmp_path / "b" / "c" / "vae"]) == ["a/vae", "b/c/vae"]
    assert report._names([tmp_path / "vae", tmp_path / "vae" / "vae"]) == ["vae", "vae/vae"]
    assert report._names([tmp_path / "a" / "vae", tmp_path / "b" / "ae"]) == ["vae", "ae"]


def test_what_is_no_run_is_said_and_nothing_written(runs, tmp_path):
    with pytest.raises(UserError, match="no run in"):
        report.write(str(tmp_path))
    with pytest.raises(UserError, match="no run in"):
        report.write(str(runs[0]), [str(tmp_path)])
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Four short runs over two axes."""
    config = configuration.load("configs/vae.py:smoke")
    over = axes.assignments(["weights.kl=1,10", "seed=0:2"])
    plan = launch.make_plan(str(tmp_path_factory.mktemp("sweep") / "a <b> sweep"), config, over, "map")
    return launch.run(plan)


def test_a_sweeps_table_sorts_filters_and_links_its_runs(sweep, browser):
    run = sweep.path / "weights.kl=10,seed=1"
    report.write(str(run))
    page, said = visit(browser, report.write(str(sweep.path)))
    assert page.locator("h1").text_content() == "a <b> sweep"
    shown = lambda: page.locator("#results tbody tr:visible td:first-child").all_text_contents()
    assert shown() == [row["run"] for row in results.rows(sweep)]
    for order in (1, -1):
        page.get_by_role("button", name="final.elbo").click()
        rows = sorted(results.rows(sweep), key=lambda row: order * row["final.elbo"])
        assert shown() == [row["run"] for row in rows]
    page.get_by_label("show the rows with").fill("kl=10 seed=1")
    assert shown() == ["weights.kl=10,seed=1"]
    assert page.locator(".js-plotly-plot").count() > 2
    page.get_by_role("link", name=run.name).click()
    assert page.locator("h1").text_content() == run.name
    assert said == []


def test_axes_of_numbers_are_drawn_at_them_in_their_order(monkeypatch):
    texts = [("10", "tanh"), ("9", "relu"), ("1e2", "tanh"), ("9", "tanh")]
    rows = [
        {"run": str(i), "status": "done", "weights.kl": kl, "model.activation": word, "final.elbo": float(i)}
        for i, (kl, word) in enumerate(texts)
    ]
    drawn = []
    monkeypatch.setattr(charts, "_chart", lambda traces, *titles, **_: drawn.append((traces, titles)))
    rows, axes = (report._with_numbers(rows, ["weights.kl", "model.activation"]), ["weights.kl", "model.activation"])
    charts.against_axes(rows, axes)
    [((points, means), titles)] = drawn  # a word has no place on an axis
    assert titles == ("weights.kl", "final.elbo") and points.x == (10, 9, 100, 9)
    assert (means.x, means.y) == ((9, 10, 100), (2, 0, 2))
    charts.parallel(rows, axes)
    kl, activation, _ = drawn[1][0][0].dimensions
    assert kl.values == (10, 9, 100, 9) and activation.ticktext == ("tanh", "relu")


def test_a_sweep_is_not_compared(sweep, runs):
    with pytest.raises(UserError, match="is a sweep"):
        report.write(str(sweep.path), [str(runs[0])])
