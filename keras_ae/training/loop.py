"""The training loop: both stages of an experiment, from the saved position of a run."""

import dataclasses

import keras
import tensorflow as tf

from keras_ae.data import pipeline
from keras_ae.data.tasks import Variation
from keras_ae.errors import UserError
from keras_ae.priors import mixture
from keras_ae.training import callbacks, preview, results, starting
from keras_ae.training.experiment import check_shape, explain


@dataclasses.dataclass
class Stage:
    """One stage of training: its number, a compiled model, the callbacks whose counters are kept, and the batch size.

    variation: of its training images. first, end: its epochs, counted through both stages from 0.
    """

    number: int
    model: keras.Model
    counting: list
    batch: int
    variation: Variation
    first: int
    end: int


def check_size(experiment, image_set, devices):
    """UserError if the data set has fewer training images than a batch, or does not suit the tables or devices."""
    batches = {"training": experiment.training.batch}
    if experiment.second_stage.epochs:
        batches["refinement"] = experiment.second_stage.batch
    for table, batch in batches.items():
        devices.check_batch(table, batch)
        if image_set.n_train < batch:
            raise UserError(
                f"{image_set.n_train} training images are fewer than a batch of {batch}; add images, or lower the batch with "
                f"--set {table}.batch=N"
            )
    check_shape(experiment, image_set.shape, len(image_set.labels))


def loaded(experiment, devices):
    """The data set of an experiment and the experiment for so many images, checked against each other and the devices.

    Prints what both are.
    """
    source = experiment.data
    image_set = pipeline.load(source.name, source.directory, source.size, source.channels)
    experiment, changes = experiment.adapt(image_set.n_train)
    check_size(experiment, image_set, devices)
    for line in image_set.summary:
        print(line)
    if experiment.training.start_from:
        print(starting.summary(experiment))
    if changes:
        print(changes)
    return experiment, image_set


def first_stage(experiment, image_set, position, devices):
    """The first stage of an experiment, or None where `position` is past it.

    Build it before the folder of a run: it raises UserError where the data set does not fit the networks.
    """
    options = experiment.training
    if position.stage > 1 or position.stopped or position.first >= options.epochs:
        return None
    with devices.scope():
        model, counting = experiment.model(image_set.shape, image_set.n_train // options.batch, len(image_set.labels))
        if options.start_from and not position.first:
            starting.load_weights(model, options.start_from)
    if options.patience:
        counting = [*counting, keras.callbacks.EarlyStopping("val_loss", patience=options.patience, mode="min")]
    return Stage(1, model, counting, options.batch, experiment.data.variation, position.first, options.epochs)


def second_stage(run, experiment, image_set, position, devices):
    if devices.chief:
        results.fit_prior(run, image_set)
    for path in (run.weights, run.prior):
        devices.send(path)
    run.keep_first_stage()
    with devices.scope():
        networks = run.best_networks(experiment.precision)
        model = experiment.refined(*networks, mixture.load_prior(run.prior), len(image_set.labels))
    options = experiment.second_stage
    # interpolated images would teach the critic that real ones are soft
    variation = experiment.data.variation.sharp
    return Stage(2, model, [], options.batch, variation, position.epochs, position.first + options.epochs)


def fit_stage(run, experiment, image_set, stage, reporting, devices):
    """Train the epochs of a stage, or until patience ends it. reporting: callbacks that show what was saved."""
    options, task = experiment.training, experiment.task()
    shown = pipeline.first_batch(image_set, "test", preview.CODES, task)

    training = pipeline.training(image_set, stage.batch, options.seed, stage.first, stage.variation, task)
    held_out = pipeline.batches(image_set, "test", stage.batch, task)
    unsuitable = explain("a batch of [data] and [task] does not suit the model", tf.errors.InvalidArgumentError)
    with devices.scope(), unsuitable:
        stage.model.fit(
            devices.stream(training),
            validation_data=devices.stream(held_out),
            # of a stream for several devices Keras does not know the length
            validation_steps=-(-image_set.n_test // stage.batch) if devices.strategy else None,
            initial_epoch=stage.first,
            epochs=stage.end,
            steps_per_epoch=image_set.n_train // stage.batch,
            shuffle=False,
            verbose=0,
            callbacks=[
                callbacks.StopOnNaN(run, stage.number),
                *stage.counting,
                preview.ImageLogger(run, shown, options.seed),
                callbacks.Bookkeeping(run, stage.number, stage.counting),
                # an epoch is logged and reported only after it is saved
                callbacks.TensorBoard(run.tensorboard),
                *reporting,
            ],
        )


def fit(run, experiment, image_set, stage, devices, show=False):
    """Train both stages until their epochs are done, or patience ends the first.

    stage: of `first_stage`. show: whether to open the preview picture when it is first drawn.
    """
    options, second = experiment.training, experiment.second_stage
    position = run.position()
    planned = []
    if stage:
        planned.append((stage.first, stage.end, image_set.n_train // stage.batch))
    if position.second < second.epochs:
        begins = options.epochs if stage else position.epochs
        end = (options.epochs if stage else position.first) + second.epochs
        planned.append((begins, end, image_set.n_train // second.batch))
    if not planned:
        return
    progress = callbacks.Progress(planned, devices.chief)
    shown = pipeline.first_batch(image_set, "test", preview.CODES, experiment.task())
    drawing = preview.Preview(run.preview, shown, options.seed, show)
    reporting = [drawing, progress] if devices.chief else [progress]
    try:
        if stage:
            fit_stage(run, experiment, image_set, stage, reporting, devices)
            position = run.position()
            if position.first < options.epochs:
                progress.bar.write(
                    f"stopped after epoch {position.first} of {options.epochs}: val_loss has not improved for "
                    f"{options.patience} epochs (training.patience)"
                )
        if position.second < second.epochs:
            refining = second_stage(run, experiment, image_set, position, devices)
            if stage:
                progress.next_stage(refining.first)
            fit_stage(run, experiment, image_set, refining, reporting, devices)
    finally:
        progress.close()
