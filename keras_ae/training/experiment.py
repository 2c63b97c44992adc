"""Experiments: complete tables, read from TOML files, and the networks and models they describe.

A table is a `name` plus keyword arguments of the function of that name, or keyword arguments alone where there is no choice.
The signatures are the schema: each parameter of a function whose annotation has bounds, such as `Annotated[float, Gt(0)]`, is a
key; the program sets the others. Anything else is a UserError of one line.
"""

import contextlib
import dataclasses
import difflib
import functools
import importlib
import inspect
import math
import os
import random
import tomllib
import typing
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, Self

import keras
import pydantic
import tensorflow as tf
from annotated_types import Ge, Le, MaxLen, MinLen

from keras_ae import training
from keras_ae.data.tasks import TASKS, Variation, identity
from keras_ae.errors import UserError, explain
from keras_ae.images.pictures import WHITE
from keras_ae.models.latents import LATENTS
from keras_ae.models.losses import RECONSTRUCTIONS, Likelihood
from keras_ae.models.networks import CONDITIONS, DECODERS, ENCODERS, ImageShape, is_conditional
from keras_ae.models.objectives import OBJECTIVES
from keras_ae.models.optimizers import OPTIMIZERS, SCHEDULES, Rate, Share
from keras_ae.models.refiner import Refiner, critic, optimizers
from keras_ae.models.vae import VAE
from keras_ae.priors.mixture import PRIORS, Flow, Mixture
from keras_ae.training import devices

Text = Annotated[str, pydantic.StringConstraints(max_length=4096, pattern=r"^[^\x00]*$")]
Side = Annotated[int, Ge(8), Le(256)]
Images = Annotated[int, Ge(0), Le(10**9)]
Steps = Annotated[int, Ge(1), Le(10**9)]
Epochs = Annotated[int, Ge(0), Le(1_000_000)]


