"""What a study needs of its models and its data set; UserError if it is missing. Not a study: it has no `run`."""

import functools

from keras_ae.data import tasks
from keras_ae.errors import UserError


def need_labels(image_set):
    """Raise UserError unless the images of a data set have classes."""
    if len(image_set.labels) < 2:
        raise UserError(f"this study needs images with classes, such as mnist; {image_set.name} has none")


def task_of(model, name, wanted):
    """The task `wanted` as the model was trained for it: images, seed[, rows] -> inputs. UserError for another task."""
    if model.task != wanted:
        raise UserError(f"{name} was not trained for the task '{wanted}' but for '{model.task}'")
    table = dict(model.card.get("task") or model.card["configuration"]["task"])
    table.pop("name")
    return functools.partial(tasks.TASKS[wanted], **table)
