"""Benchmarks run for minutes to hours, so tests only hold their calls against the package: its names, and what they take."""

import ast
import inspect
import pkgutil

import pytest
from conftest import ROOT

BENCHMARKS = ROOT / "benchmarks"


def resolve(node, imported):
    """What an expression such as `metrics.psnr` is, or None where it does not begin with a name imported from the package."""
    if isinstance(node, ast.Name):
        return pkgutil.resolve_name(imported[node.id]) if node.id in imported else None
    if isinstance(node, ast.Attribute):
        before = resolve(node.value, imported)
        # attributes of objects are not followed
        return getattr(before, node.attr) if inspect.ismodule(before) else None
    return None


def mistakes(source):
    """Names of the package that a module uses and that do not exist, and calls that they do not take."""
    tree = ast.parse(source)
    imported = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("keras_ae")
        for alias in node.names
    }
    # a name that is a variable elsewhere in the module is not followed
    stored = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    stored |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    imported = {name: dotted for name, dotted in imported.items() if name not in stored}
    for node in ast.walk(tree):
        try:
            if isinstance(node, ast.Attribute | ast.Name):
                resolve(node, imported)
            if isinstance(node, ast.Call) and callable(called := resolve(node.func, imported)):
                given = [value for value in node.args if not isinstance(value, ast.Starred)]
                packed = len(given) < len(node.args) or None in [word.arg for word in node.keywords]
                signature = inspect.signature(called)
                bind = signature.bind_partial if packed else signature.bind
                bind(*given, **{word.arg: word.value for word in node.keywords if word.arg})
        except (AttributeError, ImportError, TypeError) as error:
            yield f"line {node.lineno}: {error}"


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.py")), ids=lambda path: path.name)
def test_a_benchmark_calls_the_package_as_it_is(path):
    assert not list(mistakes(path.read_text(encoding="utf-8")))
