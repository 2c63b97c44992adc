"""The pages: links and pictures exist, Python runs, commands are taken, the reference is that of the code."""

import importlib.util
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

import keras_ae
from keras_ae.__main__ import commands

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]


def name(value):
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else None


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def prose(page):
    """The text of a page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page):
    """The anchors of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere_and_pictures_have_alternative_texts(page):
    for text, link in re.findall(r"\[([^]]*)\]\(([^)]+)\)", prose(page)):
        if "://" not in link:
            target, _, anchor = link.partition("#")
            target = page.parent / target if target else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link
        assert text.strip(), link


def test_every_picture_is_shown_and_every_page_is_in_the_navigation():
    links = {(page.parent / link).resolve() for page in PAGES for link in re.findall(r"!\[[^]]*\]\(([^)]+)\)", prose(page))}
    assert not {path.resolve() for path in DOCS.rglob("*.png")} - links
    navigation = set(re.findall(r"[\w/]+\.md$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE))
    assert navigation == {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name)
def test_the_blocks_of_python_of_a_page_run_one_after_the_other(page, tmp_path, monkeypatch, portable_files):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "exported" / "cats", tmp_path / "exported" / "cats")
    names = {}
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
    shutil.copytree(ROOT / "exported" / "cats", tmp_path / "exported" / "cats")
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


def test_the_targets_of_make_on_the_pages_exist():
    known = {f"train-{path.stem}" for path in (ROOT / "experiments").glob("*.toml")}
    for folder in (ROOT, ROOT / "course"):
        database = subprocess.run(
            ["make", "-pqrR", "-C", str(folder)], capture_output=True, text=True, env=os.environ | {"LC_ALL": "C"}
        )
        known |= set(re.findall(r"^([\w-]+):", database.stdout, re.MULTILINE))
    words = [shlex.split(line, comments=True)[1:] for page in PAGES for line in lines(page) if line.startswith("make ")]
    found = {
        word
        for line in words
        for word in line
        if re.fullmatch(r"[a-z][\w-]*", word) and word not in ("course", "help", "train-NAME")
    }
    assert len(found) > 10
    assert not found - known


def test_the_interface_page_documents_every_public_name():
    page = (DOCS / "reference" / "interface.md").read_text(encoding="utf-8")
    documented = re.findall(r"^::: keras_ae\.(\w+)$", page, re.MULTILINE)
    assert set(documented) == set(keras_ae.__all__) - {"__version__"}


def test_the_page_of_commands_has_every_command():
    page = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| `python -m keras_ae\.(\w+)", page, re.MULTILINE)) == sorted(commands())


def test_the_page_of_tables_is_that_of_the_schema():
    spec = importlib.util.spec_from_file_location("tables", DOCS / "reference" / "tables.py")
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    assert tables.PAGE.read_text(encoding="utf-8") == tables.page(), "python docs/reference/tables.py writes it"
