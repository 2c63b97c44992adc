"""The layout that docs/architecture.md draws, held against the code."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "keras_ae"
LEAVES = {"commandline", "ending", "errors", "files", "outputs", "versions"}
# an arrow goes to a lower level, or stays in its room, or ends at a leaf
LEVELS = {"images": 1, "priors": 1, "data": 2, "models": 2, "judge": 3, "exports": 3, "explorer": 4}
LEVELS |= {"training": 4}
COMMANDS = {path.stem for path in PACKAGE.glob("*.py")} - LEAVES - {"__init__", "__main__"}
ON_EXPORTS = {"generate", "reconstruct", "interpolate", "edit", "embed", "score", "denoise", "upscale"}
ON_EXPORTS |= {"explore"}
# packages that are imported where they are needed: optional ones, and those that would make a quick module slow
LATE = {"umap", "skimage", "tensorflow", "tensorflow_datasets", "sklearn", "tensorboard", "google", "scipy"}
LATE |= {"filelock", "kagglehub", "mido", "onnx", "onnxruntime", "tqdm", "joblib"}
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def room_of(name):
    """The room or leaf or command of a dotted name such as keras_ae.models.vae."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports(path):
    """(dotted name of a module, whether it is imported at the top of the file) of each import of the package."""
    tree = ast.parse((PACKAGE / path).read_text())
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield name, id(node) in top


@pytest.mark.parametrize("path", [path for path in MODULES if len(path.parts) > 1], ids=str)
def test_arrows_go_down_or_to_a_leaf_and_library_modules_import_at_the_top(path):
    room = path.parts[0]
    for name, at_top in imports(path):
        if name.startswith("keras_ae"):
            other = room_of(name)
            assert other in LEAVES or other == room or LEVELS[other] < LEVELS[room], name
            assert at_top, f"{path} imports {name} inside a function"
        else:
            assert at_top or name.split(".")[0] in LATE, f"{path} imports {name} inside a function"


@pytest.mark.parametrize("leaf", sorted(LEAVES))
def test_leaves_import_leaves_alone(leaf):
    assert {room_of(name) for name, _ in imports(Path(f"{leaf}.py")) if name.startswith("keras_ae")} <= LEAVES


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_commands_import_no_other_command_and_rooms_late(command):
    for name, at_top in imports(Path(f"{command}.py")):
        if name.startswith("keras_ae"):
            other = room_of(name)
            assert other not in COMMANDS, name
            assert other in LEAVES or not at_top, f"{command} imports {name} at the top"
        elif at_top:
            assert name.split(".")[0] not in {"numpy", "tensorflow", "keras", "matplotlib", "PIL", "tqdm"}


@pytest.mark.parametrize("command", sorted(ON_EXPORTS))
def test_commands_on_exports_need_neither_models_nor_data(command):
    """Nor does anything that they import, except for the NumPy program that draws the built-in cats."""
    waiting, seen = [Path(f"{command}.py")], set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for name, _ in imports(path):
            if name.startswith("keras_ae."):
                inside = Path(*name.split(".")[1:])
                files = [inside.with_suffix(".py"), inside.parent.with_suffix(".py") if inside.parent.name else inside]
                waiting += [file for file in files if (PACKAGE / file).is_file()]
    foreign = {str(path) for path in seen if path.parts[0] in ("models", "data")}
    assert not {path for path in foreign if not path.startswith("data/drawn_cats")}


def test_course_and_benchmarks_call_the_library_not_the_commands():
    for path in [*(ROOT / "course").glob("*.py"), *(ROOT / "benchmarks").glob("*.py")]:
        named = {room_of(name) for name, _ in imports(path) if name.startswith("keras_ae")}
        assert not named & COMMANDS, path


def test_the_architecture_page_names_every_room_and_command_and_no_other():
    page = (ROOT / "docs" / "architecture.md").read_text()
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms == set(LEVELS)
    assert set(re.findall(r"^\| `(\w+)/` \|", page, re.MULTILINE)) == rooms
    drawn = page[page.index("```") : page.index("```", page.index("```") + 3)]
    assert COMMANDS | LEAVES | rooms <= set(re.findall(r"\w+", drawn))
    for path in re.findall(r"`(keras_ae/[\w/.]+|experiments/[\w.]+|tests/[\w.]+)`", page):
        assert (ROOT / path).exists(), path


def test_every_room_says_in_one_to_three_lines_what_lives_there():
    for room in LEVELS:
        tree = ast.parse((PACKAGE / room / "__init__.py").read_text())
        assert 1 <= len(ast.get_docstring(tree).splitlines()) <= 3


def test_modules_stay_small():
    lengths = {str(path): len((PACKAGE / path).read_text().splitlines()) for path in MODULES}
    assert not {path: length for path, length in lengths.items() if length > 260}


def mode_of(call):
    """The mode of a call of `open`, of a file's method too: a constant such as "wb", "r" by default."""
    place = 1 if isinstance(call.func, ast.Name) else 0
    given = [keyword.value for keyword in call.keywords if keyword.arg == "mode"] + call.args[place : place + 1]
    return given[0].value if given and isinstance(given[0], ast.Constant) else "r"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_text_is_read_and_written_as_utf_8_whatever_the_system_prefers(path):
    tree = ast.parse((PACKAGE / path).read_text(encoding="utf-8"))
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = getattr(call.func, "id", getattr(call.func, "attr", ""))
        keywords = {keyword.arg for keyword in call.keywords}
        # of archives, pictures and the operating system: bytes
        elsewhere = ast.unparse(call.func) in ("os.open", "Image.open", "archive.open", "webbrowser.open")
        is_text = name == "open" and "b" not in mode_of(call) and not elsewhere
        if is_text or name in ("read_text", "write_text") or keywords & {"text", "universal_newlines"}:
            assert "encoding" in keywords, f"{path}:{call.lineno}"
