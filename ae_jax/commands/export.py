"""Export a trained encoder or decoder, to be used without this package.

StableHLO programs hold the parameters and run wherever JAX does: `jax.export.deserialize(data).call(x)`. An .npz holds
the parameters by name, for other frameworks. A manifest says what goes in and what comes out.
"""

import dataclasses
import functools
import importlib.util
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from ae_jax.core.distributions import centre
from ae_jax.core.errors import RunFailed, UserError
from ae_jax.experiments import rundir, using
from ae_jax.experiments.analysis import Trained
from ae_jax.plots import style

PARTS = ("encoder", "decoder")
_PLATFORMS = ("cpu", "cuda", "tpu")


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of a model as a function of arrays.

    Attributes:
      name: "encoder" or "decoder".
      function: maps (variables, *inputs) to {name of an output: [B, ...]}.
      inputs: {name: (shape without the axis of examples, dtype)} of the inputs, in order.
    """

    name: str
    function: Callable[..., dict[str, Any]]
    inputs: Mapping[str, tuple[tuple[int, ...], str]]

    def shapes(self, count: Any) -> list[jax.ShapeDtypeStruct]:
        """Return the shapes of the inputs for a number of examples, which may be a symbol."""
        return [jax.ShapeDtypeStruct((count, *shape), dtype) for shape, dtype in self.inputs.values()]


def write(trained: Trained, output: str, part: str, form: str, batch_size: int) -> list[pathlib.Path]:
    """Write a part of a model, or both parts, with a manifest.

    Args:
      trained: the opened run.
      output: the folder to write into.
      part: "encoder", "decoder" or "both".
      form: "stablehlo" or "npz".
      batch_size: N; a network that does not allow a free number of examples is exported for 1 and for N.

    Returns:
      The paths, that of manifest.json last.

    Raises:
      UserError: the model has no such part.
      RunFailed: the disk refuses.
    """
    # Everything is exported before the first file is written, so that a mistake leaves the folder as it was.
    parts = [part_of(trained, name) for name in (PARTS if part == "both" else (part,))]
    files: dict[str, bytearray | dict[str, np.ndarray]] = {}
    described: dict[str, Any] = {}
    for each in parts:
        if form == "npz":
            files[f"{each.name}.npz"] = parameters(each, trained.variables)
            counts: dict[str, Any] = {f"{each.name}.npz": "any"}
        else:
            programs = stablehlo(each, trained.variables, batch_size)
            files |= {name: program for name, (_, program) in programs.items()}
            counts = {name: count for name, (count, _) in programs.items()}
        described |= {name: _describe(each, trained.variables, count) for name, count in counts.items()}
    folder = pathlib.Path(output).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            with style.atomic_write(folder / name) as file:
                _write(file, content)
        rundir.write_json(folder / "manifest.json", {**_manifest(trained, form), "files": described})
    except OSError as error:
        raise RunFailed(f"{output} cannot be written: {error}") from None
    return [*(folder / name for name in files), folder / "manifest.json"]


def _write(file: IO[bytes], content: Any) -> None:
    """Write a program, or arrays by name."""
    if isinstance(content, dict):
        np.savez(file, **content)
    else:
        file.write(content)


def part_of(trained: Trained, name: str) -> Part:
    """Return a part of a model. Raise UserError where it has none that works alone."""
    model, spec = trained.model, trained.spec
    label: dict[str, tuple[tuple[int, ...], str]] = {}
    if model.reads_label:
        label["label"] = ((spec.label_dim,), "float32") if spec.label_dim else ((), "int32")
    dimension = using.dimension(trained)
    if name == "encoder":
        inputs = {"x": (trained.experiment.input_shape, "float32"), **label}
        return Part(name, functools.partial(_encode, model, tuple(inputs)), inputs)
    if model.adds_inputs:
        raise UserError("this model's decoder adds its inputs, and a latent alone has none\nuse --part=encoder")
    inputs = {"z": ((dimension,), "float32"), **label}
    return Part(name, functools.partial(_decode, model, tuple(inputs)), inputs)


def _encode(model: Any, names: Sequence[str], variables: Any, *values: Any) -> dict[str, Any]:
    """Return the means "z" [B, D], and "z_scale" for normal posteriors."""
    given = dict(zip(names, values, strict=True))
    # A fixed key: with several layers of latents, means depend on what is drawn of the layers above.
    batch = {"inputs": given.pop("x"), "mask": jnp.ones(len(values[0])), **given}
    found = using.code_and_scale(model, variables, batch, jax.random.key(0))
    return {"z": found["code"], **({"z_scale": found["scale"]} if "scale" in found else {})}


def _decode(model: Any, names: Sequence[str], variables: Any, *values: Any) -> dict[str, Any]:
    """Return "x" [B, *shape], means of p(x | z), or its modes where x are classes."""
    given = dict(zip(names, values, strict=True))
    z = given.pop("z")
    batch = {"mask": jnp.ones(len(z)), **given}
    return {"x": centre(model.apply(variables, (z[None],), batch, method="decode"))[0]}


def stablehlo(part: Part, variables: Any, batch_size: int) -> dict[str, tuple[Any, bytearray]]:
    """Return {file: (number of examples, serialized program)}; fixed numbers are 1 and N."""
    if importlib.util.find_spec("flatbuffers") is None:
        raise UserError("StableHLO programs are written by flatbuffers\nuse pip install -e .[export], or --format=npz")

    def one(*example: Any) -> dict[str, Any]:
        outputs = part.function(variables, *(value[None] for value in example))
        return {name: values[0] for name, values in outputs.items()}

    # One example at a time, so that the network sees a batch of 1: its code may ask for the length of a batch, which a
    # free number of examples does not have.
    with_parameters = jax.jit(jax.vmap(one))
    export = jax.export.export(with_parameters, platforms=_PLATFORMS)
    (count,) = jax.export.symbolic_shape("b")
    try:
        return {f"{part.name}.stablehlo": ("any", export(*part.shapes(count)).serialize())}
    except Exception as error:  # noqa: BLE001, since each operation refuses a symbol in its own way
        reason = error
    try:
        programs = {size: export(*part.shapes(size)).serialize() for size in dict.fromkeys((1, batch_size))}
    except NotImplementedError:
        raise UserError(f"the {part.name} cannot be exported: {reason}\nuse --format=npz") from None
    return {f"{part.name}_{size}.stablehlo": (size, program) for size, program in programs.items()}


def parameters(part: Part, variables: Any) -> dict[str, np.ndarray]:
    """Return {path: array} of the variables that a part reads, such as "params/z/kernel"."""
    # Shapes suffice, because the exported program is only inspected and never called.
    like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), variables)
    # The program's list of used arguments says which variables the part reads.
    exported = jax.export.export(jax.jit(part.function))(like, *part.shapes(1))
    leaves = jax.tree_util.tree_leaves_with_path(variables)
    used = [number for number in exported.module_kept_var_idx if number < len(leaves)]
    named = {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}
    return {list(named)[number]: np.asarray(list(named.values())[number]) for number in used}


def _describe(part: Part, variables: Any, count: Any) -> dict[str, Any]:
    """Return the inputs and outputs of a file, as JSON."""
    outputs = jax.eval_shape(part.function, variables, *part.shapes(1))
    described = [{"name": name, "shape": list(shape), "dtype": dtype} for name, (shape, dtype) in part.inputs.items()]
    results = [
        {"name": name, "shape": list(output.shape[1:]), "dtype": str(output.dtype)} for name, output in outputs.items()
    ]
    return {"part": part.name, "examples": count, "inputs": described, "outputs": results}


def _manifest(trained: Trained, form: str) -> dict[str, Any]:
    """Return what concerns all files: the model, how values are presented, the classes."""
    spec, config = trained.spec, trained.experiment.config
    presented = {"pixels": f"stored integers 0 to {spec.levels - 1}, divided by {spec.levels - 1}"}
    scaling = {"mean": list(spec.mean), "deviation": list(spec.deviation)} if spec.mean else None
    return {
        "format": form,
        "model": config.model.name,
        "step": trained.context["step"],
        "params": trained.context["params"],
        "digest": trained.digest,
        "jax": jax.__version__,
        "kind": spec.kind,
        "values": presented.get(spec.kind, "as they are"),
        # A model reads and returns (value - mean) / deviation, by the last axis.
        "scaling": scaling,
        "classes": list(spec.class_names),
    }
