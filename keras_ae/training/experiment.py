"""Experiments: complete tables, read from TOML files, and the networks and models they describe."""

import contextlib
import dataclasses
import functools
import os
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

import keras
import tensorflow as tf

from keras_ae.data.tasks import identity
from keras_ae.errors import UserError
from keras_ae.models.losses import Likelihood
from keras_ae.models.networks import ImageShape, is_conditional
from keras_ae.models.refiner import Refiner, critic, optimizers
from keras_ae.models.vae import VAE
from keras_ae.priors.priors import Flow, Mixture
from keras_ae.training import checks, devices, named
from keras_ae.training.few import Few
from keras_ae.training.schema import CHOICES, RENAMED_TABLES, Data, SecondStage, Training, completed, renamed, shown

# characters of an experiment file: a hundred times as many as the longest here
LARGEST = 200_000


def _toml_value(text):
    try:
        read = tomllib.loads(f"value = {text}")
    # ValueError is what int() raises for thousands of digits, too
    except (ValueError, RecursionError):
        return text
    return read["value"] if len(read) == 1 else text


def _overridden(tables, overrides):
    for override in overrides:
        path, equals, text = override.partition("=")
        table, dot, key = path.strip().partition(".")
        if not (equals and dot and key):
            raise UserError(f"--set takes table.key=value, such as training.epochs=5. Received: {shown(override)}")
        table = RENAMED_TABLES.get(table, table)
        tables.setdefault(table, {})
        if not isinstance(tables[table], dict):
            raise UserError(f"[{shown(table)[1:-1]}] must be a table of keys and values. Received: {shown(tables[table])}")
        tables[table][key] = _toml_value(text.strip())
    return tables


