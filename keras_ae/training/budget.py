"""A budget in minutes: as many epochs of both stages as this machine can train in it, from the speed of a few steps."""

import dataclasses
import time

import keras
import numpy as np

from keras_ae.data import pipeline
from keras_ae.errors import UserError
from keras_ae.priors import mixture
from keras_ae.training import devices

# of the steps that are timed, and of the held-out ones; seconds that the prior and the pictures take
STEPS, HELD_OUT, OTHERS = 20, 4, 60


@dataclasses.dataclass(frozen=True)
class Speed:
    """Seconds on this machine: `spent` on measuring, `first` and `second` for an epoch of each stage, `rest` for the others.

    The rest is compiling, the prior, measures and pictures.
    """

    spent: float
    first: float
    second: float
    rest: float

    def total(self, first, second):
        """Seconds of so many epochs of both stages and everything else."""
        return self.spent + self.rest + first * self.first + second * self.second


def time_steps(function, batches, steps):
    """Seconds of the first call of a function of Keras on an iterator of batches, which compiles, and of a later one."""
    times = [time.monotonic()]
    for _ in range(1 + steps):
        # numbers of a GPU are waited for
        keras.tree.map_structure(float, function(batches))
        times.append(time.monotonic())
    first, *later = np.diff(times)
    return first, np.mean(later)


def time_stage(model, image_set, experiment, batch, variation):
    """Seconds until a model has compiled, of an epoch, and of a held-out batch. The arguments are those of `fit.fit_stage`."""
    strategy = model.distribute_strategy
    training, held_out, evaluated = devices.datasets(strategy, image_set, experiment, batch, 0, variation)
    training, held_out = (iter(strategy.experimental_distribute_dataset(one)) for one in (training, held_out.repeat()))
    compiling, step = time_steps(model.make_train_function(), training, STEPS)
    starting, evaluating = time_steps(model.make_test_function(), held_out, HELD_OUT)
    return compiling + starting, step * (image_set.n_train // batch) + evaluating * evaluated, evaluating


def measure(experiment, image_set, strategy):
    """The `Speed` of an experiment on a data set."""
    began, second, classes = time.monotonic(), experiment.second_stage, len(image_set.labels)
    batch, variation = experiment.training.batch, experiment.data.variation
    with strategy.scope():
        model, _ = experiment.model(image_set.shape, image_set.n_train // batch, classes)
    rest, first, evaluating = time_stage(model, image_set, experiment, batch, variation)
    compiling, later = 0.0, 0.0
    if second.epochs:
        with strategy.scope():
            model = experiment.refined(model.encoder, model.decoder, mixture.Normal(experiment.latent_dim), 1000, classes)
        compiling, later, _ = time_stage(model, image_set, experiment, second.batch, variation.sharp)
    # codes of the prior and of PCA, held-out images with both
    passes = evaluating / batch * (2 * min(image_set.n_train, pipeline.SAMPLED) + 2 * image_set.n_test)
    return Speed(time.monotonic() - began, first, later, rest + compiling + passes + OTHERS)


def choose(experiment, speed, minutes):
    """Epochs of both stages, in the proportion of the experiment, that end within so many minutes.

    The first stage has one epoch, at least. Raises UserError where that does not fit.
    """
    most, later = experiment.training.epochs, experiment.second_stage.epochs
    parts = max(most, later)
    for part in range(parts, -1, -1):
        first, second = max(1, round(most * part / parts)), round(later * part / parts)
        if speed.total(first, second) <= 60 * minutes:
            return first, second
    least = speed.total(1, 0) / 60
    raise UserError(f"one epoch with all that follows takes about {least:.1f} minutes here, more than `minutes`, {minutes:g}")


def fit_into(experiment, image_set, strategy, minutes):
    """Epochs of both stages of an experiment of `read` that fit into so many minutes, and a line that says what they mean."""
    if experiment.training.devices == "workers":
        raise UserError("`minutes` measures one machine, not the workers of a training; choose training.epochs")
    print(f"measuring the speed of this machine, to train for {minutes:g} minutes ...", flush=True)
    whole, _ = experiment.adapt(image_set.n_train)
    speed = measure(whole, image_set, strategy)
    first, second = choose(whole, speed, minutes)
    parts = [f"{first} of {whole.training.epochs} epochs"]
    if later := whole.second_stage.epochs:
        parts.append(f"{second} of {later} of the second stage")
    line = f"{minutes:g} minutes on this machine: {', '.join(parts)}; about {speed.total(first, second) / 60:.1f} minutes"
    return first, second, line
