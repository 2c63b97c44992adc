"""Checks of an experiment against its images and the machine, before anything is built, and errors of one line afterwards."""

import contextlib

import tensorflow as tf

from keras_ae.errors import UserError, first_line
from keras_ae.models.networks import sides


@contextlib.contextmanager
def explained(what, *kinds):
    """Turn errors of these kinds inside the block into a UserError of one line, which begins with `what`."""
    try:
        yield
    except kinds as error:
        raise UserError(f"{what}: {first_line(error)}") from error


def building(what):
    """`explained` for code that builds networks or models, and for whatever TensorFlow and Keras raise there."""
    return explained(what, tf.errors.OpError, ValueError, TypeError, ArithmeticError, LookupError, MemoryError)


def check_tables(tables, shape, classes=None):
    """UserError where a value of one table does not suit another table, or images of `shape` (H, W, C) in so many classes."""
    side = shape[0]
    shift, factor = tables["data"]["shift"], tables["task"].get("factor", 1)
    if shift >= side:
        raise UserError(f"data.shift must be smaller than the side of the images, {side} pixels. Received: {shift}")
    if side % factor:
        raise UserError(f"task.factor must divide the side of the images, {side} pixels. Received: {factor}")
    small, encoder = side // factor, tables["encoder"]
    # these halve the side; what they cannot halve they would pass to the latent as it is
    if factor > 1 and encoder["name"] in ("conv", "residual") and not sides(small, 1):
        raise UserError(
            f"task.factor = {factor} leaves {small}x{small} pixels, too few for the encoder {encoder['name']}; "
            "lower it, or set encoder.name to dense or spatial"
        )
    if classes and tables["condition"]["name"] == "on_label" and tables["decoder"]["name"] == "spatial":
        _check_spatial_label(tables, side, classes)


def _check_spatial_label(tables, side, classes):
    dim, cell = tables["latent"]["dim"], (side // 2 ** tables["decoder"]["doublings"]) ** 2
    if cell and (dim + classes) % cell:
        raise UserError(
            f"condition on_label adds {classes} classes to a code of latent.dim = {dim}, and the decoder spatial folds both "
            f"into a map of {cell} cells: {dim + classes} is no multiple of {cell}. Set decoder.name to conv, residual or dense"
        )
