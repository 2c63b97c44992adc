"""The plan of docs/architecture.md held against the code: sizes of rooms, direction of imports, no private ground of Keras."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "keras_ae"
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
# lines and files, without __init__.py; a room imports only from rooms above it, and from the leaves
ROOMS = {
    "images": (767, 5),
    "priors": (940, 7),
    "data": (1694, 9),
    "models": (1807, 8),
    "judge": (858, 7),
    "exports": (1211, 6),
    "training": (1432, 8),
    "explorer": (139, 1),
}
LEAVES = {"errors", "files"}
# lines of Python, of the package with all rooms, of its top level (commands and leaves), of folders beside it
PACKAGE_LINES, TOP_LINES, BESIDE = 10696, 1810, {"tests": 8495, "benchmarks": 1748}
# files of the package, lines of JavaScript, CSS and templates, words of the documentation
FILES, PAGE_LINES, WORDS = 83, 1115, 15_218


def lines_of(paths):
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_stays_within_its_budget(room):
    files = [path for path in (PACKAGE / room).rglob("*.py") if path.name != "__init__.py"]
    most_lines, most_files = ROOMS[room]
    assert lines_of(files) <= most_lines and len(files) <= most_files


def test_the_house_stays_within_its_budget():
    assert lines_of(PACKAGE.rglob("*.py")) <= PACKAGE_LINES and len(MODULES) <= FILES
    assert lines_of(PACKAGE.glob("*.py")) <= TOP_LINES
    page = [path for path in PACKAGE.glob("*/assets/*") if path.suffix in (".js", ".html", ".css", ".md", ".onnxtxt")]
    assert lines_of(page) <= PAGE_LINES
    for folder, most in BESIDE.items():
        assert lines_of((ROOT / folder).rglob("*.py")) <= most, folder
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    assert sum(len(path.read_text(encoding="utf-8").split()) for path in pages) <= WORDS


def imports(path):
    """The rooms and leaves that a file imports."""
    for node in ast.walk(ast.parse((PACKAGE / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("keras_ae"):
            yield from node.module.split(".")[1:2] or [alias.name for alias in node.names]


@pytest.mark.parametrize("path", [path for path in MODULES if len(path.parts) > 1], ids=str)
def test_imports_go_to_rooms_further_up_or_to_a_leaf(path):
    order = list(ROOMS)
    above = set(order[: order.index(path.parts[0]) + 1]) | LEAVES
    assert set(imports(path)) <= above


@pytest.mark.parametrize("path", [path for path in MODULES if path.as_posix() != "models/optimizers.py"], ids=str)
def test_only_the_optimizers_use_private_names_of_keras_and_raw_operations(path):
    tree = ast.parse((PACKAGE / path).read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    own = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    own |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
    own |= {node.attr for node in attributes if isinstance(node.ctx, ast.Store)}
    private = {node.attr for node in attributes if node.attr.startswith("_") and not node.attr.startswith("__")}
    assert not private - own
    assert not {"raw_ops", "compat"} & {node.attr for node in attributes}
    modules = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    assert not [name for name in modules if name.startswith(("keras.src", "tensorflow.python"))]
