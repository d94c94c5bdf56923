"""Help texts come from docstrings: from `Args:` sections, and from free text where there is none."""

import pytest

from ae_jax.core import docstrings


def with_sections(*, first, second, render):
    """Return nothing: of `first` it says no more.

    Args:
      first: what an entry says,
        and how it goes on. No more than one sentence.
      second: another one.
    """


def without_sections(*, first, second, third, fourth, features):
    """Of `first`; beside it (so it is; indeed) of `second` things: others.

    third: what a line begins with,
        and goes on with. No more.
    `features` as in `ae_jax.evaluation.features.scores`.
    """


@pytest.mark.parametrize(
    ("function", "keyword", "expected"),
    [
        (with_sections, "first", "what an entry says, and how it goes on"),
        (with_sections, "second", "another one"),
        (with_sections, "render", "whether melodies are also written as sound, .wav"),  # as the package says
        (without_sections, "first", "Of `first`"),
        (without_sections, "second", "beside it (so it is; indeed) of `second` things"),
        (without_sections, "third", "what a line begins with, and goes on with"),
        # As this module begins.
        (
            without_sections,
            "fourth",
            "Help texts come from docstrings: from `Args:` sections, and from free text where there is none",
        ),
        (without_sections, "features", 'a run directory, or an .npz of "samples", "test" and "train"'),
    ],
)
def test_the_help_of_an_argument(function, keyword, expected):
    assert docstrings.argument_help("tasks", function, keyword) == expected
