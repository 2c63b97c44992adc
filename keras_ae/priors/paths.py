"""Paths from one code to another. Codes are NumPy arrays (latent_dim,)."""

import numpy as np


def linear(z_a, z_b, steps):
    """z = (1 - alpha) * z_a + alpha * z_b for `steps` values of alpha from 0 to 1, (steps, latent_dim)."""
    alpha = np.linspace(0, 1, steps, dtype="float32")[:, None]
    return (1 - alpha) * z_a + alpha * z_b


def spherical(z_a, z_b, steps):
    """The arc from z_a to z_b, on which direction and length change at a constant rate, (steps, latent_dim).

    Spherical linear interpolation of the directions (Shoemake 1985, slerp). Equal to `linear` if the codes have the same or
    opposite directions, or one of them is zero.
    """
    lengths = np.linalg.norm(z_a), np.linalg.norm(z_b)
    cosine = np.dot(z_a, z_b) / max(lengths[0] * lengths[1], 1e-12)
    angle = np.arccos(np.clip(cosine, -1, 1))
    if min(lengths) < 1e-6 or np.sin(angle) < 1e-4:
        return linear(z_a, z_b, steps)
    alpha = np.linspace(0, 1, steps, dtype="float32")[:, None]
    weight_a, weight_b = np.sin((1 - alpha) * angle) / np.sin(angle), np.sin(alpha * angle) / np.sin(angle)
    directions = weight_a * z_a / lengths[0] + weight_b * z_b / lengths[1]
    return (directions * ((1 - alpha) * lengths[0] + alpha * lengths[1])).astype("float32")
