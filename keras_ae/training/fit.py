"""Training from data to pictures: `train` reads from top to bottom as it happens."""

import contextlib
import dataclasses
import math
import shlex
import tempfile

import keras
import numpy as np
import tensorflow as tf

from keras_ae.data import pipeline
from keras_ae.errors import UserError, explain
from keras_ae.exports.load import Exported, load_savedmodel
from keras_ae.files import versions
from keras_ae.models import refiner
from keras_ae.models.latents import LATENTS, Discrete
from keras_ae.priors import mixture
from keras_ae.training import budget, callbacks, devices, results, tracking
from keras_ae.training.experiment import NETWORKS, table_of
from keras_ae.training.run import Run, Stage


def train(experiment, run, words=(), minutes=None):
    """Train an experiment in the folder of a run, to the end: both stages, the prior, measures and pictures.

    run: a `Run`. One that was interrupted continues after its last whole epoch, with the same result; with more
    `training.epochs` than it has, also one that is complete continues, and has a new second stage. words: the arguments of the
    command that trains the experiment. minutes: what training may take, see `budget`, unless the run has begun. Raises
    UserError where the experiment does not suit the data, the devices, or what the run began with.
    """
    strategy = devices.open_strategy(experiment.training.devices)
    chief = devices.is_chief(strategy)
    tracking.check_installed(experiment.training.track)

    # the data, and what is trained on so much of it
    experiment, origin = adopt_networks(experiment)
    source = experiment.data
    image_set = pipeline.load(source.name, source.directory, source.size, source.channels, source.white, source.fit)
    within = None
    if minutes:
        if run.exists:
            first, later = run.experiment().training.epochs, run.experiment().second_stage.epochs
        else:
            whole, _ = experiment.adapt(image_set.n_train)
            check_data(whole, image_set, strategy.num_replicas_in_sync)
            first, later, within = budget.fit_into(whole, image_set, strategy, minutes)
        experiment = experiment.with_tables(training={"epochs": first}, refinement={"epochs": later})
        experiment = dataclasses.replace(experiment, chosen=experiment.chosen | {"training.epochs", "refinement.epochs"})
        words = [*words, "--set", f"training.epochs={first}", "--set", f"refinement.epochs={later}"]
    experiment, changes = experiment.adapt(image_set.n_train)
    check_data(experiment, image_set, strategy.num_replicas_in_sync)
    options, second = experiment.training, experiment.second_stage
    classes, steps = len(image_set.labels), image_set.n_train // options.batch

    with run.lock() if chief else contextlib.nullcontext():
        resumed = run.exists and (run.epochs or chief)
        config = describe(experiment, image_set, origin) | {"command": list(words)}
        begins = f"training {experiment.name} in {run}"
        if resumed:
            check_unchanged(run, experiment, config)
            begins = f"resuming {run} after epoch {run.epochs}"
            if options.epochs > (before := run.experiment().training.epochs):
                if out_of_patience(run.first, options):
                    raise UserError(f"training.patience ended the first stage of {run}; more epochs would not; train a new run")
                name = experiment.tables["schedule"]["name"]
                schedule = f"the {name} schedule spans {options.epochs} epochs instead of {before}"
                again = ", and the second stage begins anew" if second.epochs else ""
                begins = f"continuing {run} after epoch {run.first.epochs}, {schedule}{again}"
                if chief:
                    run.reopen()
        with strategy.scope():
            model, counting = experiment.model(image_set.shape, steps, classes)
            if origin and not run.epochs:
                load_weights(model, origin)
        if chief:
            lines = [*image_set.summary, changes, f"{begins}, {config['precision']}: {experiment.summary()}", within]
            print(*filter(None, lines), f"preview {run.preview}, replaced while training", sep="\n")
            run.write_json("config", config)

        # the first stage
        if run.first.epochs < options.epochs and not out_of_patience(run.first, options):
            if options.patience:
                counting = [*counting, keras.callbacks.EarlyStopping("val_loss", patience=options.patience, mode="min")]
            epochs, variation = (0, options.epochs, second.epochs), experiment.data.variation
            fit_stage(run, run.first, model, image_set, experiment, epochs, options.batch, variation, counting)
            if chief and run.first.epochs < options.epochs:
                waited = f"val_loss has not improved for {options.patience} epochs (training.patience)"
                print(f"stopped after epoch {run.first.epochs} of {options.epochs}: {waited}")

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
                networks, steps = run.best_networks(experiment.precision, stage=1), image_set.n_train // second.batch
                model = experiment.refined(*networks, prior, steps, classes)
                if origin and not run.second.epochs:
                    load_critic(model.critic, origin)
            # interpolated images would teach the critic that real ones are soft
            epochs, variation = (first, first + second.epochs, 0), experiment.data.variation.sharp
            fit_stage(run, run.second, model, image_set, experiment, epochs, second.batch, variation)

        # measures and pictures
        if chief:
            print("measuring, drawing ...")
            results.finish(run, image_set)
            print(results.summarize(run))
            if minutes:
                print(f"repeat    {shlex.join(['python', '-m', 'keras_ae.train', *words])}")
        devices.wait(strategy)


