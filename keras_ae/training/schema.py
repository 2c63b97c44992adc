"""Tables of experiment files: which names and keys there are, their types, bounds and defaults.

A table is a `name` plus keyword arguments of the function of that name, or keyword arguments alone where there is no choice.
The signatures are the schema: of a function, each parameter whose annotation has bounds, such as `Annotated[float, Gt(0)]`, is
a key; the program sets the others. Of a dataclass, every field is a key. The annotation gives type and bounds, the default the
default. Anything else is a UserError.
"""

import collections.abc
import dataclasses
import difflib
import inspect
import math
import reprlib
import types
import typing
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt, MaxLen

from keras_ae.data.tasks import TASKS
from keras_ae.data.variation import Variation
from keras_ae.errors import UserError
from keras_ae.models import sequence  # noqa: F401  registers its networks
from keras_ae.models.adversarial_autoencoder import AdversarialAutoencoder
from keras_ae.models.latents import LATENTS
from keras_ae.models.losses import RECONSTRUCTIONS
from keras_ae.models.networks import CONDITIONS, DECODERS, ENCODERS
from keras_ae.models.optimizers import OPTIMIZERS, SCHEDULES, Rate
from keras_ae.models.refiner import Refiner
from keras_ae.models.vae import VAE
from keras_ae.priors.priors import PRIORS
from keras_ae.training.few import Few

PRECISIONS = ("auto", "float32", "mixed_bfloat16")
DEVICES = ("one", "all", "workers")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    """Which data set: see `keras_ae.data.pipeline.load`; the last four vary the training images: `data.variation`."""

    name: str = "synthetic_cats"
    directory: str | None = None
    size: Annotated[int, Ge(8), Le(256)] | None = None
    channels: Annotated[int, Ge(1), Le(3)] | None = None
    flip: bool = False
    shift: Annotated[float, Ge(0), Le(64)] = 0
    scale: Annotated[float, Ge(0), Le(0.5)] = 0.0
    rotation: Annotated[float, Ge(0), Le(180)] = 0.0

    @property
    def variation(self):
        """How training images are varied."""
        return Variation(self.flip, self.shift, self.scale, self.rotation)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """How long and how: `patience` epochs without improvement stop the first stage (0: never).

    start_from: folder of an export whose networks and weights training begins with, see `training.starting`.
    devices: see `keras_ae.training.devices`; `batch` counts the images of all devices.
    """

    batch: Annotated[int, Ge(1), Le(65536)] = 64
    epochs: Annotated[int, Ge(1), Le(1_000_000)] = 20
    patience: Annotated[int, Ge(0), Le(1_000_000)] = 0
    seed: Annotated[int, Ge(0), Le(2**31 - 1)] = 0
    precision: str = "auto"
    devices: str = "one"
    pictures_every: Annotated[int, Ge(0), Le(1_000_000)] = 5
    start_from: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class SecondStage:
    """Length of the second stage: 0 epochs leave the decoder as the likelihood made it. `batch` counts real images."""

    epochs: Annotated[int, Ge(0), Le(1_000_000)] = 0
    batch: Annotated[int, Ge(2), Le(65536)] = 32
    learning_rate: Rate = 5e-4
    critic_learning_rate: Rate = 1e-3


# tables with a choice of functions: the functions by name, and the default name
CHOICES = {
    "task": (TASKS, "identity"),
    "condition": (CONDITIONS, "none"),
    "encoder": (ENCODERS, "conv"),
    "decoder": (DECODERS, "conv"),
    "latent": (LATENTS, "gaussian"),
    "reconstruction": (RECONSTRUCTIONS, "gaussian_optimal_variance"),
    "objective": ({"vae": VAE, "adversarial": AdversarialAutoencoder}, "vae"),
    "optimizer": (OPTIMIZERS, "adam"),
    "schedule": (SCHEDULES, "constant"),
    "prior": ({name: prior.fit for name, prior in PRIORS.items()}, "mixture"),
}
# tables of keyword arguments alone, of one function or several
SINGLE = {"data": (Data,), "training": (Training,), "few": (Few,), "refinement": (SecondStage, Refiner)}
TABLES = (*CHOICES, *SINGLE)

# what earlier versions called tables and names, and keys that they wrote with these values and that are gone
RENAMED_TABLES = {"adversarial": "refinement"}
RENAMED = {("objective", "matched"): "adversarial"}
REMOVED = {
    ("objective", "free_bits"): 0.0,
    ("optimizer", "weight_decay"): 0.0,
    ("optimizer", "momentum"): 0.95,
    ("optimizer", "beta_2"): 0.999,
}
# characters of a text: longer than any path that a file system takes
LONGEST = 4096
WORDS = {Gt: ("above", "gt"), Ge: ("at least", "ge"), Lt: ("below", "lt"), Le: ("at most", "le")}
COMPARED = {Gt: lambda a, b: a > b, Ge: lambda a, b: a >= b, Lt: lambda a, b: a < b, Le: lambda a, b: a <= b}


class _Short(reprlib.Repr):
    """`repr` on one line, with the middle left out where it is long and the depths where it is deep."""

    def __init__(self):
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = 80
        self.maxlevel = 3

    def repr_int(self, number, level):
        # Python itself writes no integers of more than 4,300 digits
        return super().repr_int(number, level) if abs(number) < 10**100 else f"an integer of {number.bit_length():,} bits"


shown = _Short().repr


def unknown(kind, name, known):
    """The UserError for a name that does not exist."""
    close = difflib.get_close_matches(name[:100], known, n=1) if isinstance(name, str) else []
    hint = f"did you mean '{close[0]}'? " if close else ""
    return UserError(f"unknown {kind} {shown(name)}; {hint}choose one of {', '.join(sorted(known))}")


