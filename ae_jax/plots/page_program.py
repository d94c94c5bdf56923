"""Programs for web pages: a traced JAX function, written down as plain operations.

A few lines of another language can carry a program out. In a browser, `pages/program.js` does so. Everything that
depends on constants alone is computed here, and calls are inlined. Where JAX has variants of an operation for different
platforms, the general variant is taken.
"""

import hashlib
import json
import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

# The operations of programs, except for "truncate": {operation: the parameters that it keeps}.
_PAIRWISE = ("add", "sub", "mul", "div", "max", "min", "eq", "gt", "ge", "lt", "le", "select_n")
_OPERATIONS = {
    **dict.fromkeys(_PAIRWISE, ()),
    **dict.fromkeys(("neg", "exp", "log", "log1p", "tanh", "logistic", "sqrt", "rsqrt", "square", "abs", "erf"), ()),
    "integer_pow": ("y",),
    "reshape": (),
    "broadcast_in_dim": ("broadcast_dimensions",),
    "transpose": ("permutation",),
    "concatenate": ("dimension",),
    "slice": ("start_indices", "strides"),
    "pad": ("padding_config",),
    "reduce_sum": ("axes",),
    "reduce_max": ("axes",),
    "argmax": ("axes",),
    "dot_general": ("dimension_numbers",),
    "conv_general_dilated": ("window_strides", "padding", "lhs_dilation", "rhs_dilation"),
}
# Operations of JAX that are written as another one, that call a function, and that change no value.
_SAME = {"squeeze": "reshape", "expand_dims": "reshape"}
_CALLS = ("jit", "closed_call", "custom_jvp_call", "custom_vjp_call", "checkpoint", "remat", "remat2")
_NOTHING = ("stop_gradient", "copy", "copy_p", "optimization_barrier")


class Unsupported(ValueError):
    """Raised for a function with an operation that page programs lack; the message names it."""


def trace(function: Callable, *examples: Any) -> tuple[str, np.ndarray]:
    """Write a function of arrays down as a program.

    Args:
      function: a function of arrays that returns one array.
      *examples: arrays with the shapes of the function's arguments.

    Returns:
      The program and its constants, concatenated as float32 [C]. The program is JSON, {"inputs": [shape],
      "constants": [shape], "operations": [{"op", "in", "shape", parameters}]}. Values are numbered: inputs first, then
      constants, then the results of the operations. The last value is the result.

    Raises:
      Unsupported: if the function needs an operation that programs do not have.
    """
    closed = jax.make_jaxpr(function)(*examples)
    writer = _Writer(len(examples))
    inputs = [_Value(number, np.shape(example)) for number, example in enumerate(examples)]
    (result,) = writer.run(closed.jaxpr, closed.consts, inputs)
    return writer.written(inputs, result)


def products(program: str) -> int:
    """Count the multiplications of a program, in its matrix products and convolutions."""
    parsed, total = json.loads(program), 0
    shapes = [*parsed["inputs"], *parsed["constants"], *(one["shape"] for one in parsed["operations"])]
    for one in parsed["operations"]:
        if one["op"] == "dot_general":
            contracted = one["dimension_numbers"][0][0]
            left = shapes[one["in"][0]]
            total += math.prod(one["shape"]) * math.prod(left[axis] for axis in contracted)
        elif one["op"] == "conv_general_dilated":
            # A kernel is [height, width, channels, outputs]. The zeros between dilated pixels are skipped.
            kernel = shapes[one["in"][1]]
            total += math.prod(one["shape"]) * math.prod(kernel[:3]) // math.prod(one["lhs_dilation"])
    return total


class _Value:
    """An input or the result of an operation; constants are represented by their arrays."""

    def __init__(self, key, shape):
        """Keep the key of a value: the number of an input, or ("operation", number)."""
        self.key, self.shape = key, tuple(map(int, shape))


