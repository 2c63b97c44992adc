"""Networks of keras.applications, trained on ImageNet: whether their weights are here, and how they are built."""

import os
from pathlib import Path

import keras

from keras_ae.errors import UserError


def is_present(pattern):
    """Whether Keras' cache has weights whose file name fits the pattern."""
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    return any((home / "models").glob(pattern))


def built(name, advice, **options):
    """The network of that name; its weights are downloaded unless they are in Keras' cache. Raises UserError if that fails."""
    try:
        return getattr(keras.applications, name)(**options)
    except Exception as error:
        raise UserError(f"the weights of {name} cannot be downloaded ({error}); use {advice}") from error