def keys_of(*functions):
    """The keys of a table: {name: inspect.Parameter} of the fields and of the parameters with bounds of the functions."""
    return {
        name: parameter
        for function in functions
        for name, parameter in inspect.signature(function).parameters.items()
        if dataclasses.is_dataclass(function) or _taken_apart(parameter.annotation)[1]
    }


def _taken_apart(annotation):
    """The type of an annotation, and the bounds of its numbers and of the length of its list."""
    if typing.get_origin(annotation) is Annotated:
        inner, *bounds = typing.get_args(annotation)
        plain, of_items = _taken_apart(inner)
        return plain, [*of_items, *bounds]
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        parts = [_taken_apart(option) for option in typing.get_args(annotation)]
        return typing.Union[tuple(plain for plain, _ in parts)], [bound for _, bounds in parts for bound in bounds]  # noqa: UP007
    if typing.get_origin(annotation) is collections.abc.Sequence:
        plain, bounds = _taken_apart(*typing.get_args(annotation))
        return list[plain], bounds
    return annotation, []


def _fits(value, plain):
    if typing.get_origin(plain) in (typing.Union, types.UnionType):
        return any(_fits(value, option) for option in typing.get_args(plain))
    if typing.get_origin(plain) is list:
        return isinstance(value, list) and value != [] and all(_fits(item, *typing.get_args(plain)) for item in value)
    if isinstance(value, bool) or plain is bool:
        return plain is bool and isinstance(value, bool)
    if plain is float:
        # an integer may be too large for math.isfinite
        return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    return value is None if plain is types.NoneType else isinstance(value, plain)


def _type_name(plain):
    if typing.get_origin(plain) in (typing.Union, types.UnionType):
        return " or ".join(_type_name(option) for option in typing.get_args(plain) if option is not types.NoneType)
    return str(plain) if typing.get_args(plain) else plain.__name__


class Described(typing.NamedTuple):
    """What a key takes, in words: its type, the limits of its numbers; and the most numbers of a list, None for other keys."""

    type: str
    limits: list[str]
    longest: int | None


def described(annotation):
    """The annotation of a key as `Described`."""
    plain, bounds = _taken_apart(annotation)
    words = [(bound, *WORDS[type(bound)]) for bound in bounds if type(bound) in WORDS]
    limits = [f"{word} {getattr(bound, limit):g}" for bound, word, limit in words]
    return Described(_type_name(plain), limits, min((b.max_length for b in bounds if isinstance(b, MaxLen)), default=None))


def _check_value(where, key, value, annotation):
    plain, bounds = _taken_apart(annotation)
    allowed = described(annotation)
    if not _fits(value, plain):
        least = " with at least one number" if value == [] else ""
        raise UserError(f"{where} {key} must be of type {allowed.type}{least}. Received: {shown(value)}")
    if isinstance(value, str) and (len(value) > LONGEST or "\0" in value):
        raise UserError(f"{where} {key} must be a text of at most {LONGEST} characters without NUL. Received: {shown(value)}")
    if isinstance(value, list) and len(value) > allowed.longest:
        raise UserError(f"{where} {key} must have at most {allowed.longest} numbers. Received: {len(value):,}")
    limits = [bound for bound in bounds if type(bound) in WORDS]
    numbers = [number for number in (value if isinstance(value, list) else [value]) if isinstance(number, int | float)]
    if not all(COMPARED[type(bound)](number, getattr(bound, WORDS[type(bound)][1])) for number in numbers for bound in limits):
        raise UserError(f"{where} {key} must be {' and '.join(allowed.limits)}. Received: {shown(value)}")


def _completed(where, functions, given):
    """The keyword arguments of the functions: those given, checked, and the defaults of the others."""
    keys = keys_of(*functions)
    for key, value in given.items():
        if key not in keys:
            raise (
                unknown(f"key in {where}", key, keys)
                if keys
                else UserError(f"unknown key {shown(key)} in {where.rstrip(':')}: it has no keys")
            )
        _check_value(where, key, value, keys[key].annotation)
    complete = {key: given.get(key, parameter.default) for key, parameter in keys.items()}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in complete.items()}


def _completed_table(table, given):
    if not isinstance(given, dict):
        raise UserError(f"[{table}] must be a table of keys and values. Received: {shown(given)}")
    given = {key: value for key, value in given.items() if (table, key) not in REMOVED or value != REMOVED[table, key]}
    if table in SINGLE:
        return _completed(f"[{table}]", SINGLE[table], given)
    functions, default = CHOICES[table]
    name = given.pop("name", default)
    name = RENAMED.get((table, name), name) if isinstance(name, str) else name
    if not isinstance(name, str) or name not in functions:
        raise unknown(table, name, functions)
    return {"name": name, **_completed(f"[{table}] {name}:", [functions[name]], given)}


def renamed(tables):
    """The tables under their present names."""
    return {RENAMED_TABLES.get(table, table): keys for table, keys in tables.items()}


def completed(tables):
    """Every table with every key, from tables as a file gives them: {table: {key: value}}. Raises UserError."""
    tables = renamed(tables)
    for table in tables:
        if table not in TABLES:
            raise unknown("table", table, TABLES)
    complete = {table: _completed_table(table, tables.get(table, {})) for table in TABLES}
    for key, names in (("precision", PRECISIONS), ("devices", DEVICES)):
        if complete["training"][key] not in names:
            raise unknown(f"training.{key}" if key == "devices" else key, complete["training"][key], names)
    return complete
