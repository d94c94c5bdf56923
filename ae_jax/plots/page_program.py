"""A function as JAX traces it, written down as plain operations that a few lines of another language can carry out.

What depends on constants alone is computed here; calls are inlined; of what differs between platforms the general form
is taken. `pages/program.js` carries programs out.
"""

import hashlib
import json
import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

# What the program may consist of, besides calls and "truncate": {operation: the parameters it keeps}.
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
_SAME = {"squeeze": "reshape", "expand_dims": "reshape"}
_CALLS = ("jit", "closed_call", "custom_jvp_call", "custom_vjp_call", "checkpoint", "remat", "remat2")
_NOTHING = ("stop_gradient", "copy", "copy_p", "optimization_barrier")


class Unsupported(ValueError):
    """The function does what programs have no operation for; the message names it."""


def trace(function: Callable, *examples: Any) -> tuple[str, np.ndarray]:
    """(program, constants): `function` of arrays like `examples`, and its constants one after the other, float32 [C].

    program: JSON, {"inputs": [shape], "constants": [shape], "operations": [{"op", "in", "shape", parameters}]}. Values
        are numbered: inputs, then constants, then what each operation answers; the last one is the result.
    Raises Unsupported.
    """
    closed = jax.make_jaxpr(function)(*examples)
    writer = _Writer(len(examples))
    inputs = [_Value(number, example.shape) for number, example in enumerate(map(np.asarray, examples))]
    (result,) = writer.run(closed.jaxpr, closed.consts, inputs)
    return writer.written(inputs, result)


def products(program: str) -> int:
    """How many products of two numbers a program takes: those of its matrix products and convolutions."""
    parsed, total = json.loads(program), 0
    shapes = [*parsed["inputs"], *parsed["constants"], *(one["shape"] for one in parsed["operations"])]
    for one in parsed["operations"]:
        if one["op"] == "dot_general":
            contracted = one["dimension_numbers"][0][0]
            total += math.prod(one["shape"]) * math.prod(shapes[one["in"][0]][axis] for axis in contracted)
        elif one["op"] == "conv_general_dilated":
            spread = math.prod(one["lhs_dilation"])  # the zeros between its pixels cost nothing
            total += math.prod(one["shape"]) * math.prod(shapes[one["in"][1]][:3]) // spread
    return total


class _Value:
    """What an operation or an input answers; constants are arrays."""

    def __init__(self, key, shape):
        self.key, self.shape = key, tuple(map(int, shape))


