"""A budget in minutes: as many epochs of both stages as this machine can train in it, from the speed of a few steps."""

import time

import keras
import numpy as np

from keras_ae.data import pipeline
from keras_ae.errors import UserError
from keras_ae.priors import mixture
from keras_ae.training import devices

# of the steps that are timed, and of the held-out ones; seconds that the prior and the pictures take
STEPS, HELD_OUT, OTHERS = 20, 4, 60


def time_steps(function, dataset, strategy, steps):
    """Seconds of the first call of a function of Keras on batches, which compiles, and of a later one."""
    batches, times = iter(strategy.experimental_distribute_dataset(dataset)), [time.monotonic()]
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
    compiling, step = time_steps(model.make_train_function(), training, strategy, STEPS)
    starting, evaluating = time_steps(model.make_test_function(), held_out.repeat(), strategy, HELD_OUT)
    return compiling + starting, step * (image_set.n_train // batch) + evaluating * evaluated, evaluating


def measure(experiment, image_set, strategy):
    """Seconds on this machine of an epoch of each stage, and of everything else: measuring, compiling, prior, pictures."""
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
    return first, later, time.monotonic() - began + rest + compiling + passes + OTHERS


def choose(most, later, seconds, minutes):
    """Epochs of both stages, in the proportion `most` to `later`, that end within so many minutes, and the minutes they take.

    seconds: of `measure`. The first stage has one epoch, at least. Raises UserError where that does not fit.
    """
    parts = max(most, later)
    for part in range(parts, -1, -1):
        first, second = max(1, round(most * part / parts)), round(later * part / parts)
        taken = np.dot((first, second, 1), seconds) / 60
        if taken <= minutes:
            return first, second, taken
    raise UserError(f"one epoch with all that follows takes about {taken:.1f} minutes here, more than `minutes`, {minutes:g}")


def fit_into(experiment, image_set, strategy, minutes):
    """Epochs of both stages of an experiment that fit into so many minutes, and a line that says what they mean."""
    if experiment.training.devices == "workers":
        raise UserError("`minutes` measures one machine, not the workers of a training; choose training.epochs")
    print(f"measuring the speed of this machine, to train for {minutes:g} minutes ...", flush=True)
    most, later = experiment.training.epochs, experiment.second_stage.epochs
    first, second, taken = choose(most, later, measure(experiment, image_set, strategy), minutes)
    refined = f", {second} of {later} of the second stage" if later else ""
    return first, second, f"{minutes:g} minutes on this machine: {first} of {most} epochs{refined}; about {taken:.1f} minutes"
