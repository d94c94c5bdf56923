"""Draw the interactive charts of reports with Plotly.

Each chart is a piece of HTML. The page that shows it must contain `script()` once.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ae_jax.core.errors import UserError


def script() -> str:
    """Return Plotly's JavaScript.

    Raises:
      UserError: if Plotly is not installed.
    """
    try:
        from plotly import offline
    except ImportError:
        raise UserError("reports need Plotly, which is not installed\ntry: pip install -e .[report]") from None
    return offline.get_plotlyjs()


def _chart(traces, xlabel="", ylabel="", **layout) -> str:
    import plotly.graph_objects as go

    figure = go.Figure(traces)
    # Grey on a transparent ground can be read on a light page and on a dark one.
    grey, clear = "#888888", "rgba(0,0,0,0)"
    above = dict(orientation="h", y=1.02, yanchor="bottom", x=0)
    figure.update_layout(
        template="none", paper_bgcolor=clear, plot_bgcolor=clear, font_color=grey, height=340, legend=above,
        xaxis_title=xlabel, yaxis_title=ylabel, **{"margin": dict(l=60, r=20, t=30, b=50), **layout},
    )  # fmt: skip
    figure.update_xaxes(gridcolor="rgba(128,128,128,.25)")
    figure.update_yaxes(gridcolor="rgba(128,128,128,.25)")
    # The page contains Plotly's script once; each chart would otherwise bring several megabytes.
    return figure.to_html(full_html=False, include_plotlyjs=False, config={"displaylogo": False, "responsive": True})


def curves(lines_of: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Draw a chart for each term of the loss, with a line for every split of every run.

    Args:
      lines_of: {name of a run: records of its metrics.jsonl}.

    Returns:
      The charts as HTML.
    """
    import plotly.graph_objects as go

    trained = [line for lines in lines_of.values() for line in lines if line["split"] == "train"]
    names = {key for line in trained for key in line} - {"step", "split"}
    charts = []
    # The gradient norm comes last: it is a diagnostic, not a part of the loss.
    for name in sorted(sorted(names), key=lambda name: name == "gradient_norm"):
        traces = []
        for run, lines in lines_of.items():
            for split in dict.fromkeys(line["split"] for line in lines if name in line):
                chosen = [line for line in lines if line["split"] == split and name in line]
                label = split if len(lines_of) == 1 else f"{run}, {split}"
                x, y = [line["step"] for line in chosen], [line[name] for line in chosen]
                traces.append(go.Scatter(x=x, y=y, name=label, mode="lines+markers" if len(x) < 30 else "lines"))
        charts.append(_chart(traces, "step", name))
    return charts


def _finals(rows):
    """Return the columns of final metrics, in order and without standard errors."""
    columns = dict.fromkeys(key for row in rows for key in row)
    return [key for key in columns if key.startswith("final.") and "_se" not in key]


def against_axes(rows, axes) -> list[str]:
    """Draw each metric against each numeric axis of a sweep.

    A point is a run; the line connects the means over runs with the same value.

    Args:
      rows: the rows of results.csv.
      axes: the keys that are swept.

    Returns:
      The charts as HTML.
    """
    import plotly.graph_objects as go

    charts = []
    done = [row for row in rows if row["status"] == "done"]
    for axis in axes:
        if any(isinstance(row[axis], str) for row in done):
            continue
        for metric in _finals(done):
            points = [(row[axis], row[metric], row["run"]) for row in done if metric in row]
            # Seeds beside other axes are repetitions: a metric is not a function of the seed.
            only_repeats = axis == "seed" and len(axes) > 1
            if len({x for x, _, _ in points}) < 2 or only_repeats:
                continue
            x, y, text = zip(*points)
            ys_at = {value: [b for a, b, _ in points if a == value] for value in sorted(set(x))}
            means = [sum(ys) / len(ys) for ys in ys_at.values()]
            runs = go.Scatter(x=x, y=y, text=text, mode="markers", name="runs")
            line = go.Scatter(x=list(ys_at), y=means, mode="lines", name="mean")
            charts.append(_chart([runs, line], axis, metric))
    return charts


def parallel(rows, axes) -> list[str]:
    """Draw the axes and metrics of a sweep in parallel coordinates.

    Args:
      rows: the rows of results.csv.
      axes: the keys that are swept.

    Returns:
      One chart as HTML in a list, or an empty list for fewer than two runs or two dimensions.
    """
    import plotly.graph_objects as go

    done = [row for row in rows if row["status"] == "done"]
    dimensions = []
    for key in [*axes, *_finals(done)]:
        values = [row.get(key) for row in done]
        if all(isinstance(value, int | float) for value in values):
            dimensions.append(dict(label=key, values=values))
        elif key in axes:
            # Plotly places numbers only: a text is drawn at its position among the texts of the axis.
            kinds = list(dict.fromkeys(map(str, values)))
            places = [kinds.index(str(value)) for value in values]
            dimensions.append(dict(label=key, values=places, tickvals=list(range(len(kinds))), ticktext=kinds))
    if len(done) < 2 or len(dimensions) < 2:
        return []
    # The names of the axes stand above them, so the margin is wider than in other charts.
    room = {"margin": dict(l=60, r=100, t=60, b=30)}
    return [_chart([go.Parcoords(dimensions=dimensions)], **room)]
