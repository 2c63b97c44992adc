"""What a study needs of its models and its data set; UserError if it is missing. Not a study: it has no `run`."""

import functools

import numpy as np

from keras_ae.data import pipeline, tasks
from keras_ae.errors import UserError
from keras_ae.judge import metrics

BATCH = 128


def need_labels(image_set):
    """Raise UserError unless the images of a data set have classes."""
    if len(image_set.labels) < 2:
        raise UserError(f"this study needs images with classes, such as mnist; {image_set.name} has none")


def need_images(image_set, least, side="test"):
    """Raise UserError unless a side of a data set, "train" or "test", has as many images."""
    n, kind = (image_set.n_train, "training") if side == "train" else (image_set.n_test, "held-out")
    if n < least:
        raise UserError(
            f"this study needs {least} {kind} images; {image_set.name} has {n}, so name a larger folder with --data"
        )


def need_unconditional(models):
    """Raise UserError if one of the models {name: model} takes labels."""
    for name, model in models.items():
        if getattr(model, "labels", ()):
            raise UserError(f"{name} is conditional, and this study has no classes for it; the study labels shows such models")


def labels_of(model, name, image_set, batch):
    """The classes of a batch for a conditional model; None for others. UserError if the images have other classes."""
    if not model.labels:
        return None
    # models of Python call their classes by number
    numbers = tuple(map(str, range(len(image_set.labels))))
    if model.labels not in (image_set.labels, numbers):
        classes = ", ".join(image_set.labels) or "no classes"
        raise UserError(f"{name} has the classes {', '.join(model.labels)}, and the images of {image_set.name} have {classes}")
    return batch["label"]


def held_out(card, key, image_set, rebuild):
    """Metrics of held-out reconstructions: what the card has under `key`, else measured. rebuild: a batch -> images."""
    if key in card:
        return card[key]
    batches = ({key: value.numpy() for key, value in batch.items()} for batch in pipeline.batches(image_set, "test", BATCH))
    return metrics.reconstruction((batch["images"], rebuild(batch)) for batch in batches)


def psnr_and_ssim(images, rebuilt):
    """PSNR in dB and SSIM of reconstructions; SSIM is left out where images are too small for it."""
    numbers = metrics.reconstruction([(images, np.asarray(rebuilt, "float32"))])
    return {name: numbers[name] for name in ("psnr", "ssim") if name in numbers}


def task_of(model, name, wanted):
    """The task `wanted` as the model was trained for it: images, seed -> inputs. UserError for another task."""
    if model.task != wanted:
        raise UserError(f"{name} was not trained for the task '{wanted}' but for '{model.task}'")
    table = dict(model.card.get("task") or model.card["configuration"]["task"])
    table.pop("name")
    return functools.partial(tasks.TASKS[wanted], **table)