class _Writer:
    """The operations and constants of a program that is being written."""

    def __init__(self, inputs: int):
        """Begin a program with so many inputs."""
        self._inputs = inputs
        self._operations: list[dict] = []
        self._constants: list[dict] = []
        # {content: number} of constants, because the unrolled steps of a loop share their weights.
        self._numbers: dict = {}

    def run(self, jaxpr, constants, arguments):
        """Write the equations of a jaxpr down.

        Args:
          jaxpr: the traced function.
          constants: arrays, the values of its constants.
          arguments: `_Value`s and arrays, the values of its arguments.

        Returns:
          The values of its results: `_Value`s, and arrays where they depend on constants alone.
        """
        known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *arguments]))

        def read(atom):
            # A literal holds its value itself.
            return atom.val if hasattr(atom, "val") else known[atom]

        for equation in jaxpr.eqns:
            answers = self._equation(equation, [read(atom) for atom in equation.invars])
            known |= zip(equation.outvars, answers)
        return [read(atom) for atom in jaxpr.outvars]

    def _equation(self, equation, values):
        """Write an equation down and return its results.

        An equation that depends on constants alone is computed instead.
        """
        name, params = equation.primitive.name, equation.params
        if name == "platform_index":
            # None marks the platform, which is not known here, for the `cond` that chooses by it.
            return [None]
        if name == "cond" and values[0] is None:
            return self._general_branch(values[1:], params)
        if name in _CALLS:
            inner = params["jaxpr"] if "jaxpr" in params else params["call_jaxpr"]
            return self.run(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), values)
        if name == "scan":
            return self._unrolled(values, params)
        if not any(isinstance(value, _Value) for value in values):
            answer = equation.primitive.bind(*values, **params)
            return answer if equation.primitive.multiple_results else [answer]
        if name == "convert_element_type":
            return [self._converted(values[0], equation.invars[0].aval.dtype, params["new_dtype"])]
        if name in _NOTHING:
            return values
        if name == "split":
            return self._split(values[0], params)
        return [self._operation(_SAME.get(name, name), values, params, equation.outvars[0].aval.shape)]

    def _general_branch(self, arguments, params):
        """Write the branch that is meant for all platforms."""
        general = params["branches_platforms"].index(None)
        branch = params["branches"][general]
        return self.run(branch.jaxpr, branch.consts, arguments)

    def _operation(self, name, values, params, shape):
        """Write an operation that programs have."""
        if name not in _OPERATIONS:
            self._unsupported(name)
        if name == "conv_general_dilated":
            values = [values[0], self._kernel(values[1], params)]
        if name in _PAIRWISE:
            values = [self._broadcast(value, shape) for value in values]
        return self._write(name, values, shape, {key: params[key] for key in _OPERATIONS[name]})

    def _converted(self, value, old, new):
        """Convert a value to another type.

        All numbers of a program are floats, so only truncation is written.
        """
        if new.kind == "b" != old.kind:
            self._unsupported("a conversion of numbers to booleans")
        # JAX's own test, because NumPy does not know bfloat16 as a float.
        was_float = jax.numpy.issubdtype(old, jax.numpy.floating)
        is_float = jax.numpy.issubdtype(new, jax.numpy.floating)
        return self._write("truncate", [value], value.shape, {}) if was_float and not is_float else value

    def _broadcast(self, value, shape):
        """Expand axes of length one to a shape.

        Scalars stay scalars, which pairwise operations accept.
        """
        if np.size(value) == 1 and not isinstance(value, _Value) or np.shape(value) == shape:
            return value
        if not isinstance(value, _Value):
            return np.broadcast_to(value, shape)
        if value.shape in ((), tuple(shape)):
            return value
        axes = {"broadcast_dimensions": list(range(len(shape)))}
        return self._write("broadcast_in_dim", [value], shape, axes)

    def _kernel(self, kernel, params):
        """Transpose a convolution's kernel to [height, width, channels, outputs]."""
        numbers = params["dimension_numbers"]
        # Batch, channels, height and width of an image are its axes 0, 3, 1 and 2.
        images = numbers.lhs_spec == (0, 3, 1, 2) == numbers.out_spec
        if not images or params["feature_group_count"] * params["batch_group_count"] > 1 or isinstance(kernel, _Value):
            self._unsupported("a convolution of other than [N, H, W, C] images, or with a kernel that varies")
        outputs, channels, *places = numbers.rhs_spec
        return np.transpose(kernel, (*places, channels, outputs))

    def _unrolled(self, values, params):
        """Write a loop as its steps, one after the other."""
        # Programs have no loops, so that the reader of a program needs only plain operations.
        inner, constants, carried = params["jaxpr"], params["num_consts"], params["num_carry"]
        fixed = values[:constants]
        carry = values[constants : constants + carried]
        columns = values[constants + carried :]
        steps = range(params["length"])
        rows = {}
        for step in reversed(steps) if params["reverse"] else steps:
            now = [self._row(column, step) for column in columns]
            answers = self.run(inner.jaxpr, inner.consts, [*fixed, *carry, *now])
            carry, rows[step] = answers[:carried], answers[carried:]
        # Results are stacked in the order of the steps, also where the loop runs in reverse.
        in_order = [rows[step] for step in steps]
        return [*carry, *(self._stack(column) for column in zip(*in_order))]

    def _row(self, value, index):
        if not isinstance(value, _Value):
            return value[index]
        begin = [index] + [0] * (len(value.shape) - 1)
        one = self._write("slice", [value], (1, *value.shape[1:]), {"start_indices": begin, "strides": None})
        return self._write("reshape", [one], value.shape[1:], {})

    def _stack(self, values):
        shape = np.shape(values[0]) if not isinstance(values[0], _Value) else values[0].shape
        rows = [self._write("reshape", [value], (1, *shape), {}) for value in values]
        return self._write("concatenate", rows, (len(rows), *shape), {"dimension": 0})

    def _split(self, value, params):
        """Write a split as one slice for each part."""
        axis, start, parts = params["axis"], 0, []
        for size in map(int, params["sizes"]):
            begin, shape = [0] * len(value.shape), list(value.shape)
            begin[axis], shape[axis] = start, size
            parts.append(self._write("slice", [value], shape, {"start_indices": begin, "strides": None}))
            start += size
        return parts

    def _write(self, name, values, shape, parameters):
        """Append an operation and return its result."""
        keys = [value.key if isinstance(value, _Value) else self._constant(value) for value in values]
        answer = _Value(("operation", len(self._operations)), shape)
        self._operations.append({"op": name, "in": keys, "shape": answer.shape, **parameters})
        return answer

    def _constant(self, value):
        """Return the key of a constant, which is appended unless an equal one exists."""
        value = np.asarray(value, np.float32)
        # A key with the bytes themselves would keep a second copy of every constant in memory.
        content = (value.shape, hashlib.sha256(value.tobytes()).digest())
        if content not in self._numbers:
            self._numbers[content] = len(self._constants)
            self._constants.append(value)
        return ("constant", self._numbers[content])

    def _unsupported(self, name):
        raise Unsupported(f"programs have no operation for {name}")

    def written(self, inputs, result):
        """Return the program as JSON, and its constants concatenated.

        Args:
          inputs: the `_Value`s of the inputs.
          result: the value of the result.
        """
        # The last value is the result. A result that is an input, a constant or an earlier value is copied to the end.
        if not isinstance(result, _Value) or result.key != ("operation", len(self._operations) - 1):
            result = self._write("reshape", [result], np.shape(result), {})
        first = {"constant": self._inputs, "operation": self._inputs + len(self._constants)}

        def number(key):
            return first[key[0]] + key[1] if isinstance(key, tuple) else key

        program = {
            "inputs": [value.shape for value in inputs],
            "constants": [value.shape for value in self._constants],
            "operations": [{**one, "in": [number(key) for key in one["in"]]} for one in self._operations],
        }
        flat = [value.ravel() for value in self._constants] or [np.zeros(0, np.float32)]
        return json.dumps(program, default=_plain), np.concatenate(flat)


def _plain(value):
    return value.tolist() if hasattr(value, "tolist") else list(value)
