"""Experiment files: TOML tables that name functions and give their keyword arguments.

A table is a `name` plus keyword arguments of the function of that name, or keyword arguments alone where there is no choice.
The functions' signatures are the schema: an unknown key, an unknown name or a wrong type is a UserError. Overrides
"table.key=value" are read as TOML values, or as plain text where that fails.
"""

import contextlib
import dataclasses
import difflib
import inspect
import math
import tomllib
import types
import typing
from pathlib import Path

import keras
import tensorflow as tf

from keras_ae.codes import priors
from keras_ae.data.tasks import TASKS, identity
from keras_ae.errors import UserError
from keras_ae.models import losses, networks
from keras_ae.models.adversarial_autoencoder import MatchedAutoencoder
from keras_ae.models.latents import LATENTS
from keras_ae.models.networks import CONDITIONS, DECODERS, ENCODERS
from keras_ae.models.optimizers import OPTIMIZERS, SCHEDULES
from keras_ae.models.refinement import AdversarialVAE
from keras_ae.models.vae import VAE

PRECISIONS = ("auto", "float32", "mixed_bfloat16")
POSITIVE = {"batch", "epochs", "dim", "widths", "factor", "every", "learning_rate", "scale", "variance", "components"}
POSITIVE |= {"critic_learning_rate", "discriminator_learning_rate", "width"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    """Which pictures: see `keras_ae.data.load`; `flip` and `shift` vary the training pictures (`keras_ae.data.training`)."""

    name: str = "synthetic_cats"
    directory: str | None = None
    size: int | None = None
    channels: int | None = None
    flip: bool = False
    shift: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """How long and how: `patience` epochs without improvement stop a run (0: never), pictures every `pictures_every` epochs."""

    batch: int = 64
    epochs: int = 20
    patience: int = 0
    seed: int = 0
    precision: str = "auto"
    pictures_every: int = 5


# Tables with a choice of functions, and tables with one.
OBJECTIVES = {"elbo": VAE, "matched": MatchedAutoencoder}
CHOICES = {
    "task": TASKS,
    "condition": CONDITIONS,
    "encoder": ENCODERS,
    "decoder": DECODERS,
    "latent": LATENTS,
    "reconstruction": losses.RECONSTRUCTIONS,
    "objective": OBJECTIVES,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
}
DEFAULT_NAMES = {
    "task": "identity",
    "condition": "none",
    "objective": "elbo",
    "encoder": "conv",
    "decoder": "conv",
    "latent": "gaussian",
    "reconstruction": "gaussian_optimal_variance",
    "optimizer": "adam",
    "schedule": "constant",
}
SINGLE = {"data": Data, "training": Training, "prior": priors.fit, "adversarial": AdversarialVAE}


def _listed(names):
    return ", ".join(sorted(names))


def _unknown(kind, name, known):
    close = difflib.get_close_matches(str(name), known, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return UserError(f"unknown {kind} '{name}'; {hint}choose one of {_listed(known)}")


def _schema(function):
    parameters = inspect.signature(function).parameters.values()
    # an unannotated one is set by the program
    return {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY and p.annotation is not p.empty}


def _fits(value, annotation):
    if isinstance(annotation, types.UnionType):
        return any(_fits(value, option) for option in typing.get_args(annotation))
    if typing.get_origin(annotation) is list:
        return isinstance(value, list) and value and all(_fits(item, *typing.get_args(annotation)) for item in value)
    if isinstance(value, bool) or annotation is bool:
        return annotation is bool and isinstance(value, bool)
    if annotation is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return value is None if annotation is types.NoneType else isinstance(value, annotation)


def _type_name(annotation):
    return getattr(annotation, "__name__", str(annotation)) if not typing.get_args(annotation) else str(annotation)


def _check_value(where, key, value, annotation, default):
    if not _fits(value, annotation):
        raise UserError(f"{where} {key} must be of type {_type_name(annotation)}. Received: {value!r}")
    for number in value if isinstance(value, list) else [value]:
        # where the default is 0, nothing is asked for
        positive = key in POSITIVE and default != 0
        if isinstance(number, int | float) and (number < 0 or (number == 0 and positive)):
            least = "above 0" if positive else "0 or more"
            raise UserError(f"{where} {key} must be {least}. Received: {value!r}")


def _complete(where, function, given):
    """The keyword arguments of `function`: those given, checked, and the defaults of the others."""
    schema = _schema(function)
    for key, value in given.items():
        if key not in schema:
            if not schema:
                raise UserError(f"unknown key '{key}' in {where}: it takes no keys")
            raise _unknown(f"key in {where}", key, schema)
        _check_value(where, key, value, schema[key].annotation, schema[key].default)
    complete = {key: given.get(key, parameter.default) for key, parameter in schema.items()}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in complete.items()}


def _complete_table(table, given):
    if not isinstance(given, dict):
        raise UserError(f"[{table}] must be a table of keys and values. Received: {given!r}")
    if table in SINGLE:
        return _complete(f"[{table}]", SINGLE[table], given)
    name = given.get("name", DEFAULT_NAMES[table])
    if not isinstance(name, str) or name not in CHOICES[table]:
        raise _unknown(table, name, CHOICES[table])
    keys = {key: value for key, value in given.items() if key != "name"}
    return {"name": name, **_complete(f"[{table}] {name}:", CHOICES[table][name], keys)}


def _toml_value(text):
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _overridden(tables, overrides):
    for override in overrides:
        path, equals, text = override.partition("=")
        table, dot, key = path.strip().partition(".")
        if not (equals and dot and key):
            raise UserError(f"--set takes table.key=value, such as training.epochs=5. Received: {override!r}")
        tables.setdefault(table, {})
        if not isinstance(tables[table], dict):
            raise UserError(f"[{table}] must be a table of keys and values. Received: {tables[table]!r}")
        tables[table][key] = _toml_value(text.strip())
    return tables


def has_bfloat16():
    """Whether this processor multiplies bfloat16 natively (Linux; elsewhere False)."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in text or "amx_bf16" in text


@contextlib.contextmanager
def _policy(precision):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A complete experiment: its name and every table with every key. Build networks and models from it."""

    name: str
    tables: dict

    @property
    def training(self):
        return Training(**self.tables["training"])

    @property
    def data(self):
        return Data(**self.tables["data"])

    def with_data(self, name, directory):
        """The same experiment on other pictures."""
        return dataclasses.replace(
            self, tables=self.tables | {"data": self.tables["data"] | {"name": name, "directory": directory}}
        )

    @property
    def latent_dim(self):
        return self.tables["latent"]["dim"]

    @property
    def precision(self):
        """The dtype policy to train in: "auto" is mixed_bfloat16 where the processor has it, else float32."""
        asked = self.training.precision
        return asked if asked != "auto" else "mixed_bfloat16" if has_bfloat16() else "float32"

    def _named(self, table):
        arguments = dict(self.tables[table])
        return CHOICES[table][arguments.pop("name")], arguments

    def task(self):
        """What the encoder is shown: images, seed -> inputs; None where it is the images themselves."""
        function, arguments = self._named("task")
        return None if function is identity else lambda images, seed: function(images, seed, **arguments)

    def _input_shape(self, shape):
        task = self.task()
        return shape if task is None else tuple(task(tf.zeros((1, *shape)), (0, 0)).shape[1:])

    def networks(self, shape, classes=0, precision="float32"):
        """The encoder and decoder for pictures of `shape` (H, W, C) in so many classes, freshly initialised."""
        with _policy(precision):
            make_latent, arguments = self._named("latent")
            latent = make_latent(self.training.seed, **arguments)
            height, width, channels = self._input_shape(shape)
            encoder, for_encoder = self._named("encoder")
            decoder, for_decoder = self._named("decoder")
            condition, arguments = self._named("condition")
            return condition(
                lambda latent, planes: encoder((height, width, channels + planes), latent, **for_encoder),
                lambda latent_dim: decoder(shape, latent_dim, **for_decoder),
                latent,
                classes,
                **arguments,
            )

    def likelihood(self):
        """The reconstruction likelihood: images, reconstructions -> nats (batch,)."""
        function, arguments = self._named("reconstruction")
        return lambda images, reconstructions: function(images, reconstructions, **arguments)

    def model(self, shape, steps_per_epoch, classes=0):
        """A compiled model, and the callbacks that its learning-rate schedule needs."""
        keras.utils.set_random_seed(self.training.seed)
        encoder, decoder = self.networks(shape, classes, self.precision)
        make_model, arguments = self._named("objective")
        model = make_model(encoder, decoder, self.likelihood(), **arguments)
        make_schedule, arguments = self._named("schedule")
        learning_rate, callbacks = make_schedule(steps_per_epoch, self.training.epochs, **arguments)
        make_optimizer, arguments = self._named("optimizer")
        # "auto" would try XLA where Keras thinks it pays; on CPUs it was 0.6 times the speed
        model.compile(optimizer=make_optimizer(learning_rate, **arguments), jit_compile=False)
        return model, callbacks

    def refined(self, encoder, decoder, prior):
        """The compiled second stage for networks and a prior that the first one left."""
        keras.utils.set_random_seed(self.training.seed)
        with _policy(self.precision):
            critic = networks.critic(decoder.output_shape[1:])
            arguments = self.tables["adversarial"]
            return AdversarialVAE(encoder, decoder, self.likelihood(), critic, prior, seed=self.training.seed, **arguments)


def complete(name, tables):
    """An Experiment from tables as a file gives them: every name, key and type checked, every default filled in."""
    for table in tables:
        if table not in CHOICES | SINGLE:
            raise _unknown("table", table, CHOICES | SINGLE)
    experiment = Experiment(name, {table: _complete_table(table, tables.get(table, {})) for table in CHOICES | SINGLE})
    if experiment.training.precision not in PRECISIONS:
        raise _unknown("precision", experiment.training.precision, PRECISIONS)
    return experiment


def read(path, overrides=()):
    """Read an experiment file, apply overrides "table.key=value" in order, and complete it. Raises UserError."""
    path = Path(path)
    try:
        tables = tomllib.loads(path.read_text())
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        known = _listed(str(file) for file in Path("experiments").glob("*.toml"))
        raise UserError(f"no experiment file {path}" + (f"; there are {known}" if known else "")) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid TOML: {error}") from None
    return complete(path.stem, _overridden(tables, overrides))
