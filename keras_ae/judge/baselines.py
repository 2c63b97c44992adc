"""The baseline of a model: principal components of the same latent size, with a normal distribution over their scores."""

import dataclasses

import numpy as np

OVERSAMPLING = 32
PASSES = 6


@dataclasses.dataclass(frozen=True)
class PCA:
    """mean (D,), components (D, latent_dim), deviations (latent_dim,) of the scores; images have `shape` (H, W, C)."""

    mean: np.ndarray
    components: np.ndarray
    deviations: np.ndarray
    shape: tuple

    def encode(self, images):
        """Scores (n, latent_dim) of images (n, H, W, C)."""
        return (np.reshape(images, (len(images), -1)) - self.mean) @ self.components

    def decode(self, z):
        """Images (n, H, W, C) of scores (n, latent_dim)."""
        return np.reshape(z @ self.components.T + self.mean, (len(z), *self.shape))

    def rebuild(self, images):
        """Images (n, H, W, C) reconstructed from `latent_dim` scores each."""
        return self.decode(self.encode(images))

    def sample(self, n, seed):
        """Scores of n new images from independent normal distributions, (n, latent_dim)."""
        noise = np.random.default_rng(seed).normal(size=(n, len(self.deviations)))
        return (noise * self.deviations).astype("float32")


def fit_pca(stream, latent_dim, seed=0):
    """Principal components of images.

    stream: a function that starts a new pass over batches of images (batch, H, W, C). Subspace iteration from random
    directions (Halko et al. 2011, arXiv:0909.4061, algorithm 4.4): six passes, in constant memory. There are at most as many
    components as an image has values.
    """

    def flattened():
        return (np.reshape(images, (len(images), -1)) for images in stream())

    total = count = 0
    for images in stream():
        shape = images.shape[1:]
        flat = np.reshape(images, (len(images), -1))
        total = total + flat.sum(axis=0, dtype="float64")
        count += len(flat)
    mean = (total / count).astype("float32")
    width = min(latent_dim + OVERSAMPLING, len(mean))
    directions = np.random.default_rng(seed).normal(size=(len(mean), width)).astype("float32")
    for _ in range(PASSES):
        directions, _ = np.linalg.qr(directions)
        product = np.zeros_like(directions)
        for flat in flattened():
            centred = flat - mean
            product += centred.T @ (centred @ directions)
        # the covariance in the subspace of the last directions; its products are the next directions
        small = directions.T @ product
        directions, last = product, directions
    variances, rotation = np.linalg.eigh(small)
    largest = slice(None, -latent_dim - 1, -1)
    deviations = np.sqrt(np.maximum(variances[largest], 0) / count).astype("float32")
    return PCA(mean, last @ rotation[:, largest], deviations, shape)
