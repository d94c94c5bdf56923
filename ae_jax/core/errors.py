"""The errors that a user can cause, and the helpers that word them in one or two lines."""

import difflib
import zipfile
import zlib
from collections.abc import Collection, Iterable


class UserError(ValueError):
    """A mistake of the user.

    Commands print it on standard error, without a traceback, and exit with status 2.
    """


class UnknownKey(UserError):
    """A config has a key that nothing reads.

    Args:
      key: the dotted key.
      valid: the dotted keys that may stand in its place, which are listed.
      reader: what reads them, such as "objective 'elbo'".
      also: dotted keys that may stand in its place too, but are read by something else.
    """

    def __init__(self, key: str, valid: Collection[str], reader: str = "", also: Collection[str] = ()):
        """Word the message."""
        self.key = key
        section, _, name = key.rpartition(".")
        names = {each.rpartition(".")[2]: each for each in (*valid, *also) if each.rpartition(".")[0] == section}
        # The keys of one section all begin alike, so there only their ends are compared.
        near = names.get(_nearest(name, names), "") if section and names else _nearest(key, (*valid, *also))
        hint = f"; did you mean {near!r}?" if near else ""
        if reader:
            listed = ", ".join(sorted(valid)) or "nothing"
            super().__init__(
                f"unknown config key {key!r}{hint}\nleave it out, or set it to None; {reader} reads: {listed}"
            )
        else:
            super().__init__(f"unknown config key {key!r}{hint}\ntrain --help --config=... lists the keys of a config")


class RunFailed(RuntimeError):
    """A run that did not finish; the message says how far it came. Commands exit with status 1."""


# {word that people use: names that mean it here}, for suggestions. Only names that exist are suggested.
_SYNONYMS = {
    "generate": ("sample", "samples"),
    "generation": ("generation", "samples"),
    "embed": ("encode",),
    "embedding": ("encode", "scatter"),
    "transform": ("encode",),
    "denoise": ("reconstruct", "restoration", "denoising_ae"),
    "restore": ("reconstruct", "restoration"),
    "upscale": ("reconstruct", "super_resolution"),
    "impute": ("reconstruct",),
    "morph": ("interpolate", "interpolations"),
    "latent_space": ("scatter", "manifold"),
    "latents": ("scatter", "manifold"),
    "tsne": ("scatter",),
    "umap": ("scatter",),
    "grid": ("manifold",),
    "loss": ("curves", "training", "reconstruction"),
    "loss_curve": ("curves",),
    "history": ("curves",),
    "likelihood": ("nll", "elbo"),
    "log_likelihood": ("nll", "elbo"),
    "marginal_likelihood": ("nll", "ais"),
    "bpd": ("bits_per_dimension",),
    "kld": ("kl_per_dimension", "elbo"),
    "kl": ("kl_per_dimension", "elbo"),
    "mi": ("mutual_information",),
    "mmd": ("mmd_to_prior",),
    "posterior_collapse": ("collapse",),
    "prdc": ("precision_recall", "density_coverage"),
    "l1": ("mae",),
    "l2": ("mse",),
    "rmse": ("mse",),
    "autoencoder": ("ae",),
    "cvae": ("conditional", "cvae"),
    "gan": ("aae",),
    "normal": ("gaussian", "diagonal_normal", "standard_normal"),
    "images": ("files",),
    "folder": ("files",),
    "csv": ("files",),
    "numpy": ("files",),
    "midi": ("melodies",),
}

# What NumPy raises for a damaged file, or for a file in a format that is not NumPy's.
DAMAGED = (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type's name; at most 200 characters."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return the end of an error message that suggests the valid name nearest to a misspelt one.

    Args:
      name: the misspelt name.
      choices: the valid names.

    Returns:
      Text such as "; did you mean 'adam'?", or "" if no valid name is similar.
    """
    names = list(choices)
    matches = [synonym for synonym in _SYNONYMS.get(name.lower(), ()) if synonym in names]
    matches = matches or [match for match in [_nearest(name, names)] if match]
    return f"; did you mean {' or '.join(map(repr, matches))}?" if matches else ""


def _nearest(name: str, choices: Iterable[str]) -> str:
    """Return the choice nearest to a name; "" if none is similar."""
    return next(iter(difflib.get_close_matches(name, list(choices), n=1, cutoff=0.6)), "")


def unknown(what: str, name: str, choices: Iterable[str]) -> UserError:
    """Make the error for a name that does not exist; its second line lists the names that do.

    Args:
      what: what the name should name, such as "metric".
      name: the name that the user gave.
      choices: the valid names.
    """
    names = sorted(choices)
    return UserError(f"unknown {what} {name!r}{nearest(name, names)}\nwhat exists: {', '.join(names) or 'nothing'}")


def first_difference(there: object, here: object) -> str:
    """Describe the first leaf, by name, that differs in name or shape between two pytrees.

    A position in a sequence and a key of a dict count as the same name, because Orbax restores a tuple as a list and a
    struct as a dict.

    Args:
      there: pytree of arrays, for example of a checkpoint.
      here: pytree of arrays to compare it with.

    Returns:
      Text such as "a/b is of shape (3,) there and absent here", or "" if names and shapes agree.
    """
    shapes_there, shapes_here = _leaf_shapes(there), _leaf_shapes(here)
    names = sorted(shapes_there.keys() | shapes_here.keys())
    differing = [name for name in names if shapes_there.get(name) != shapes_here.get(name)]
    if not differing:
        return ""
    name = differing[0]
    return f"{name} is {_shape_or_absent(shapes_there, name)} there and {_shape_or_absent(shapes_here, name)} here"


def _leaf_shapes(tree: object) -> dict[str, tuple[int, ...]]:
    """Return {path of a leaf, joined by slashes: its shape}."""
    import jax  # here, because commands that only print a message or a help text do without JAX

    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): tuple(leaf.shape) for path, leaf in leaves}


def _shape_or_absent(shapes: dict[str, tuple[int, ...]], name: str) -> str:
    return f"of shape {shapes[name]}" if name in shapes else "absent"