class Table(pydantic.BaseModel):
    """A table of an experiment file: strict types, finite numbers, and no keys but these."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


@functools.cache
def table_of(function: Callable[..., Any], base: type[Table] = Table) -> type[Table]:
    """The table whose keys are the parameters of a function with bounds, after those of `base`."""
    parameters = inspect.signature(function).parameters.items()
    keys = {name: (p.annotation, p.default) for name, p in parameters if typing.get_origin(p.annotation) is Annotated}
    return pydantic.create_model(function.__name__, __base__=base, **keys)


class Uses(Table):
    """A module that adds networks, likelihoods or data sets to their dicts when it is imported, such as `course.music`."""

    module: Text | None = None


# shift, scale and rotation
Moves = table_of(Variation)


def _check_size(size):
    """A side, or [height, width]; two equal sides are one."""
    sides = size if isinstance(size, list) else [size, size]
    if size is not None and not (len(sides) == 2 and all(type(side) is int and 8 <= side <= 256 for side in sides)):
        raise ValueError("must be a whole number from 8 to 256, or two: [height, width]")
    return size if size is None or sides[0] != sides[1] else sides[0]


class Data(Moves):
    """Which data set, see `keras_ae.data.pipeline.load`, and how its training images are varied: see `data.tasks`."""

    name: Text = "synthetic_cats"
    directory: Text | None = None
    size: Annotated[Side | Annotated[list[Side], MinLen(2), MaxLen(2)] | None, pydantic.BeforeValidator(_check_size)] = None
    channels: Annotated[int, Ge(1), Le(3)] | None = None
    white: Annotated[int, Ge(1), Le(WHITE)] = WHITE
    fit: Literal["crop", "pad", "stretch"] = "crop"
    flip: bool = False

    @property
    def variation(self) -> Variation:
        return Variation(self.flip, self.shift, self.scale, self.rotation)


class Training(Table):
    """How long and how: `patience` epochs without improvement stop the first stage (0: never); a `batch` is of all devices.

    start_from: folder of an export that training begins with. devices, track: see the modules `devices` and `tracking`.
    """

    batch: Annotated[int, Ge(1), Le(65536)] = 64
    epochs: Annotated[int, Ge(1), Le(1_000_000)] = 20
    patience: Epochs = 0
    seed: Annotated[int, Ge(0), Le(2**31 - 1)] = 0
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "auto"
    devices: Literal["one", "all", "workers"] = "one"
    start_from: Text | None = None
    track: Literal["none", "mlflow", "wandb"] = "none"


class SecondStage(Table):
    """Length of the second stage, and its rates, which fall along half a cosine to a share `final`. `batch`: real images."""

    epochs: Epochs = 0
    batch: Annotated[int, Ge(2), Le(65536)] = 32
    learning_rate: Rate = 5e-4
    critic_learning_rate: Rate = 1e-3
    final: Share = 1.0


class SmallData(Table):
    """Other values below `images` training images (0: never), for what the command line leaves open.

    steps: of the first stage, at least. batch, dim: at most. variation: shift, scale and rotation of [data]. refined_from:
    least number of images for a second stage, which then takes 600 steps, at least. Where training starts from an export, it
    takes a lower learning rate, 400 steps, and 1,400 of a second stage, without which images would lose their sharpness.
    """

    images: Images = 0
    steps: Steps = 1500
    batch: Annotated[int, Ge(1), Le(65536)] = 16
    dim: Annotated[int, Ge(1), Le(65536)] = 64
    variation: Moves = Moves(shift=3, scale=0.08, rotation=8)
    refined_from: Images = 0


# tables with a choice of functions: the functions by name, and the default name
CHOICES = {
    "task": (TASKS, "identity"),
    "condition": (CONDITIONS, "none"),
    "encoder": (ENCODERS, "conv"),
    "decoder": (DECODERS, "conv"),
    "latent": (LATENTS, "gaussian"),
    "reconstruction": (RECONSTRUCTIONS, "gaussian_optimal_variance"),
    "objective": (OBJECTIVES, "vae"),
    "optimizer": (OPTIMIZERS, "adam"),
    "schedule": (SCHEDULES, "constant"),
    "prior": ({name: PRIORS[name].fit for name in ("mixture", "flow", "autoregressive")}, "mixture"),
}
# the tables that describe networks
NETWORKS = ("condition", "encoder", "decoder", "latent")
# tables of keyword arguments alone
SINGLE = {"uses": Uses, "data": Data, "training": Training, "small_data": SmallData}
SINGLE |= {"refinement": table_of(Refiner, table_of(critic, SecondStage))}


def shown(value: Any) -> str:
    """`repr` on one line, with the middle left out where it is long."""
    try:
        text = repr(value)
    except ValueError:
        # Python writes no integers of more than 4,300 digits
        text = "an integer of thousands of digits"
    return text if len(text) <= 80 else f"{text[:40]}...{text[-30:]}"


def _unknown(kind, name, known):
    close = difflib.get_close_matches(name[:100], known, n=1) if isinstance(name, str) else []
    hint = f"did you mean '{close[0]}'? " if close else ""
    choice = f"choose one of {', '.join(sorted(known))}" if known else "it has no keys"
    return UserError(f"unknown {kind} {shown(name)}; {hint}{choice}")


def _complete_table(name, given):
    if not isinstance(given, dict):
        raise UserError(f"[{shown(name)[1:-1]}] must be a table of keys and values. Received: {shown(given)}")
    chosen, where = {}, f"[{name}]"
    if name in CHOICES:
        functions, default = CHOICES[name]
        choice = given.get("name", default)
        if not isinstance(choice, str) or choice not in functions:
            raise _unknown(name, choice, functions)
        chosen, where = {"name": choice}, f"[{name}] {choice}:"
    table = table_of(functions[choice]) if chosen else SINGLE[name]
    try:
        complete = table.model_validate({key: value for key, value in given.items() if key not in chosen})
    except pydantic.ValidationError as error:
        mistake = error.errors(include_url=False)[0]
        if mistake["type"] == "extra_forbidden":
            raise _unknown(f"key in {where}", mistake["loc"][-1], table.model_fields) from None
        key = ".".join(part for part in mistake["loc"] if isinstance(part, str))
        text = mistake["msg"].replace("Input should be", "must be", 1).removeprefix("Value error, ")
        colon = "" if text.startswith("must") else ":"
        raise UserError(f"{where} {key}{colon} {text}. Received: {shown(mistake['input'])}") from None
    # JSON has lists, as TOML does, where signatures have tuples
    return chosen | complete.model_dump(mode="json")


@contextlib.contextmanager
def _defaults(seed, precision):
    """Inside the block, Keras builds layers of this dtype policy whose weights depend on the seed alone."""
    policy, numbers = keras.config.dtype_policy(), random.getstate()
    keras.config.set_dtype_policy(precision)
    # initializers without a seed draw one from here
    random.seed(seed)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
        random.setstate(numbers)


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A complete experiment: every table with every key. Build networks and models from it; a seed gives the same weights.

    chosen: "table.key" of the values that the user gave on the command line, which nothing replaces.
    """

    name: str
    tables: dict[str, dict[str, Any]]
    chosen: frozenset[str] = frozenset()

    @property
    def training(self) -> Training:
        return Training(**self.tables["training"])

    @property
    def data(self) -> Data:
        return Data(**self.tables["data"])

    @property
    def second_stage(self) -> SecondStage:
        return SecondStage(**{key: self.tables["refinement"][key] for key in SecondStage.model_fields})

    @property
    def latent_dim(self) -> int:
        """Length of a code."""
        return self.tables["latent"]["dim"]

    @property
    def precision(self) -> str:
        """The dtype policy of training: "auto" is mixed_bfloat16 where the GPUs, or else the processor, have it; or float32."""
        wanted = self.training.precision
        return wanted if wanted != "auto" else "mixed_bfloat16" if devices.has_fast_bfloat16() else "float32"

    def with_tables(self, **tables: dict[str, Any]) -> Self:
        """The same experiment with other values of these tables."""
        return dataclasses.replace(self, tables=self.tables | {name: self.tables[name] | tables[name] for name in tables})

    def task(self) -> Callable[..., tf.Tensor] | None:
        """What the encoder is shown: images, seed -> inputs; None where it is the images themselves."""
        arguments = dict(self.tables["task"])
        function = TASKS[arguments.pop("name")]
        return None if function is identity else functools.partial(function, **arguments)

    def _make(self, table, *arguments, **others):
        """What the function of a table makes of its keys and these arguments; errors are one line that names them."""
        keys = dict(self.tables[table])
        function = CHOICES[table][0][keys.pop("name")]
        kinds = (tf.errors.OpError, ValueError, TypeError, ArithmeticError, LookupError, MemoryError)
        received = ", ".join(f"{key} = {shown(value)}" for key, value in self.tables[table].items())
        with explain(f"[{table}] {received} cannot be built", *kinds):
            return function(*arguments, **others, **keys)

    def networks(self, shape: ImageShape, classes: int = 0, precision: str = "float32") -> tuple[keras.Model, keras.Model]:
        """The encoder and decoder for images of `shape` (H, W, C) in so many classes, freshly initialized."""
        task = self.task()
        height, width, channels = shape if task is None else task(tf.zeros((1, *shape)), (0, 0)).shape[1:]

        def make_encoder(latent, planes):
            return self._make("encoder", (height, width, channels + planes), latent)

        def make_decoder(latent_dim):
            return self._make("decoder", shape, latent_dim)

        with _defaults(self.training.seed, precision):
            return self._make("condition", make_encoder, make_decoder, self._make("latent"), classes)

    def likelihood(self) -> Likelihood:
        return Likelihood(**self.tables["reconstruction"])

    def objective(self, encoder: keras.Model, decoder: keras.Model) -> VAE:
        """The model of the first stage, from its networks."""
        return self._make("objective", encoder, decoder, self.likelihood(), seed=self.training.seed)

    def model(self, shape: ImageShape, steps_per_epoch: int, classes: int = 0) -> tuple[VAE, list[keras.callbacks.Callback]]:
        """A compiled model, and the callbacks that its learning-rate schedule needs."""
        encoder, decoder = self.networks(shape, classes, self.precision)
        with _defaults(self.training.seed + 1, self.precision):
            model = self.objective(encoder, decoder)
        learning_rate, callbacks = self._make("schedule", steps_per_epoch, self.training.epochs)
        # Keras' "auto" would try XLA on CPUs too
        model.compile(optimizer=self._make("optimizer", learning_rate), jit_compile=devices.compiles())
        model.optimizer.build(model.trainable_variables)
        return model, callbacks

    def refined(
        self, encoder: keras.Model, decoder: keras.Model, prior: Flow | Mixture, steps_per_epoch: int, classes: int = 0
    ) -> Refiner:
        """The compiled second stage, from networks and a prior that the first stage made, for images in so many classes."""
        second, seed = self.second_stage, self.training.seed
        table = self.tables["refinement"]
        parts, numbers = ({key: table[key] for key in table_of(function).model_fields} for function in (critic, Refiner))
        beta = self.tables["objective"].get("beta", 1.0)
        with _defaults(seed, self.precision):
            judge = critic(decoder.output_shape[1:], classes if is_conditional(decoder) else 0, **parts)
            model = Refiner(encoder, decoder, judge, prior, self.likelihood(), beta=beta, seed=seed, **numbers)
            rates = second.learning_rate, second.critic_learning_rate
            model.compile(*optimizers(*rates, steps_per_epoch * second.epochs, second.final), jit_compile=devices.compiles())
        return model

    def values(self) -> dict[str, Any]:
        """{"table.key": value} of every table."""
        return {f"{table}.{key}": value for table, keys in self.tables.items() for key, value in keys.items()}

    def differences(self, other: Self) -> dict[str, tuple[Any, Any]]:
        """{"table.key": (value here, value there)} of what another experiment has otherwise."""
        ours = self.values()
        return {path: (ours.get(path), value) for path, value in other.values().items() if ours.get(path) != value}

    def adapt(self, n_train: int) -> tuple[Self, str | None]:
        """The experiment for so many training images, and a line that says what [small_data] changed, or None."""
        small, starts, second = SmallData(**self.tables["small_data"]), self.training.start_from, self.second_stage
        adapted, reasons = self, []

        def propose(table, **values):
            nonlocal adapted
            free = {key: value for key, value in values.items() if f"{table}.{key}" not in self.chosen}
            adapted = adapted.with_tables(**{table: free})

        def epochs(stage, steps, least=1):
            return max(least, math.ceil(steps / max(1, n_train // stage.batch)))

        if n_train < small.images:
            reasons.append(f"{n_train:,} training images are few")
            if not starts:
                propose("latent", dim=min(small.dim, self.latent_dim))
            propose("data", **small.variation.model_dump())
            # an epoch has eight steps, at least: each ends with a look at the held-out images, and is saved
            propose("training", batch=min(small.batch, max(1, n_train // 8)))
            propose("training", epochs=epochs(adapted.training, small.steps, self.training.epochs))
            if n_train < small.refined_from and not starts:
                propose("refinement", epochs=0)
            if adapted.second_stage.epochs:
                propose("refinement", batch=min(second.batch, max(2, n_train)))
                propose("refinement", epochs=epochs(adapted.second_stage, 600, second.epochs))
        if starts and small.images:
            reasons.append(f"training starts from {starts}")
            propose("training", epochs=epochs(adapted.training, 400))
            # its weights are near the end of their way, and a higher rate would lose them
            if "learning_rate" in self.tables["schedule"]:
                propose("schedule", learning_rate=0.0005)
            if second.epochs:
                propose("refinement", epochs=epochs(adapted.second_stage, 1400))
        changes = [f"{path}={value:g}" for path, (_, value) in self.differences(adapted).items()]
        line = f"{' and '.join(reasons)}: {', '.join(changes)} ([small_data]; --set keeps yours)"
        return adapted, line if changes else None

    def summary(self) -> str:
        """What is trained, in one line."""
        tables, training, second = self.tables, self.training, self.second_stage
        networks = f"encoder {tables['encoder']['name']}, decoder {tables['decoder']['name']}, {self.latent_dim} numbers"
        refined = f", then {second.epochs} of {second.batch} with a critic" if second.epochs else ""
        start = f", starting from {training.start_from}" if training.start_from else ""
        return f"{networks}, {training.epochs} epochs of batches of {training.batch}{refined}{start}"


def complete(name: str, tables: dict[str, Any], chosen: Iterable[str] = ()) -> Experiment:
    """An Experiment from tables as a file gives them: every name, key and value checked, every default filled in."""
    known = (*CHOICES, *SINGLE)
    for table in tables:
        if table not in known:
            raise _unknown("table", table, known)
    # first, because other tables may name what the module adds
    if module := _complete_table("uses", tables.get("uses", {}))["module"]:
        where = "python -m keras_ae.train finds those of the current folder"
        with explain(f"[uses] module = {shown(module)} cannot be imported ({where})", ImportError, TypeError, ValueError):
            importlib.import_module(module)
    return Experiment(name, {table: _complete_table(table, tables.get(table, {})) for table in known}, frozenset(chosen))


def _toml_value(text):
    try:
        read = tomllib.loads(f"value = {text}")
    # ValueError is what int() raises for thousands of digits, too
    except (ValueError, RecursionError):
        return text
    return read["value"] if len(read) == 1 else text


def read(path: str | os.PathLike, overrides: Iterable[str] = ()) -> Experiment:
    """Read an experiment file, apply overrides "table.key=value" in order, and complete it. Raises UserError.

    path: or the name of a file of the package, such as "vae". Overrides are TOML values, or plain text where that fails.
    """
    found, chosen = training.find_experiment(path), []
    with explain(f"{found} is not valid TOML", ValueError, RecursionError):
        tables = tomllib.loads(found.read_text(encoding="utf-8"))
    for override in overrides:
        name, equals, text = override.partition("=")
        table, dot, key = name.strip().partition(".")
        if not (equals and dot and key):
            raise UserError(f"an override is table.key=value, such as training.epochs=5. Received: {shown(override)}")
        # what is no table is refused below
        if isinstance(tables.setdefault(table, {}), dict):
            tables[table][key] = _toml_value(text.strip())
        chosen.append(f"{table}.{key}")
    return complete(found.stem, tables, chosen)
