"""Likelihood of held-out images under a VAE: negative ELBO, importance-weighted estimates, and the use of the latent space.

All in nats per image, lower is better. Codes are NumPy arrays z_mean, z_log_var (n, latent_dim) of a diagonal normal posterior;
the prior is N(0, I).
"""

import math

import numpy as np

from keras_ae.judge import metrics
from keras_ae.priors import space
from keras_ae.priors.space import batched

# a dimension is active when its mean code varies by more than this over the data: Burda et al. 2016, section 5.2
ACTIVE = 0.01


def log_mean_exp(values, axis):
    """log of the mean of exp(values) along an axis, without overflow."""
    largest = values.max(axis=axis, keepdims=True)
    return np.log(np.mean(np.exp(values - largest), axis=axis)) + np.squeeze(largest, axis)


def log_weights(image, z_mean, z_log_var, nats, draws, rng):
    """log p(x | z) + log p(z) - log q(z | x) of `draws` codes from the posterior of one image, (draws,).

    nats: image, codes (draws, latent_dim) -> -log p(image | z), (draws,).
    """
    z_mean, variance = z_mean.astype("float64"), np.exp(z_log_var.astype("float64"))
    z = z_mean + np.sqrt(variance) * rng.normal(size=(draws, len(z_mean)))
    posterior = space.nats(np.square(z - z_mean), variance).sum(axis=1)
    prior = space.nats(np.square(z), 1.0).sum(axis=1)
    return posterior - prior - np.asarray(nats(image, z), "float64")


def neg_importance_weighted(weights, ks):
    """Importance-weighted estimates of -log p(x) from log weights (n, draws): {k: (n,)}. Burda et al. 2016, arXiv:1509.00519.

    Each is the mean over draws // k groups of k draws, with k <= draws; k = 1 is the negative ELBO.
    """
    n, draws = weights.shape
    return {k: -log_mean_exp(weights[:, : draws // k * k].reshape(n, -1, k), axis=2).mean(axis=1) for k in ks}


def bits_per_dimension(neg_log_density, dimensions):
    """Bits for each 8-bit value of an image, from the nats of its density on [-1, 1], where a step of 1/255 is 2/255 wide."""
    return neg_log_density / (dimensions * math.log(2)) + math.log2(127.5)


def rate(z_mean, z_log_var):
    """KL of each image and dimension from N(0, I) in nats, (n, latent_dim)."""
    return space.kl(np.asarray(z_mean, "float64"), np.asarray(z_log_var, "float64"))


def usage(z_mean, z_log_var):
    """Use of the latent space: a dict of numbers.

    active_units: dimensions whose mean code has a variance above 0.01. rate: the mean KL. aggregate_kl: KL(N(m, C) || N(0, I))
    of the normal distribution with the moments of the aggregate posterior, the mixture of the posteriors of all images. The
    rest of the rate distinguishes images from each other (Hoffman & Johnson 2016).
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


def _drawn(z_mean, z_log_var, rng):
    return (z_mean + np.exp(z_log_var / 2) * rng.normal(size=z_mean.shape)).astype("float32")


def neg_log_likelihood(candidate, training_images, seed):
    """The likelihood to measure a candidate with: (images, reconstructions) -> nats (n,), and its variance, None if fixed.

    A candidate without a fixed likelihood is measured with a Gaussian, whose variance is the mean squared error of its
    reconstructions of training images, from drawn codes.
    """
    if candidate.neg_log_likelihood:
        return candidate.neg_log_likelihood, None
    codes = candidate.encode(training_images)
    rebuilt = candidate.decode(_drawn(codes["z_mean"], codes["z_log_var"], np.random.default_rng(seed)))
    variance = float(np.mean(np.square(training_images - rebuilt)))

    def nats(images, rebuilt):
        squared = np.square(np.asarray(images, "float64") - rebuilt)
        return space.nats(squared, variance).sum(axis=tuple(range(1, squared.ndim)))

    return nats, variance


def _mean(values, counts=None):
    return {name: float(np.average(array, weights=counts)) for name, array in values.items()}


def importance_weighted(candidate, likelihood, images, z_mean, z_log_var, seed, draws, ks):
    """Negative ELBO and importance-weighted estimates of the same images from the same `draws` codes each, with intervals.

    Bits per dimension, those of 8-bit images, are left out where the likelihood is a cross-entropy and no density.
    """
    rng = np.random.default_rng(seed)

    def nats(image, z):
        rebuilt = candidate.decode(z.astype("float32"))
        return np.asarray(likelihood(np.broadcast_to(image, rebuilt.shape), rebuilt))

    posteriors = zip(images, z_mean, z_log_var, strict=True)
    weights = np.stack([log_weights(*posterior, nats, draws, rng) for posterior in posteriors])
    ks = [1, *(k for k in ks if k <= draws)]
    estimates = {
        "neg_elbo" if k == 1 else f"neg_importance_weighted_{k}": values
        for k, values in neg_importance_weighted(weights, ks).items()
    }
    means = _mean(estimates)
    numbers = {"n": len(images), "draws": draws, **means, "intervals": metrics.intervals(estimates, _mean, seed)}
    if getattr(likelihood, "is_density", True):
        numbers["bits_per_dimension"] = {name: bits_per_dimension(value, images[0].size) for name, value in means.items()}
    return numbers


def measure(candidate, images, training_images, seed, n=128, draws=500, ks=(50, 500)):
    """Likelihood of held-out images (N, H, W, C) under a candidate: numbers, and arrays (N,); (None, {}) without a posterior.

    On all images: neg_elbo = distortion + rate with one drawn code each, its standard error, and `usage`. On the first `n`:
    importance-weighted estimates for each of `ks`, from `draws` codes each, beside the negative ELBO of the same images.
    """
    codes = candidate.encode(images)
    if "z_log_var" not in codes:
        return None, {}
    z_mean, z_log_var = codes["z_mean"], codes["z_log_var"]
    likelihood, variance = neg_log_likelihood(candidate, training_images, seed)
    rebuilt = candidate.decode(_drawn(z_mean, z_log_var, np.random.default_rng(seed)))
    distortion = batched(lambda rows: likelihood(images[rows], rebuilt[rows]), np.arange(len(images))).astype("float64")
    rates = rate(z_mean, z_log_var)
    neg_elbo = distortion + rates.sum(axis=1)
    numbers = {
        "n": len(images),
        "neg_elbo": float(neg_elbo.mean()),
        "standard_error": float(neg_elbo.std() / math.sqrt(len(neg_elbo))),
        "distortion": float(distortion.mean()),
        **usage(z_mean, z_log_var),
        "variance": variance,
        "importance_weighted": importance_weighted(
            candidate, likelihood, images[:n], z_mean[:n], z_log_var[:n], seed, draws, ks
        ),
        "kl_per_dimension": rates.mean(axis=0).tolist(),
    }
    return numbers, {"rate": rates.sum(axis=1), "distortion": distortion}
