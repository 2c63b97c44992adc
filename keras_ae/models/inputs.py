"""What a model accepts as images, targets and labels. Each function raises ValueError for what would train silently wrong."""

import numpy as np

from keras_ae.images.pictures import beyond
from keras_ae.models.networks import classes_of


def checked_targets(images, shape):
    """Targets as they are. shape: of a batch that the decoder returns. Labels of classes would be broadcast to images."""
    if len(images.shape) != len(shape):
        raise ValueError(
            f"the targets of an autoencoder are images of shape {shape}. Received: {tuple(images.shape)}; leave class labels "
            'out, or pass {"images": images, "label": labels} to a conditional model'
        )
    if images.dtype == "uint8":
        raise ValueError("images must lie in [-1, 1]. Received: 8-bit ones; scale them by / 127.5 - 1")
    return images


def check_arrays(x, y, encoder, shape):
    """Check NumPy arrays before Keras takes them: images or a dict `x`, targets `y` or None. shape: as above."""
    named = x if isinstance(x, dict) else {"images": x}
    for values in (*named.values(), y):
        if isinstance(values, np.ndarray) and values.ndim == len(shape) and (found := beyond(values)):
            raise ValueError(f"images must lie in [-1, 1]. Received: {found}; scale 8-bit ones by / 127.5 - 1")
    if isinstance(y, np.ndarray):
        checked_targets(y, shape)
    if isinstance(named.get("label"), np.ndarray):
        check_labels(named["label"], classes_of(encoder))


def check_labels(labels, classes):
    """Check class numbers (n,): any other number would be encoded as no class at all. classes: how many, None if unknown."""
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    if low < 0 or (classes and high >= classes):
        known = f"0 to {classes - 1}" if classes else "0 and above"
        raise ValueError(f"the classes of this model are {known}. Received: labels from {low} to {high}")
