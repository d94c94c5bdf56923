"""Grids against the values they are made of, and files that depend on nothing but what is drawn."""

import matplotlib
import numpy as np
import pytest

from ae_jax.core.errors import UserError
from ae_jax.plots import style


@style.styled
def figure(arrays):
    return style.grid([arrays["x"]], [0, 1], row_labels=["original"], column_labels=arrays["names"])


def test_a_pdf_is_the_same_bytes_whatever_the_users_own_style(tmp_path):
    arrays = {"x": np.random.default_rng(0).random((2, 4, 3, 1)), "names": np.array(["a", "b"])}
    plain = style.save(tmp_path / "plain", arrays, figure(arrays), "pdf").read_bytes()
    with matplotlib.rc_context({"font.size": 30, "figure.facecolor": "pink", "pdf.fonttype": 3}):
        mine = dict.copy(matplotlib.rcParams)
        other = style.save(tmp_path / "other", arrays, figure(arrays), "pdf").read_bytes()
        assert dict.copy(matplotlib.rcParams) == mine
    assert other == plain and b"CreationDate" not in plain and b"/FontFile2" in plain  # TrueType
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.npz", "other.pdf", "plain.npz", "plain.pdf"]


def test_an_unknown_format_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UserError, match="unknown format 'pgn'; did you mean 'png'"):
        style.save(tmp_path / "sub" / "x", {}, None, "pgn")
    assert not list(tmp_path.iterdir())


def test_images_stand_upright_in_their_cells_and_labels_below_them():
    rows = np.arange(2 * 3 * 4 * 2).reshape(2, 3, 4, 2, 1) / 47
    axes = style.grid(rows, [0, 1], row_labels=["r", "s"], column_labels=["a", "b", "c"], gap=0.2).axes[0]
    fifth = axes.images[4]
    np.testing.assert_allclose(fifth.get_array()[..., 0], rows[1, 1, ..., 0])
    assert fifth.get_extent() == [1, 1.8, 1.8, 1] and fifth.origin == "upper" and axes.yaxis_inverted()
    assert axes.get_aspect() == 2  # a unit upwards is twice one to the right: pixels are square
    ticks = [(tick, label.get_text()) for tick, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)]
    assert ticks == [(0.4, "a"), (1.4, "b"), (2.4, "c")]


@pytest.mark.parametrize("shape", [(12,), (12, 2)])
def test_vectors_and_series_are_drawn_as_lines_within_their_cells(shape):
    rows = np.random.default_rng(0).uniform(-3, 5, (2, 3, *shape))
    drawn = style.grid(rows, np.array([-3, 5]), gap=0.1)
    lines = [line.get_xydata() for line in drawn.axes[0].lines if len(line.get_xydata()) == 12]
    series = rows.reshape(6, 12, -1).swapaxes(1, 2).reshape(-1, 12)
    top = np.repeat([0, 1], len(series) // 2)[:, None]
    np.testing.assert_allclose([line[:, 1] for line in lines], top + 0.9 * (5 - series) / 8)
    assert np.concatenate(lines)[:, 0].max() == 2.9


def test_values_beyond_the_limits_are_clipped():
    drawn = style.grid([[np.array([[[-1.0], [0.5], [2.0]]])]], np.array([0, 1]))
    np.testing.assert_array_equal(drawn.axes[0].images[0].get_array()[0, :, 0], [0, 0.5, 1])


def test_classes_beyond_the_palette_have_colours_of_their_own():
    for n in (1, 10, 11, 47):
        assert len({matplotlib.colors.to_hex(colour) for colour in style.colours(n)}) == n


def test_piano_rolls_draw_each_note_at_its_pitch_and_time():
    rows = np.zeros((2, 3, 32), np.uint8)
    rows[0, 0, [0, 4, 6]] = 41, 43, 1  # C for a quarter, D for an eighth
    rows[1, 2, 16] = 53  # C, an octave above, for the second bar
    drawn = style.piano_rolls(rows, row_labels=["r", "s"], column_labels=["a", "b", "c"])
    bars = [[(bar.get_x(), bar.get_y() + bar.get_height() / 2) for bar in axes.patches] for axes in drawn.axes]
    assert bars == [[(0, 60), (4, 62)], [], [], [], [], [(16, 72)]]
    assert [bar.get_width() for bar in drawn.axes[0].patches] == pytest.approx([4, 2], abs=0.3)
    assert [axes.get_ylim() for axes in drawn.axes] == [(59, 73)] * 6  # one range for all
    style.piano_rolls([[np.zeros(16, np.uint8)]])
    (axes,) = style.styled(style.piano_rolls)([[np.uint8([41, 0, 51, 0])]]).axes
    assert all(tick == round(tick) for tick in axes.get_yticks())  # a pitch between two keys is none
