"""Training from data to pictures: `train` reads from top to bottom as it happens."""

import contextlib
import dataclasses
import math
import tempfile

import keras
import tensorflow as tf

from keras_ae.data import pipeline
from keras_ae.errors import UserError
from keras_ae.exports.load import Exported, load_savedmodel
from keras_ae.files import versions
from keras_ae.priors import mixture
from keras_ae.training import callbacks, devices, results
from keras_ae.training.experiment import NETWORKS, check_shape, explain
from keras_ae.training.run import Run, Stage


def train(experiment, run, show=False):
    """Train an experiment in the folder of a run, to the end: both stages, the prior, measures and pictures.

    experiment: of `experiment.read`. run: a `Run`. One that was interrupted continues after its last whole epoch, with the same
    result. show: whether to open the preview picture when it is first drawn. Raises UserError where the experiment does not
    suit the data, the devices, or what the run began with.
    """
    strategy = devices.open_strategy(experiment.training.devices)
    chief = devices.is_chief(strategy)

    # the data, and what is trained on so much of it
    experiment, origin = adopt_networks(experiment)
    source = experiment.data
    image_set = pipeline.load(source.name, source.directory, source.size, source.channels)
    experiment, changes = experiment.adapt(image_set.n_train)
    check_data(experiment, image_set, strategy.num_replicas_in_sync)
    options, second = experiment.training, experiment.second_stage
    classes, steps = len(image_set.labels), image_set.n_train // options.batch

    with run.lock() if chief else contextlib.nullcontext():
        resumed = run.exists and (run.epochs or chief)
        config = describe(experiment, image_set, origin)
        if resumed:
            check_unchanged(run, config)
        with strategy.scope():
            model, counting = experiment.model(image_set.shape, steps, classes)
            if origin and not run.epochs:
                load_weights(model, origin)
        if chief:
            begins = f"resuming {run} after epoch {run.epochs}" if resumed else f"training {experiment.name} in {run}"
            lines = [*image_set.summary, changes, f"{begins}, {config['precision']}: {experiment.summary()}"]
            print(*filter(None, lines), f"preview {run.preview}, replaced while training", sep="\n")
            run.write_json("config", config)

        # the first stage
        if not has_ended(run.first, options):
            if options.patience:
                counting = [*counting, keras.callbacks.EarlyStopping("val_loss", patience=options.patience, mode="min")]
            epochs, variation = (0, options.epochs, second.epochs), experiment.data.variation
            fit_stage(run, run.first, model, image_set, experiment, epochs, options.batch, variation, counting, show)
            if chief and run.first.epochs < options.epochs:
                print(
                    f"stopped after epoch {run.first.epochs} of {options.epochs}: val_loss has not improved for "
                    f"{options.patience} epochs (training.patience)"
                )

        # the density of its codes
        if chief:
            print("fitting the prior ...")
            results.fit_prior(run, image_set)
        devices.wait(strategy)
        prior = mixture.load_prior(run.prior)

        # the second stage
        first = run.first.epochs
        if run.second.epochs < first + second.epochs and second.epochs:
            with strategy.scope():
                model = experiment.refined(*run.best_networks(experiment.precision, stage=1), prior, classes)
            # interpolated images would teach the critic that real ones are soft
            epochs, variation = (first, first + second.epochs, 0), experiment.data.variation.sharp
            fit_stage(run, run.second, model, image_set, experiment, epochs, second.batch, variation, show=show)

        # measures and pictures
        if chief:
            print("measuring, drawing ...")
            results.finish(run, image_set)
            print(results.summarize(run))
        devices.wait(strategy)


