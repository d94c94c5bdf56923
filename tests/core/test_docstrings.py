"""Help texts come from the `Args:` sections of docstrings."""

import inspect

import pytest

from ae_jax.core import docstrings, lookup

# The functions whose keyword-only arguments are flags.
FUNCTIONS = {"metrics": "evaluate", "figures": "arrays", "sweep_figures": "arrays", "tasks": "run"}


def documented(*, first, second):
    """Return nothing: of `first` it says no more.

    Args:
      first: what an entry says,
        and how it goes on. No more than one sentence.
      second: another one.
    """


def test_the_help_of_an_argument_is_the_first_sentence_of_its_entry():
    assert docstrings.argument_help(inspect.getdoc(documented), "first") == "what an entry says, and how it goes on"
    assert docstrings.argument_help(inspect.getdoc(documented), "second") == "another one"


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_every_flag_has_an_entry(kind):
    for name in lookup.choices(kind):
        function = lookup.find(kind, name, FUNCTIONS[kind])
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind is parameter.KEYWORD_ONLY:
                assert docstrings.argument_help(inspect.getdoc(function), parameter.name), f"{name}: {parameter.name}"
