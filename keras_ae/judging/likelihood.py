"""What a VAE says of held-out pictures: bounds on their likelihood, rate, and how its codes are used. Nats per picture.

Codes are NumPy arrays z_mean, z_log_var (n, latent_dim) of the diagonal normal posterior; the prior is N(0, I).
"""

import math

import numpy as np

from keras_ae.models.losses import gaussian_kl

# a dimension is in use when its mean code varies by more than this over the data: Burda et al. 2016, section 5.2
ACTIVE = 0.01


def log_mean_exp(values, axis):
    """log of the mean of exp(values) along an axis, without overflow."""
    most = values.max(axis=axis, keepdims=True)
    return np.log(np.mean(np.exp(values - most), axis=axis)) + np.squeeze(most, axis)


def _log_normal(z, mean, log_var):
    return -0.5 * (np.square(z - mean) / np.exp(log_var) + log_var + math.log(2 * math.pi)).sum(axis=-1)


def log_weights(image, z_mean, z_log_var, neg_log_likelihood, draws, rng):
    """log p(x | z) + log p(z) - log q(z | x) of `draws` codes of one picture's posterior, (draws,).

    neg_log_likelihood: codes (draws, latent_dim) -> -log p(image | z) in nats, (draws,).
    """
    z_mean, z_log_var = z_mean.astype("float64"), z_log_var.astype("float64")
    z = z_mean + np.exp(z_log_var / 2) * rng.normal(size=(draws, len(z_mean)))
    prior = _log_normal(z, np.zeros_like(z_mean), np.zeros_like(z_mean))
    return prior - _log_normal(z, z_mean, z_log_var) - np.asarray(neg_log_likelihood(image, z), "float64")


def bounds(weights, ks):
    """Importance-weighted bounds on log p(x) from log weights (n, draws): {k: (n,)}. Burda et al. 2016 (arXiv:1509.00519).

    Each bound averages over the groups of k that the draws give; k = 1 is the evidence lower bound.
    """
    n, draws = weights.shape
    return {k: log_mean_exp(weights.reshape(n, draws // k, k), axis=2).mean(axis=1) for k in ks}


def bits_per_dimension(nats, dimensions):
    """Bits for each 8-bit value of a picture, from nats of its density on [-1, 1], where a step of 1 of 255 is 2 / 255 wide."""
    return nats / (dimensions * math.log(2)) + math.log2(127.5)


def rate(z_mean, z_log_var):
    """KL of each picture and dimension from N(0, I) in nats, (n, latent_dim)."""
    return np.asarray(gaussian_kl(np.asarray(z_mean, "float32"), np.asarray(z_log_var, "float32")), "float64")


def usage(z_mean, z_log_var):
    """How the latent space is used: a dict of numbers.

    active_units: dimensions whose mean code has a variance above 0.01; rate: the mean KL; aggregate_kl: KL(N(m, C) || N(0, I))
    of the normal distribution with the moments of the aggregate posterior, all pictures' posteriors together. The part of the
    rate that is not spent on the aggregate tells pictures apart (Hoffman & Johnson 2016).
    """
    z_mean, variance = z_mean.astype("float64"), np.exp(z_log_var.astype("float64"))
    mean = z_mean.mean(axis=0)
    covariance = np.cov(z_mean, rowvar=False, bias=True).reshape(len(mean), len(mean)) + np.diag(variance.mean(axis=0))
    _, log_determinant = np.linalg.slogdet(covariance)
    return {
        "active_units": int((z_mean.var(axis=0) > ACTIVE).sum()),
        "latent_dim": len(mean),
        "rate": float(rate(z_mean, z_log_var).sum(axis=1).mean()),
        "aggregate_kl": float(0.5 * (np.trace(covariance) + mean @ mean - len(mean) - log_determinant)),
    }
