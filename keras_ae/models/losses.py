"""Terms of the negative evidence lower bound, in nats per example, summed over pixels and latent dimensions.

A reconstruction likelihood takes images and reconstructions, both (batch, height, width, channels) in [-1, 1], and
returns -log p(image | code), shape (batch,). To add one, write a function and name it in `RECONSTRUCTIONS`.
"""

import math

from keras import ops


def _summed(values):
    return ops.sum(values, axis=tuple(range(1, len(values.shape))))


def laplace(images, reconstructions, *, scale: float = 1.0):
    """-log Laplace(images | reconstructions, scale): the L1 error over `scale`, plus its normalising constant."""
    return _summed(ops.abs(images - reconstructions) / scale + math.log(2 * scale))


def gaussian(images, reconstructions, *, variance: float = 1.0):
    """-log N(images | reconstructions, variance), one fixed variance for every pixel."""
    return _summed(ops.square(images - reconstructions) / (2 * variance) + 0.5 * math.log(2 * math.pi * variance))


def gaussian_optimal_variance(images, reconstructions):
    """-log N(images | reconstructions, variance) at the variance that is best for this batch, its mean squared error.

    Rybkin et al. 2021 (sigma-VAE, arXiv:2006.13202): no weight between reconstruction and KL is left to tune. The
    derivative through the variance vanishes at its optimum, so the variance is held constant.
    """
    squared = ops.square(images - reconstructions)
    variance = ops.stop_gradient(ops.maximum(ops.mean(squared), 1e-6))
    return _summed(squared / (2 * variance) + 0.5 * ops.log(2 * math.pi * variance))


def bernoulli(images, reconstructions):
    """Cross-entropy of pixels read as probabilities (x + 1) / 2: for black-and-white pictures such as MNIST."""
    targets = (images + 1) / 2
    probabilities = ops.clip((reconstructions + 1) / 2, 1e-6, 1 - 1e-6)
    return -_summed(targets * ops.log(probabilities) + (1 - targets) * ops.log(1 - probabilities))


def categorical(images, reconstructions):
    """Cross-entropy of pictures with one white pixel in each column: which row it is, summed over columns.

    The tanh at the end of a decoder is taken back, so that its values before are half the logits of a softmax over rows.
    """
    targets = (images + 1) / 2
    logits = 2 * ops.arctanh(ops.clip(reconstructions, -1 + 1e-6, 1 - 1e-6))
    return -_summed(targets * ops.log_softmax(logits, axis=1))


def gaussian_kl(z_mean, z_log_var):
    """KL(N(z_mean, exp(z_log_var)) || N(0, 1)) of each latent dimension in nats, (batch, latent_dim).

    Kingma & Welling 2014 (arXiv:1312.6114), appendix B.
    """
    return 0.5 * (ops.square(z_mean) + ops.exp(z_log_var) - 1 - z_log_var)


def with_free_bits(kl, free_bits):
    """Sum over dimensions of max(batch mean of the KL, free_bits), a scalar in nats, from (batch, latent_dim).

    Kingma et al. 2016 (arXiv:1606.04934), appendix C.8: a dimension is not pushed below `free_bits` nats.
    """
    return ops.sum(ops.maximum(ops.mean(kl, axis=0), free_bits))


RECONSTRUCTIONS = {
    "laplace": laplace,
    "gaussian": gaussian,
    "gaussian_optimal_variance": gaussian_optimal_variance,
    "bernoulli": bernoulli,
    "categorical": categorical,
}