def fit_stage(run, stage, model, image_set, experiment, epochs, batch, variation, counting=()):
    """Train a stage of a run to its last epoch, from the last one that is saved, or until patience ends it.

    epochs: (first, end, those of a later stage). counting: callbacks that stop training or change the learning rate.
    """
    first, end, later = epochs
    strategy, seed, task = model.distribute_strategy, experiment.training.seed, experiment.task()
    chief, saved = devices.is_chief(strategy), stage.rows()
    if saved:
        first = stage.epochs
        with strategy.scope(), explain(f"{stage.weights(first)} is damaged; train again in a new run", OSError, ValueError):
            model.load_weights(stage.weights(first))
    training, held_out, held_out_steps = devices.datasets(strategy, image_set, experiment, batch, first, variation)
    key = "schedule.learning_rate, optimizer.clip_norm=1" if stage is run.first else "refinement.learning_rate"
    with (
        tempfile.TemporaryDirectory() as elsewhere,
        explain("a batch of [data] and [task] does not suit the model", tf.errors.InvalidArgumentError),
        explain(f"training diverged; a lower {key} or training.precision=float32 helps", RuntimeError),
        strategy.scope(),
    ):
        todo = [keras.callbacks.TerminateOnNaN(raise_error=True), *counting, callbacks.Continue(seed, counting, saved)]
        if chief and stage is run.second:
            shown = {"training": "train", "held_out": "test"}
            batches = {name: pipeline.first_batch(image_set, side, 256) for name, side in shown.items()}
            todo.append(callbacks.log_scores(model, batches))
        if chief:
            stage.forget_later_epochs()
            todo += [
                keras.callbacks.CSVLogger(stage.history, append=True),
                keras.callbacks.TensorBoard(str(run.tensorboard), write_graph=False),
                callbacks.Preview(run, pipeline.first_batch(image_set, "test", 64, task), seed),
            ]
            if experiment.training.track != "none":
                todo.append(tracking.log_each_epoch(experiment.training.track, run))
        # the weights are read from all workers, so that all of them save, and only the chief to the run
        into = run if chief else Run(elsewhere)
        if model.monitor:
            best = {"save_best_only": True, "save_weights_only": True, "mode": "min"}
            best["initial_value_threshold"] = min((row[model.monitor] for row in saved), default=math.inf)
            # Keras formats the name
            name = str(into.best_weights).replace("{", "{{").replace("}", "}}")
            todo.append(keras.callbacks.ModelCheckpoint(name, model.monitor, **best))
        # an epoch is reported only after it is saved
        todo.append(callbacks.save_each_epoch(model, Stage(into.folder, stage.name)))
        if chief:
            todo.append(callbacks.Progress(end, later))
        model.fit(
            training,
            validation_data=held_out,
            validation_steps=held_out_steps,
            initial_epoch=first,
            epochs=end,
            steps_per_epoch=image_set.n_train // batch,
            shuffle=False,
            verbose=0,
            callbacks=todo,
        )


def out_of_patience(stage, options):
    """Whether patience ended a first stage."""
    losses = [row["val_loss"] for row in stage.rows()]
    waited = len(losses) - 1 - losses.index(min(losses)) if losses else 0
    return bool(options.patience) and waited >= options.patience


def check_data(experiment, image_set, replicas):
    """UserError if a table does not suit the data set or so many devices; what builders of networks refuse is not repeated."""
    for table, stage in (("training", experiment.training), ("refinement", experiment.second_stage)):
        if stage.epochs and stage.batch < replicas:
            raise UserError(f"{table}.batch must be at least the number of devices, {replicas}. Received: {stage.batch}")
        if stage.epochs and image_set.n_train < stage.batch:
            few = f"{image_set.n_train} training images are fewer than a batch of {stage.batch}"
            raise UserError(f"{few}; add some, or lower {table}.batch")
    (height, width, _), factor = image_set.shape, experiment.tables["task"].get("factor", 1)
    if height % factor or width % factor:
        raise UserError(f"task.factor must divide the sides of the images, {height}x{width} pixels. Received: {factor}")
    latent, prior = (experiment.tables[table]["name"] for table in ("latent", "prior"))
    if prior == "autoregressive" and not issubclass(LATENTS[latent], Discrete):
        raise UserError(f"prior.name = autoregressive needs a discrete code: latent.name = fsq or vq. Received: {latent}")


