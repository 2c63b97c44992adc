"""The pages of reference against the code: public names, commands and their options, tables of experiment files."""

import importlib
import re
from pathlib import Path

import keras_ae
from keras_ae.__main__ import commands
from keras_ae.training import schema

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


TOML = {None: "not set", True: "true", False: "false"}


def rows():
    """The rows of tables and keys without their meaning: table, name, key, type, bounds, default."""
    every = [
        (table, name, [function]) for table, (functions, _) in schema.CHOICES.items() for name, function in functions.items()
    ]
    every += [(table, "", functions) for table, functions in schema.SINGLE.items()]
    for table, name, functions in every:
        keys = schema.keys_of(*functions)
        if not keys:
            yield f"| `{table}` | `{name}` | | | | |"
        for key, parameter in keys.items():
            described = schema.described(parameter.annotation)
            default = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
            default = TOML[default] if default is None or isinstance(default, bool) else default
            limits, name_of = ", ".join(described.limits), f"`{name}`" if name else ""
            yield f"| `{table}` | {name_of} | `{key}` | {described.type} | {limits} | {default} |"


def test_the_page_of_tables_is_the_schema():
    page = (REFERENCE / "tables.md").read_text()
    found = [line for line in page.splitlines() if line.startswith("| `")]
    assert [line[: line.rindex("|", 0, -1) + 1] for line in found] == list(rows())
    assert not [line for line in found if len(line.split("|")[-2].strip()) < 5]
    for table, (_, default) in schema.CHOICES.items():
        assert f"`{table}`: `{default}`" in " ".join(page.split())


def test_every_page_is_in_the_navigation():
    navigation = set(re.findall(r"[\w/]+\.md$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    assert navigation == {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}


def test_tables_that_guides_repeat_are_those_of_their_source():
    for guide, source in (("choosing", "course"), ("report", "results")):
        lines = (ROOT / "docs" / f"{source}.md").read_text().splitlines()
        repeated = re.findall(r"^\| .*\d\.\d+.* \|$", (ROOT / "docs" / "guides" / f"{guide}.md").read_text(), re.MULTILINE)
        assert repeated and not [line for line in repeated if line not in lines]
