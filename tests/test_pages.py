"""The pages: links and pictures exist, Python runs, commands are taken, the reference is that of the code."""

import importlib.util
import io
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from conftest import CATS, ROOT

import keras_ae
from keras_ae.__main__ import commands

DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]


def name(value):
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else None


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def prose(page):
    """The text of a page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name)
def test_the_blocks_of_python_of_a_page_run_one_after_the_other(page, tmp_path, monkeypatch, portable_files):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(CATS, tmp_path / "exported" / "cats")
    names, load = {}, keras_ae.load_data
    # a tenth of the images train in a tenth of the time
    monkeypatch.setattr(keras_ae, "load_data", lambda name: [(images[::10], labels[::10]) for images, labels in load(name)])
    for block in blocks(page, "python"):
        said = io.StringIO()
        # what the blocks write, only TensorFlow reads
        with redirect_stdout(said), portable_files():
            exec(compile(block, str(page), "exec"), names)
        # a line that prints says what in its comment, such as (1, 64, 64, 3)
        assert all(shape in said.getvalue() for shape in re.findall(r"^print\(.*# .*?(\([\d, ]+\))$", block, re.MULTILINE))


def test_the_block_for_onnxruntime_needs_neither_this_package_nor_tensorflow(tmp_path):
    (block,) = [block for block in blocks(DOCS / "guides" / "exporting.md", "python") if "onnxruntime" in block]
    program = "import sys\nsys.modules['tensorflow'] = sys.modules['keras_ae'] = None\n" + block
    shutil.copytree(CATS, tmp_path / "exported" / "cats")
    ended = subprocess.run([sys.executable, "-I", "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert "(1, 64, 64, 3)" in ended.stdout, ended.stderr


def lines(page):
    """Command lines of a page: those of blocks, and those in `...` of its text; of sessions, what follows `$`."""
    for block in blocks(page, "sh"):
        yield from block.replace("\\\n", " ").splitlines()
    for block in blocks(page, ""):
        # a session may show a mistake, which a line of error follows
        shown = block.splitlines()
        yield from (
            line[2:]
            for line, answer in zip(shown, [*shown[1:], ""], strict=True)
            if line[:2] == "$ " and ": error: " not in answer
        )
    yield from (" ".join(line.split()) for line in re.findall(r"`([^`]+)`", prose(page)))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_commands_of_a_page_are_taken(page):
    for line in lines(page):
        if re.match(r"(\.venv/bin/)?python -m keras_ae\.\w+", line):
            verb, *arguments = shlex.split(line, comments=True)[2:]
            verb = verb.removeprefix("keras_ae.")
            assert verb in commands(), line
            parser = importlib.import_module(f"keras_ae.{verb}").main.parser()
            said = io.StringIO()
            try:
                with redirect_stderr(said):
                    parser.parse_args([word for word in arguments if word != "--help"])
            except SystemExit:
                # a command that is only named has no arguments
                assert not arguments, f"{line}: {said.getvalue()}"


def test_the_page_of_tables_is_that_of_the_schema():
    spec = importlib.util.spec_from_file_location("tables", DOCS / "reference" / "tables.py")
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    assert tables.PAGE.read_text(encoding="utf-8") == tables.page(), "python docs/reference/tables.py writes it"
