"""The pages of reference against the code: public names, commands and their options, tables of experiment files."""

import importlib
import re
from pathlib import Path

import keras_ae
from keras_ae.__main__ import commands

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"


def test_the_interface_page_documents_every_public_name_where_it_is_defined():
    documented = re.findall(
        r'^::: (\S+)\n    options:\n      heading: "(\w+)"$', (REFERENCE / "interface.md").read_text(), re.MULTILINE
    )
    assert {name for _, name in documented} == set(keras_ae.__all__) - {"__version__"}
    for path, name in documented:
        module, _, attribute = path.rpartition(".")
        assert getattr(importlib.import_module(module), attribute) is getattr(keras_ae, name)


def test_the_page_of_commands_has_every_command_and_only_options_that_exist():
    rows = re.findall(r"^\| `python -m keras_ae\.(\w+)[^`]*` \|.*$", (REFERENCE / "commands.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(commands())
    for line in re.findall(r"^\| `python -m .*$", (REFERENCE / "commands.md").read_text(), re.MULTILINE):
        name = re.search(r"keras_ae\.(\w+)", line).group(1)
        help_text = importlib.import_module(f"keras_ae.{name}").parser().format_help()
        options = set(re.findall(r"--[a-z]+", line))
        assert options <= set(re.findall(r"--[a-z]+", help_text)), name


def test_every_page_is_in_the_navigation():
    navigation = set(re.findall(r"[\w/]+\.md$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    assert navigation == {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}


def test_tables_that_guides_repeat_are_those_of_their_source():
    for guide, source in (("choosing", "course"), ("report", "results")):
        lines = (ROOT / "docs" / f"{source}.md").read_text().splitlines()
        repeated = re.findall(r"^\| .*\d\.\d+.* \|$", (ROOT / "docs" / "guides" / f"{guide}.md").read_text(), re.MULTILINE)
        assert repeated and not [line for line in repeated if line not in lines]
