"""Type hints of the public interface: complete, resolvable, and as type checkers see the lazy package."""

import ast
import inspect
import typing
from pathlib import Path

import pytest

import keras_ae
from keras_ae.training.experiment import Experiment

# the public names, and the class that `read` returns
PUBLIC = {name: getattr(keras_ae, name) for name in keras_ae.__all__ if not name.startswith("__")} | {"Experiment": Experiment}


def functions_of(public):
    """{name: function} of a function, or of a class: its public methods and properties that keras_ae defines."""
    if inspect.isfunction(public):
        return {public.__name__: public}
    members = {}
    for owner in public.__mro__:
        if owner.__module__.startswith("keras_ae"):
            for name, member in vars(owner).items():
                function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
                if inspect.isfunction(function) and (not name.startswith("_") or name in ("__init__", "__call__")):
                    members.setdefault(name, function)
    return members


@pytest.mark.parametrize("name", PUBLIC)
def test_every_parameter_and_result_of_the_public_interface_has_a_type(name):
    functions = functions_of(PUBLIC[name])
    assert functions
    for function in functions.values():
        hints = typing.get_type_hints(function, include_extras=True)
        expected = {key for key in inspect.signature(function).parameters if key not in ("self", "cls")}
        # that of __init__ is None
        expected |= set() if function.__name__ == "__init__" else {"return"}
        assert not expected - set(hints), f"{name}.{function.__name__}"


def test_type_checkers_are_shown_the_lazy_names_where_they_are_defined():
    tree = ast.parse(Path(keras_ae.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    imported = [(alias, node) for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    # `as` with the same name, or an assignment: PEP 484 keeps other imports private
    shown = {alias.asname: (node.module, alias.name) for alias, node in imported if alias.asname == alias.name}
    private = {alias.name: (node.module, alias.name) for alias, node in imported if alias.asname is None}
    shown |= {node.targets[0].id: private[node.value.id] for node in block.body if isinstance(node, ast.Assign)}
    names = {name: place.partition(":") for name, place in keras_ae._NAMES.items()}
    assert shown == {name: (f"keras_ae.{module}", attribute or name) for name, (module, _, attribute) in names.items()}
