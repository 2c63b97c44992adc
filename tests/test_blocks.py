"""Blocks of code on the pages: Python runs, commands go through the parsers, make has the targets."""

import contextlib
import importlib
import io
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from keras_ae.__main__ import commands

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
# packages that a block must do without: it is for other programs
WITHOUT = {"saved_model.load": ("keras_ae",), "onnxruntime": ("keras_ae", "tensorflow")}


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def name(value):
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else None


PROGRAMS = [(page, index, block) for page in PAGES for index, block in enumerate(blocks(page, "python"))]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with what the programs read: the shipped export."""
    folder = tmp_path_factory.mktemp("programs")
    shutil.copytree(ROOT / "exported" / "cats", folder / "exported" / "cats")
    return folder


@pytest.mark.parametrize(
    ("page", "block"), [(page, block) for page, _, block in PROGRAMS], ids=[f"{name(p)} {i}" for p, i, _ in PROGRAMS]
)
def test_every_block_of_python_runs_in_a_fresh_process(place, page, block):
    lacking = next((packages for word, packages in WITHOUT.items() if word in block), ())
    program = f"import sys\nfor name in {lacking!r}:\n    sys.modules[name] = None\n" + block
    # a program of others is isolated from this folder
    done = subprocess.run(
        [sys.executable, *(["-I"] if lacking else []), "-c", program], cwd=place, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    # a line that prints says what in its comment, such as (1, 64, 64, 3)
    shapes = re.findall(r"^print\(.*# .*?(\([\d, ]+\))$", block, re.MULTILINE)
    assert not [shape for shape in shapes if shape not in done.stdout]


def test_the_first_blocks_are_short():
    (first,) = blocks(ROOT / "README.md", "python")
    assert len([line for line in first.splitlines() if line.strip()]) <= 10
    assert len(blocks(ROOT / "docs" / "guides" / "exporting.md", "python")[0].splitlines()) <= 12


def test_the_lines_of_javascript_run(tmp_path):
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("needs Node.js with npm")
    command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(tmp_path), "onnxruntime-web"]
    if subprocess.run(command, capture_output=True, timeout=300).returncode:
        pytest.skip("npm cannot install onnxruntime-web")
    shutil.copytree(ROOT / "exported" / "cats", tmp_path / "exported" / "cats")
    (block,) = blocks(ROOT / "docs" / "guides" / "exporting.md", "js")
    (tmp_path / "program.mjs").write_text(block)
    done = subprocess.run(["node", "program.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "[ 1, 64, 64, 3 ]" in done.stdout


def lines(page):
    """Command lines of a page: those of blocks, and those in `...` of its text; of sessions, what follows `$`."""
    text = page.read_text()
    for block in blocks(page, "sh"):
        yield from block.replace("\\\n", " ").splitlines()
    for block in blocks(page, ""):
        # a session may show a mistake, which a line of error follows
        shown = block.splitlines()
        for line, answer in zip(shown, [*shown[1:], ""], strict=True):
            if line.startswith("$ ") and ": error: " not in answer:
                yield line[2:]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    yield from (" ".join(line.split()) for line in re.findall(r"`([^`]+)`", prose))


LINES = [(page, line) for page in PAGES for line in lines(page)]
CALLS = [(page, line) for page, line in LINES if re.match(r"(\.venv/bin/)?python -m keras_ae\.\w+", line)]


@pytest.mark.parametrize("page", sorted({page for page, _ in CALLS}), ids=name)
def test_every_command_on_a_page_is_one_that_its_parser_takes(page):
    for line in (line for other, line in CALLS if other == page):
        verb, *arguments = shlex.split(line, comments=True)[2:]
        verb = verb.removeprefix("keras_ae.")
        assert verb in commands(), line
        # words in capitals stand for a value; a study is checked against a list
        arguments = ["sampling" if word == "NAME" else word for word in arguments]
        # `--help` would end it
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                importlib.import_module(f"keras_ae.{verb}").parser().parse_args(
                    [word for word in arguments if word != "--help"]
                )
        except SystemExit:
            # a command that is only named has no arguments
            assert not arguments, f"{line}: {said.getvalue()}"


def test_every_target_of_make_on_a_page_exists():
    known = subprocess.run(["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    known = {line.split()[0] for line in known.splitlines()} | set(
        re.findall(r"call study,(\w+)", (ROOT / "Makefile").read_text())
    )
    found = set()
    for _, line in LINES:
        if line.startswith("make "):
            found |= {word for word in shlex.split(line, comments=True)[1:] if "=" not in word and word != "NAME"}
    found = {word.removeprefix("study-") for word in found if not word.startswith("-") and "NAME" not in word}
    assert len(found) > 10
    assert not found - known
