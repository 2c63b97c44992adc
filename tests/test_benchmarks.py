"""Benchmarks run for minutes to hours, so tests only hold their calls against the package: its names, and what they take."""

import ast
import inspect
import pkgutil
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
PATHS = sorted(path.relative_to(BENCHMARKS) for path in BENCHMARKS.rglob("*.py"))


def inside(scope):
    """The nodes of a module or function without those of the functions in it, which are yielded themselves."""
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def known_in(scope, outside):
    """The dotted names that local names stand for: those of imports of the package, unless a variable has the same name."""
    known = dict(outside)
    for node in inside(scope):
        if isinstance(node, ast.arg):
            known.pop(node.arg, None)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            known.pop(node.id, None)
    for node in inside(scope):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "keras_ae":
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            known |= {alias.name: alias.name for alias in node.names if alias.name == "keras_ae"}
    return known


def dotted(node, known):
    """The dotted name of an expression such as `metrics.psnr`, or None where it does not begin with an imported name."""
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Attribute):
        before = dotted(node.value, known)
        # only what modules have: attributes of objects are not followed
        return f"{before}.{node.attr}" if before and inspect.ismodule(pkgutil.resolve_name(before)) else None
    return None


def mistakes(scope, outside=()):
    """Names of the package that a module or function uses and that do not exist, and calls that they do not take."""
    known = known_in(scope, dict(outside))
    for node in inside(scope):
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            yield from mistakes(node, known)
        try:
            if isinstance(node, ast.Attribute | ast.Name) and (name := dotted(node, known)):
                pkgutil.resolve_name(name)
            if isinstance(node, ast.Call) and (name := dotted(node.func, known)):
                packed = any(isinstance(value, ast.Starred) for value in node.args) or None in [k.arg for k in node.keywords]
                called = inspect.signature(pkgutil.resolve_name(name))
                (called.bind_partial if packed else called.bind)(
                    *(value for value in node.args if not isinstance(value, ast.Starred)),
                    **{keyword.arg: keyword.value for keyword in node.keywords if keyword.arg},
                )
        except (AttributeError, ImportError, TypeError) as error:
            yield f"line {node.lineno}: {error}"


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_a_benchmark_calls_the_package_as_it_is(path):
    assert not list(mistakes(ast.parse((BENCHMARKS / path).read_text(encoding="utf-8"))))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from keras_ae.judge import metrics\nmetrics.nothing(1)", "no attribute 'nothing'"),
        ("from keras_ae.judge import nothing\nnothing.psnr(1)", "nothing"),
        ("from keras_ae.errors import UserError\nfrom keras_ae.judge.metrics import ssim\nssim(scale=2)", "argument"),
        ("import keras_ae\nkeras_ae.load_data(nothing=1)", "unexpected keyword argument 'nothing'"),
    ],
)
def test_a_name_or_an_argument_that_is_gone_is_found(source, expected):
    assert expected in " ".join(mistakes(ast.parse(source)))