def describe(experiment, image_set, origin):
    """The config.json of a run of this experiment on this data set. origin: the export that it starts from, or None."""
    names = ("name", "n_train", "n_test", "shape", "labels", "fingerprint", "summary")
    config = {"experiment": experiment.name, "tables": experiment.tables, "precision": experiment.precision}
    config["data"] = {name: getattr(image_set, name) for name in names}
    if origin:
        data = origin.card.get("data", {})
        started = {key: data.get(key) for key in ("name", "n_train", "fingerprint")}
        config["started_from"] = {"experiment": origin.card.get("experiment"), **started}
    return config | {"versions": versions()}


def check_unchanged(run, experiment, config):
    """UserError if the run began with other values than `experiment`, or another data set or precision than `config`."""
    begun = run.read_json("config")
    changed = [
        f"{path} was {before!r}, now {now!r}"
        for path, (before, now) in run.experiment().differences(experiment).items()
        # a folder may have moved: its contents are compared below; the same batches on other devices are the same training
        if path not in ("data.directory", "training.devices", "training.track")
        and not (path == "training.epochs" and now > before)
    ]
    if begun["data"]["fingerprint"] != config["data"]["fingerprint"]:
        changed.append("the data set is not the same")
    if begun["precision"] != config["precision"]:
        changed.append(f"precision was {begun['precision']}, now {config['precision']}")
    if changed:
        raise UserError(f"cannot resume {run}: {'; '.join(changed)}. Use the same values, or train a new run")


def adopt_networks(experiment):
    """The experiment with networks and image size of the export that training.start_from names, and that export, or None.

    Raises UserError where the export does not suit what the user chose.
    """
    folder = experiment.training.start_from
    if folder is None:
        return experiment, None
    origin = Exported(folder)
    described, (height, width, channels) = origin.card.get("configuration", {}), origin.shape
    if missing := [name for name in NETWORKS if not isinstance(described.get(name), dict)]:
        unknown = f"its card does not describe its networks (no [{missing[0]}])"
        raise UserError(f"cannot start from {folder}: {unknown}; name an export of python -m keras_ae.export")
    networks = {name: described[name] for name in NETWORKS}
    data = {"size": height if height == width else [height, width], "channels": channels}
    taken = networks | {"task": {"name": origin.task}, "data": data}
    # networks of the file give way, those of the command line do not
    given = sorted(path for path in experiment.chosen if path.partition(".")[0] in NETWORKS)
    for path in ("task.name", "data.size", "data.channels", *given):
        table, _, key = path.partition(".")
        ours, theirs = experiment.tables[table].get(key), taken[table].get(key)
        if ours not in (None, theirs):
            raise UserError(f"cannot start from {folder} with {path}={ours}: the export has {theirs}")
    if "data.fit" not in experiment.chosen:
        data["fit"] = origin.fit
    # its critic goes on, too
    keys = table_of(refiner.critic).model_fields
    critic = {key: value for key, value in described.get("refinement", {}).items() if key in keys}
    adopted = dataclasses.replace(experiment, tables=experiment.tables | networks)
    return adopted.with_tables(data=data, refinement=critic), origin


def load_critic(critic, exported):
    """Give a critic the weights of that of an export, where it has one. Raises UserError where they do not fit."""
    path = exported.folder / "critic.npz"
    if path.exists():
        unfit = f"cannot start from {exported.folder}: the weights of its critic do not fit"
        with explain(unfit, ValueError), np.load(path) as file:
            critic.set_weights([file[name].astype("float32") for name in file.files])


def load_weights(model, exported):
    """Give the networks of a model the weights of an export. Raises UserError where they do not fit."""
    for name, network in (("encoder", model.encoder), ("decoder", model.decoder)):
        saved = load_savedmodel(exported.folder, name)
        # exports of encoders that drew at random have seeds beside their weights
        weights = [variable.numpy() for variable in getattr(saved, "weights", []) if variable.dtype.is_floating]
        with explain(f"cannot start from {exported.folder}: the weights of its {name} do not fit", ValueError):
            network.set_weights(weights)
