"""Directions in latent space along which one property of a picture changes. Codes are NumPy arrays (n, latent_dim)."""

import numpy as np

from keras_ae.data.sets.cat_drawing import CLASSES, RANGES, draw, sample_factors
from keras_ae.errors import UserError

# distances from the middle, in standard deviations of a property
STRENGTHS = (-3, -2, -1, 0, 1, 2, 3)


def direction(codes, values):
    """How codes change when a property rises by one standard deviation, (latent_dim,): the regression of codes on values (n,).

    For two groups of pictures, with and without, it points from the mean of the one to that of the other (Larsen et al. 2016,
    section 4.1).
    """
    values = np.asarray(values, "float64")
    deviation = values.std()
    if deviation == 0:
        raise UserError("all pictures are alike in this property; pictures with and without it are needed")
    return ((values - values.mean()) / deviation) @ (codes - codes.mean(axis=0)) / len(values)


def moved(z, way, strengths=STRENGTHS):
    """Codes (len(strengths), latent_dim) from one code z (latent_dim,) moved along a direction."""
    return (z + np.asarray(strengths, "float64")[:, None] * way).astype("float32")


def names():
    """Properties of the built-in cats: number factors by name, classes as factor=class."""
    return [*RANGES, *(f"{factor}={known}" for factor, classes in CLASSES.items() for known in classes)]


def value(factors, name):
    """The value of the property `name` in `Factors`: the number, or 1 where the class is that one and else 0."""
    factor, _, known = name.partition("=")
    number = getattr(factors, factor)
    return float(number == CLASSES[factor].index(known)) if known else number


def drawn(n, shape, seed):
    """n built-in cats at a model's shape: Factors, and uint8 (n, H, W, C)."""
    size, _, channels = shape
    factors = [sample_factors(seed, index) for index in range(n)]
    pictures = np.stack([draw(one, size) for one in factors])
    return factors, pictures if channels == 3 else np.rint(pictures.mean(axis=-1, keepdims=True)).astype("uint8")