class _Writer:
    def __init__(self, inputs: int):
        self._inputs, self._operations, self._constants = inputs, [], []
        self._numbers = {}  # of constants met before, as the weights of a loop's steps

    def run(self, jaxpr, constants, arguments):
        """What a jaxpr answers, its equations written down: a list of values and arrays."""
        known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *arguments]))
        read = lambda atom: atom.val if hasattr(atom, "val") else known[atom]
        for equation in jaxpr.eqns:
            answers = self._equation(equation, list(map(read, equation.invars)))
            known |= zip(equation.outvars, answers)
        return list(map(read, jaxpr.outvars))

    def _equation(self, equation, values):
        name, params = equation.primitive.name, equation.params
        if name == "platform_index":
            return [None]
        if name == "cond" and values[0] is None:
            platforms = params["branches_platforms"]
            branch = params["branches"][[i for i, names in enumerate(platforms) if names is None][0]]
            return self.run(branch.jaxpr, branch.consts, values[1:])
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
        name = _SAME.get(name, name)
        if name not in _OPERATIONS:
            self._unsupported(name)
        if name == "conv_general_dilated":
            values = [values[0], self._kernel(values[1], params)]
        kept, shape = {key: params[key] for key in _OPERATIONS[name]}, equation.outvars[0].aval.shape
        if name in _PAIRWISE:
            values = [self._broadcast(value, shape) for value in values]
        return [self._write(name, values, shape, kept)]

    def _converted(self, value, old, new):
        """The value as another type of number: in a program all are floats, so only what is cut is written."""
        if new.kind == "b" != old.kind:
            self._unsupported("a conversion of numbers to booleans")
        is_float = lambda dtype: jax.numpy.issubdtype(dtype, jax.numpy.floating)
        return self._write("truncate", [value], value.shape, {}) if is_float(old) and not is_float(new) else value

    def _broadcast(self, value, shape):
        """The value at this shape, where an axis of length one stands for more; scalars stay scalars."""
        if np.size(value) == 1 and not isinstance(value, _Value) or np.shape(value) == shape:
            return value
        if not isinstance(value, _Value):
            return np.broadcast_to(value, shape)
        if value.shape in ((), tuple(shape)):
            return value
        axes = {"broadcast_dimensions": list(range(len(shape)))}
        return self._write("broadcast_in_dim", [value], shape, axes)

    def _kernel(self, kernel, params):
        """The kernel as [height, width, channels, outputs]."""
        numbers = params["dimension_numbers"]
        images = numbers.lhs_spec == (0, 3, 1, 2) == numbers.out_spec
        if not images or params["feature_group_count"] * params["batch_group_count"] > 1 or isinstance(kernel, _Value):
            self._unsupported("a convolution of other than [N, H, W, C] images, or with a kernel that varies")
        outputs, channels, *places = numbers.rhs_spec
        return np.transpose(kernel, (*places, channels, outputs))

    def _unrolled(self, values, params):
        """A loop, its steps one after the other."""
        inner, constants, carried = params["jaxpr"], params["num_consts"], params["num_carry"]
        fixed, carry, columns = (
            values[:constants],
            values[constants : constants + carried],
            values[constants + carried :],
        )
        steps = range(params["length"])
        rows = {}
        for step in reversed(steps) if params["reverse"] else steps:
            now = [self._row(column, step) for column in columns]
            answers = self.run(inner.jaxpr, inner.consts, [*fixed, *carry, *now])
            carry, rows[step] = answers[:carried], answers[carried:]
        stacked = [[rows[step][column] for step in steps] for column in range(len(rows[0]))]
        return [*carry, *(self._stack(column) for column in stacked)]

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
        starts = np.cumsum([0, *params["sizes"]])
        parts = []
        for start, size in zip(starts, params["sizes"]):
            begin = [int(start) if axis == params["axis"] else 0 for axis in range(len(value.shape))]
            shape = [int(size) if axis == params["axis"] else n for axis, n in enumerate(value.shape)]
            parts.append(self._write("slice", [value], shape, {"start_indices": begin, "strides": None}))
        return parts

    def _write(self, name, values, shape, parameters):
        keys = [value.key if isinstance(value, _Value) else self._constant(value) for value in values]
        answer = _Value(("operation", len(self._operations)), shape)
        self._operations.append({"op": name, "in": keys, "shape": answer.shape, **parameters})
        return answer

    def _constant(self, value):
        value = np.asarray(value, np.float32)
        content = (value.shape, hashlib.sha256(value.tobytes()).digest())
        if content not in self._numbers:
            self._numbers[content] = len(self._constants)
            self._constants.append(value)
        return ("constant", self._numbers[content])

    def _unsupported(self, name):
        raise Unsupported(f"programs have no operation for {name}")

    def written(self, inputs, result):
        first = {"constant": self._inputs, "operation": self._inputs + len(self._constants)}
        if result.key != ("operation", len(self._operations) - 1):
            result = self._write("reshape", [result], result.shape, {})
        number = lambda key: first[key[0]] + key[1] if isinstance(key, tuple) else key
        program = {
            "inputs": [value.shape for value in inputs],
            "constants": [value.shape for value in self._constants],
            "operations": [{**one, "in": list(map(number, one["in"]))} for one in self._operations],
        }
        flat = [value.ravel() for value in self._constants] or [np.zeros(0, np.float32)]
        return json.dumps(program, default=_plain), np.concatenate(flat)


def _plain(value):
    return value.tolist() if hasattr(value, "tolist") else list(value)