def has_bfloat16():
    """Whether this processor multiplies bfloat16 natively (Linux; elsewhere False)."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
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
    """A complete experiment: its name and every table with every key. Build networks and models from it.

    chosen: "table.key" of the values that the user gave on the command line, which nothing replaces.
    """

    name: str
    tables: dict[str, dict[str, Any]]
    chosen: frozenset[str] = frozenset()

    @property
    def training(self) -> Training:
        """The table [training]."""
        return Training(**self.tables["training"])

    @property
    def data(self) -> Data:
        """The table [data]."""
        return Data(**self.tables["data"])

    @property
    def few(self) -> Few:
        """The table [few]."""
        return Few(**self.tables["few"])

    @property
    def second_stage(self) -> SecondStage:
        """Epochs and batch of the second stage."""
        return SecondStage(**{key: self.tables["refinement"][key] for key in ("epochs", "batch")})

    def with_data(self, name: str, directory: str | None) -> Self:
        """The same experiment on another data set."""
        return dataclasses.replace(
            self, tables=self.tables | {"data": self.tables["data"] | {"name": name, "directory": directory}}
        )

    @property
    def latent_dim(self) -> int:
        """Length of a code."""
        return self.tables["latent"]["dim"]

    @property
    def precision(self) -> str:
        """The dtype policy of training: "auto" is mixed_bfloat16 where the GPUs, or else the processor, have it; or float32."""
        wanted = self.training.precision
        if wanted != "auto":
            return wanted
        return "mixed_bfloat16" if devices.has_fast_bfloat16(has_bfloat16()) else "float32"

    def _named(self, table):
        arguments = dict(self.tables[table])
        return CHOICES[table][0][arguments.pop("name")], arguments

    def task(self) -> Callable[..., tf.Tensor] | None:
        """What the encoder is shown: images, seed[, rows] -> inputs; None where it is the images themselves."""
        function, arguments = self._named("task")
        return None if function is identity else functools.partial(function, **arguments)

    def _building(self, table):
        """The errors of what a table describes, as one line that names the table and its keys."""
        keys = ", ".join(f"{key} = {shown(value)}" for key, value in self.tables[table].items())
        return checks.building(f"[{table}] {keys} cannot be built")

    def _input_shape(self, shape):
        task = self.task()
        return shape if task is None else tuple(task(tf.zeros((1, *shape)), (0, 0)).shape[1:])

    def networks(self, shape: ImageShape, classes: int = 0, precision: str = "float32") -> tuple[keras.Model, keras.Model]:
        """The encoder and decoder for images of `shape` (H, W, C) in so many classes, freshly initialized."""
        with _policy(precision):
            with self._building("latent"):
                make_latent, arguments = self._named("latent")
                latent = make_latent(**arguments)
            with self._building("task"):
                height, width, channels = self._input_shape(shape)

            def make_encoder(latent, planes):
                make, arguments = self._named("encoder")
                with self._building("encoder"):
                    return make((height, width, channels + planes), latent, **arguments)

            def make_decoder(latent_dim):
                make, arguments = self._named("decoder")
                with self._building("decoder"):
                    return make(shape, latent_dim, **arguments)

            condition, arguments = self._named("condition")
            with self._building("condition"):
                return condition(make_encoder, make_decoder, latent, classes, **arguments)

    def likelihood(self) -> Likelihood:
        """The reconstruction likelihood: images, reconstructions -> nats (batch,)."""
        return Likelihood(**self.tables["reconstruction"])

    def model(self, shape: ImageShape, steps_per_epoch: int, classes: int = 0) -> tuple[VAE, list[keras.callbacks.Callback]]:
        """A compiled model, and the callbacks that its learning-rate schedule needs."""
        keras.utils.set_random_seed(self.training.seed)
        encoder, decoder = self.networks(shape, classes, self.precision)
        with self._building("objective"):
            make_model, arguments = self._named("objective")
            model = make_model(encoder, decoder, self.likelihood(), seed=self.training.seed, **arguments)
        with self._building("schedule"):
            make_schedule, arguments = self._named("schedule")
            learning_rate, callbacks = make_schedule(steps_per_epoch, self.training.epochs, **arguments)
        with self._building("optimizer"):
            make_optimizer, arguments = self._named("optimizer")
            # Keras' "auto" would try XLA on CPUs too
            model.compile(optimizer=make_optimizer(learning_rate, **arguments), jit_compile=devices.compiles())
        return model, callbacks

    def refined(self, encoder: keras.Model, decoder: keras.Model, prior: Flow | Mixture, classes: int = 0) -> Refiner:
        """The compiled second stage, from networks and a prior that the first stage made, for images in so many classes."""
        keras.utils.set_random_seed(self.training.seed)
        arguments = {key: value for key, value in self.tables["refinement"].items() if key not in ("epochs", "batch")}
        rates = [arguments.pop(key) for key in ("learning_rate", "critic_learning_rate")]
        beta = self.tables["objective"].get("beta", 1.0)
        with _policy(self.precision), self._building("refinement"):
            judge = critic(decoder.output_shape[1:], classes if is_conditional(decoder) else 0)
            model = Refiner(encoder, decoder, judge, prior, self.likelihood(), beta=beta, seed=self.training.seed, **arguments)
            model.compile(*optimizers(*rates), jit_compile=False)
            return model


def complete(name, tables):
    """An Experiment from tables as a file gives them: every name, key and value checked, every default filled in."""
    return Experiment(name, completed(tables))


def _tables(path):
    with open(path, encoding="utf-8") as file:
        # not all of a file without an end, such as /dev/zero
        text = file.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise UserError(f"{path} is no experiment file: it has more than {LARGEST:,} characters")
    return tomllib.loads(text)


def read(path: str | os.PathLike, overrides: Iterable[str] = ()) -> Experiment:
    """Read an experiment file, apply overrides "table.key=value" in order, and complete it. Raises UserError.

    path: of a file, or the name of one that the package contains, such as "vae". Overrides are read as TOML values,
    or as plain text where that fails.
    """
    found = named.found(path)
    try:
        tables = _tables(found)
    except RecursionError:
        raise UserError(f"{found} is not valid TOML: its brackets are nested too deeply") from None
    # those of tomllib and of decoding, and what int() raises for thousands of digits, with advice to programmers at the end
    except ValueError as error:
        raise UserError(f"{found} is not valid TOML: {checks.first_line(error).partition('; use sys.')[0]}") from None
    asked = complete(found.stem, _overridden(renamed(tables), overrides))
    chosen = renamed(_overridden({}, overrides))
    asked = dataclasses.replace(asked, chosen=frozenset(f"{table}.{key}" for table, keys in chosen.items() for key in keys))
    if asked.data.size:
        # else the data set gives the size: `loop.check_size`
        checks.check_tables(asked.tables, (asked.data.size, asked.data.size))
    return asked
