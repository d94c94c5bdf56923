"""The prose of the code, measured: first lines, sections of arguments, dense expressions, comments.

The linter checks that docstrings are imperative (ruff's D401 in scripts/lint.sh), so this module does not.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


def _files():
    folders = ("ae_jax", "scripts", "configs")
    return [path.relative_to(ROOT) for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


FILES = {path: (ROOT / path).read_text() for path in _files()}
TREES = {path: ast.parse(text) for path, text in FILES.items()}


def _nodes(kinds):
    """Yield (path, node) for all nodes of these kinds."""
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, kinds):
                yield path, node


def _place(path, node):
    return f"{path}:{getattr(node, 'lineno', 1)}"


def _depth(node):
    """Return how many comprehensions stand one within the other, at most."""
    below = max(map(_depth, ast.iter_child_nodes(node)), default=0)
    return below + isinstance(node, COMPREHENSIONS)


def _public_functions():
    """Yield (path, function) for documented public functions and methods, without those inside of functions."""
    for path, parent in _nodes((ast.Module, ast.ClassDef)):
        for node in parent.body:
            if isinstance(node, ast.FunctionDef) and node.name[0] != "_" and ast.get_docstring(node):
                yield path, node


def _needs_description(argument, default, keyword_only):
    """Return whether an argument is an array whose annotation has no shape, or an option that is a string."""
    if argument.annotation is None:
        return False
    words = {node.id for node in ast.walk(argument.annotation) if isinstance(node, ast.Name)}
    words |= {node.attr for node in ast.walk(argument.annotation) if isinstance(node, ast.Attribute)}
    # jaxtyping's annotations, such as Float[Array, "B D"], have the shape.
    has_shape = any(isinstance(node, ast.Constant) and isinstance(node.value, str) for node in ast.walk(argument))
    is_text = keyword_only and "str" in words and default is not None
    return is_text or (bool(words & {"Array", "ndarray"}) and not has_shape)


def test_first_lines_of_docstrings_have_at_most_90_characters():
    documented = [(path, node, ast.get_docstring(node)) for path, node in _nodes(DOCUMENTED)]
    first = [(_place(path, node), text.splitlines()[0]) for path, node, text in documented if text]
    assert len(first) > 500
    assert [(place, line) for place, line in first if len(line) > 90] == []


def test_arrays_and_string_options_are_described():
    lacking = []
    for path, function in _public_functions():
        arguments = function.args
        checked = [(argument, None, False) for argument in arguments.posonlyargs + arguments.args]
        checked += [(*pair, True) for pair in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
        if any(_needs_description(*each) for each in checked) and "Args:" not in ast.get_docstring(function):
            lacking.append(_place(path, function))
    assert lacking == []


def test_expressions_are_not_dense():
    assert [_place(path, node) for path, node in _nodes(COMPREHENSIONS) if _depth(node) > 2] == []
    for path, node in _nodes(ast.IfExp):
        parts = (node.test, node.body, node.orelse)
        assert not any(isinstance(part, ast.IfExp) for part in parts), f"name the steps: {_place(path, node)}"
    assert 1000 * len(list(_nodes(COMPREHENSIONS))) <= 40 * _line_count()


def test_comments_give_reasons_often_enough():
    lines = [line.strip() for text in FILES.values() for line in text.splitlines()]
    assert 1000 * sum(line.startswith("#") for line in lines) >= 25 * _line_count()


def _line_count():
    return sum(len(text.splitlines()) for text in FILES.values())
