"""What a model must beat: principal components of the same latent size."""

import numpy as np

OVERSAMPLING = 32
PASSES = 6


def fit_pca(stream, latent_dim, seed=0):
    """Principal components of images; returns `rebuild`: images (batch, H, W, C) -> images from `latent_dim` numbers each.

    stream() opens a fresh pass over batches of images. Subspace iteration from random directions (Halko et al. 2011,
    arXiv:0909.4061, algorithm 4.4): six passes, and memory that does not grow with the number of pictures. There are fewer
    components where pictures have fewer pixels.
    """

    def flattened():
        return (np.reshape(images, (len(images), -1)) for images in stream())

    total = count = 0
    for flat in flattened():
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
        # the covariance in the subspace of the last directions, then its products as the next
        small = directions.T @ product
        directions, last = product, directions
    _, rotation = np.linalg.eigh(small)
    components = (last @ rotation[:, ::-1])[:, :latent_dim]

    def rebuild(images):
        centred = np.reshape(images, (len(images), -1)) - mean
        return np.reshape(centred @ components @ components.T + mean, images.shape)

    return rebuild