def fit_stage(run, stage, model, image_set, experiment, epochs, batch, variation, counting=(), show=False):
    """Train a stage of a run to its last epoch, from the last one that is saved, or until patience ends it.

    epochs: (first, end, those of a later stage), counted through both stages. variation: of the training images. counting:
    callbacks with counters, which stop training or change the learning rate.
    """
    first, end, later = epochs
    strategy, seed, task = model.distribute_strategy, experiment.training.seed, experiment.task()
    chief, saved = devices.is_chief(strategy), stage.rows()
    if saved:
        first = stage.epochs
        with strategy.scope(), explain(f"{stage.weights(first)} is damaged; train again in a new run", OSError, ValueError):
            model.load_weights(stage.weights(first))
    # every device gets some of the last held-out batch, too
    replicas = strategy.num_replicas_in_sync
    n, size = image_set.n_test - image_set.n_test % replicas, batch - batch % replicas
    training = devices.share(pipeline.training(image_set, batch, seed, first, variation, task), strategy)
    held_out = devices.share(pipeline.batches(image_set, "test", batch, task), strategy, n, size)
    key = "schedule.learning_rate, optimizer.clip_norm=1" if stage is run.first else "refinement.learning_rate"
    with (
        contextlib.closing(callbacks.Progress(end, later)) as progress,
        tempfile.TemporaryDirectory() as elsewhere,
        explain("a batch of [data] and [task] does not suit the model", tf.errors.InvalidArgumentError),
        explain(f"training diverged; a lower {key} or training.precision=float32 helps", RuntimeError),
        strategy.scope(),
    ):
        todo = [keras.callbacks.TerminateOnNaN(raise_error=True), *counting, callbacks.Continue(seed, counting, saved)]
        if chief:
            stage.forget_later_epochs()
            todo += [
                keras.callbacks.CSVLogger(stage.history, append=True),
                keras.callbacks.TensorBoard(str(run.tensorboard), write_graph=False),
                callbacks.Preview(run, pipeline.first_batch(image_set, "test", 64, task), seed, show),
            ]
        # the weights are read from all workers, so that all of them save, and only the chief to the run
        into = run if chief else Run(elsewhere)
        if model.monitor:
            best = {"save_best_only": True, "save_weights_only": True, "mode": "min"}
            best["initial_value_threshold"] = min((row[model.monitor] for row in saved), default=math.inf)
            todo.append(keras.callbacks.ModelCheckpoint(into.best_weights, model.monitor, **best))
        # an epoch is reported only after it is saved
        todo += [callbacks.Save(Stage(into.folder, stage.name)), *([progress] if chief else [])]
        model.fit(
            training,
            validation_data=held_out,
            validation_steps=-(-n // size),
            initial_epoch=first,
            epochs=end,
            steps_per_epoch=image_set.n_train // batch,
            shuffle=False,
            verbose=0,
            callbacks=todo,
        )


def has_ended(stage, options):
    """Whether a first stage has all its epochs, or patience ended it."""
    losses = [row["val_loss"] for row in stage.rows()]
    waited = len(losses) - 1 - losses.index(min(losses)) if losses else 0
    return stage.epochs >= options.epochs or bool(options.patience) and waited >= options.patience


def check_data(experiment, image_set, replicas):
    """UserError if the data set has fewer training images than a batch, or does not suit the tables or so many devices."""
    batches = {"training.batch": experiment.training.batch, "refinement.batch": experiment.second_stage.batch}
    for key, batch in batches.items():
        if key == "refinement.batch" and not experiment.second_stage.epochs:
            continue
        if batch < replicas:
            raise UserError(f"{key} must be at least the number of devices, {replicas}. Received: {batch}")
        if image_set.n_train < batch:
            raise UserError(
                f"{image_set.n_train} training images are fewer than a batch of {batch}; add images, or lower {key}"
            )
    check_shape(experiment, image_set.shape, len(image_set.labels))


def describe(experiment, image_set, origin=None):
    """The config.json of a run of this experiment on this data set. origin: the export that it starts from."""
    data = ("name", "n_train", "n_test", "shape", "labels", "fingerprint", "summary")
    data = {key: list(value) if isinstance(value := getattr(image_set, key), tuple) else value for key in data}
    config = {"experiment": experiment.name, "tables": experiment.tables, "precision": experiment.precision, "data": data}
    if origin:
        known = origin.card.get("data", {})
        started = {"experiment": origin.card.get("experiment")}
        config["started_from"] = started | {key: known.get(key) for key in ("name", "n_train", "fingerprint")}
    return config | {"versions": versions()}


def check_unchanged(run, config):
    """UserError if the run began with other values, another data set or another precision than `config`."""
    begun, tables = run.read_json("config"), run.experiment().tables
    changed = [
        f"{table}.{key} was {tables[table].get(key)!r}, now {value!r}"
        for table, keys in config["tables"].items()
        for key, value in keys.items()
        # a folder may have moved: its contents are compared below; the same batches on other devices are the same training
        if key not in ("directory", "devices") and tables[table].get(key) != value
    ]
    if begun["data"]["fingerprint"] != config["data"]["fingerprint"]:
        changed.append("the data set is not the same")
    if begun["precision"] != config["precision"]:
        changed.append(f"precision was {begun['precision']}, now {config['precision']}")
    if changed:
        raise UserError(f"cannot resume {run}: {'; '.join(changed)}. Use the same values, or train a new run")


def adopt_networks(experiment):
    """The experiment with the networks and the image size of the export that training.start_from names, and that export.

    Without one, the experiment itself and None. Raises UserError where the export does not suit what the user chose.
    """
    folder, tables = experiment.training.start_from, experiment.tables
    if folder is None:
        return experiment, None
    exported = Exported(folder)
    described = exported.card.get("configuration", {})
    if missing := [name for name in NETWORKS if not isinstance(described.get(name), dict)]:
        raise UserError(
            f"cannot start from {folder}: its card does not describe its networks (no [{missing[0]}]); "
            "name an export of python -m keras_ae.export"
        )
    height, _, channels = exported.shape
    for key, value in (("size", height), ("channels", channels)):
        if tables["data"][key] not in (None, value):
            raise UserError(f"cannot start from {folder}: data.{key} is {tables['data'][key]}, the export has {value}")
    if tables["task"]["name"] != exported.task:
        raise UserError(
            f"cannot start from {folder}: it was trained for the task {exported.task}, not {tables['task']['name']}"
        )
    taken = {name: described[name] for name in NETWORKS}
    for path in sorted(experiment.chosen):
        table, _, key = path.partition(".")
        if table in taken and tables[table].get(key) != taken[table].get(key):
            raise UserError(
                f"cannot start from {folder} with {path}={tables[table].get(key)}: its networks have {taken[table].get(key)}; "
                f"leave {path} out"
            )
    taken["data"] = tables["data"] | {"size": height, "channels": channels}
    return dataclasses.replace(experiment, tables=tables | taken), exported


def load_weights(model, exported):
    """Give the networks of a model the weights of an export. Raises UserError where they do not fit."""
    for name, network in (("encoder", model.encoder), ("decoder", model.decoder)):
        saved = load_savedmodel(exported.folder, name)
        # exports of encoders that drew at random have seeds beside their weights
        weights = [variable for variable in getattr(saved, "weights", []) if variable.dtype.is_floating]
        shapes = [[tuple(variable.shape) for variable in each] for each in (weights, network.weights)]
        if shapes[0] != shapes[1]:
            numbers = [f"{sum(map(math.prod, each)):,} numbers in {len(each)} variables" for each in shapes]
            raise UserError(f"cannot start from {exported.folder}: its {name} has {numbers[0]}, the run's has {numbers[1]}")
        for variable, value in zip(network.weights, weights, strict=True):
            variable.assign(value.numpy())
