"""Directions in latent space along which one property of an image changes. Codes are NumPy arrays (n, latent_dim)."""

import numpy as np

from keras_ae.errors import UserError

# distances along a direction, in standard deviations of the property
STRENGTHS = (-3, -2, -1, 0, 1, 2, 3)


def direction(codes, values):
    """The change of codes per standard deviation of a property, (latent_dim,): the regression of codes on values (n,).

    For two groups of images, values 0 and 1, it is parallel to the difference of their mean codes (Larsen et al. 2016, section
    4.1). Raises UserError if all values are equal.
    """
    values = np.asarray(values, "float64")
    deviation = values.std()
    if deviation == 0:
        raise UserError("all images have the same value of this property; images with and without it are needed")
    return ((values - values.mean()) / deviation) @ (codes - codes.mean(axis=0)) / len(values)


def separate(codes, values):
    """For each of k properties, the change of codes per standard deviation of it while the others stay, (k, latent_dim).

    The regression of codes on all properties together, values (n, k). `direction` follows what usually comes along with a
    property, too. Zeros for a property that all images have the same value of.
    """
    values = np.asarray(values, "float64")
    deviations = values.std(axis=0)
    standardised = (values - values.mean(axis=0)) / np.maximum(deviations, 1e-12)
    ways, *_ = np.linalg.lstsq(standardised, codes - codes.mean(axis=0), rcond=None)
    return np.where(deviations[:, None] > 0, ways, 0)


def calibrated(ways, movements, ridge=0.1):
    """Combinations of k ways (k, latent_dim), each of which moves its own property by one standard deviation and no other.

    movements (k, k): how far each way (rows) moves each property (columns) as measured, in standard deviations. Least
    squares; properties that hardly move, by less than `ridge`, are not amplified.
    """
    gram = movements @ movements.T + ridge**2 * np.eye(len(movements))
    return np.linalg.solve(gram, movements).T @ ways


def moved(z, way, strengths=STRENGTHS):
    """The codes z + strength * way, float32 (len(strengths), latent_dim), for one code z (latent_dim,)."""
    return (z + np.asarray(strengths, "float64")[:, None] * way).astype("float32")
