"""The one rule for options of functions: which are constants, and which are traced numbers.

Words, flags, counts and sizes are constants, and each of their values needs a compiled program of its own. All other
options are real numbers. They may be schedules, and runs that differ in nothing else share one compiled program.
"""

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable, Collection, Mapping

from ae_jax.core import errors, forms

# Names what a random key is made of, in every function that has it.
_SEED = "key"
# The types of defaults that tell what their options may be.
_TELLING = (str, bool, int, tuple, float)
_LIKE_A_SCHEDULE = re.compile(r"[a-z]+(:[-+.\deE]*)+|optax\..*")


@dataclasses.dataclass(frozen=True)
class Options:
    """The options that a section of a config gives to a function.

    Args:
      constants: {option: value} of those that are fixed when a program is compiled.
      numbers: {option: number or text of a schedule} of those that are traced.
    """

    constants: dict[str, object]
    numbers: dict[str, object]


def resolve(
    function: Callable[..., object],
    given: Mapping[str, object],
    section: str,
    reader: str,
    skip: Collection[str] = (),
    also: Collection[str] = (),
) -> Options:
    """Split the options that a section gives to a function into constants and traced numbers.

    Args:
      function: the function, whose signature tells its options.
      given: {option: value}; an option that is None keeps the function's default.
      section: the dotted name of the section, such as "objective".
      reader: what the function is called in an error, such as "objective 'elbo'".
      skip: parameters of the function that are no options.
      also: keys of the section that something else reads.

    Raises:
      UnknownKey: the function has no such option.
      UserError: a value is not one that its option may have.
    """
    parameters, takes_any = of(function, skip), _takes_any(function)
    found = Options({}, {})
    for name, value in given.items():
        key = f"{section}.{name}"
        if name not in parameters and not takes_any and value is not None:
            valid, others = ([f"{section}.{one}" for one in names] for names in (parameters, also))
            raise errors.UnknownKey(key, valid, reader, others)
        if value is None:
            continue
        parameter = parameters.get(name, inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY))
        form = form_of(parameter)
        if is_constant(parameter, value):
            forms.check(key, value, form)
            found.constants[name] = value
        else:
            forms.check(key, value, _as_number(form))
            found.numbers[name] = value
    return found


def of(function: Callable[..., object], skip: Collection[str] = ()) -> dict[str, inspect.Parameter]:
    """Return {name: parameter} of the options of a function: all but those to skip."""
    parameters = _signature(function).parameters
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {name: one for name, one in parameters.items() if name not in skip and one.kind not in variadic}


def is_constant(parameter: inspect.Parameter, value: object) -> bool:
    """Tell whether an option is a Python constant. If not, it is a number that is traced.

    The annotation decides: str, bool, int and tuples are constants, float is a number. Where it allows more, the type
    of the default decides. Where there is none, an annotation that names float decides, and at last the value.
    """
    if parameter.name == _SEED:
        return True
    form = form_of(parameter)
    if form.kinds:
        return float not in form.kinds
    is_number = forms.is_number(value) or isinstance(value, str) and _LIKE_A_SCHEDULE.fullmatch(value)
    return not is_number


def form_of(parameter: inspect.Parameter) -> forms.Form:
    """Return the values of an option: by its annotation, or where that is open, its default."""
    form, default = forms.of(parameter.annotation), parameter.default
    if not form.is_open or type(default) not in _TELLING:
        return form
    items = frozenset(map(type, default)) if isinstance(default, tuple) else frozenset()
    return forms.Form(frozenset([type(default)]), items, form.limits)


def _as_number(form: forms.Form) -> forms.Form:
    limits = dataclasses.replace(form.limits, varies=True)
    return forms.Form(frozenset([float]), limits=limits)


def _takes_any(function: Callable[..., object]) -> bool:
    parameters = _signature(function).parameters.values()
    return any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)


@functools.cache
def _signature(function: Callable[..., object]) -> inspect.Signature:
    """Return the signature of a function, with annotations as objects where possible."""
    try:
        return inspect.signature(function, eval_str=True)
    except Exception:  # of whatever the text of an annotation evaluates to
        return inspect.signature(function)
