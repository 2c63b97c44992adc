"""Likelihood of held-out images under a VAE: negative ELBO, importance-weighted estimates, and the use of the latent space.

All in nats per image, lower is better. Codes are NumPy arrays z_mean, z_log_var (n, latent_dim) of a diagonal normal posterior;
the prior is N(0, I).
"""

import math

import numpy as np
from scipy.special import logsumexp

from keras_ae.judge import metrics
from keras_ae.priors import space


def log_weights(image, z_mean, z_log_var, nats, draws, rng):
    """log p(x | z) + log p(z) - log q(z | x) of `draws` codes of one image, (draws,). nats: image, codes -> -log p(x | z)."""
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
    groups = {k: weights[:, : draws // k * k].reshape(n, -1, k) for k in ks}
    return {k: math.log(k) - logsumexp(grouped, axis=2).mean(axis=1) for k, grouped in groups.items()}


def bits_per_dimension(neg_log_density, dimensions):
    """Bits for each 8-bit value of an image, from the nats of its density on [-1, 1], where a step of 1/255 is 2/255 wide."""
    return neg_log_density / (dimensions * math.log(2)) + math.log2(127.5)


def usage(z_mean, z_log_var):
    """Use of the latent space: a dict of numbers.

    active_units: dimensions whose mean code has a variance above 0.01 (Burda et al. 2016, section 5.2). rate: the mean KL.
    aggregate_kl: KL(N(m, C) || N(0, I)) with the moments m and C of the mixture of the posteriors of all images; the rest of
    the rate distinguishes images from each other (Hoffman & Johnson 2016).
    """
    z_mean, z_log_var = z_mean.astype("float64"), z_log_var.astype("float64")
    mean, variance = z_mean.mean(axis=0), np.exp(z_log_var)
    covariance = np.cov(z_mean, rowvar=False, bias=True).reshape(len(mean), len(mean)) + np.diag(variance.mean(axis=0))
    _, log_determinant = np.linalg.slogdet(covariance)
    return {
        "active_units": int((z_mean.var(axis=0) > 0.01).sum()),
        "latent_dim": len(mean),
        "rate": float(space.kl(z_mean, z_log_var).sum(axis=1).mean()),
        "aggregate_kl": float(0.5 * (np.trace(covariance) + mean @ mean - len(mean) - log_determinant)),
    }


def _draw(z_mean, z_log_var, seed):
    noise = np.random.default_rng(seed).normal(size=z_mean.shape)
    return (z_mean + np.exp(z_log_var / 2) * noise).astype("float32")


def neg_log_likelihood(candidate, training_images, seed):
    """The likelihood to measure a candidate with, (images, reconstructions) -> nats (n,), and its variance, None if fixed.

    Unless fixed, it is a Gaussian whose variance is the mean squared error of training images, rebuilt from drawn codes.
    """
    if candidate.neg_log_likelihood:
        return candidate.neg_log_likelihood, None
    codes = candidate.encode(training_images)
    rebuilt = candidate.decode(_draw(codes["z_mean"], codes["z_log_var"], seed))
    variance = float(np.mean(np.square(training_images - rebuilt)))

    def nats(images, rebuilt):
        squared = np.square(np.asarray(images, "float64") - rebuilt)
        return space.nats(squared, variance).sum(axis=tuple(range(1, squared.ndim)))

    return nats, variance


def importance_weighted(candidate, likelihood, images, z_mean, z_log_var, seed, draws, ks):
    """Negative ELBO and importance-weighted estimates of the same images from the same `draws` codes each, with intervals."""
    rng = np.random.default_rng(seed)

    def nats(image, z):
        rebuilt = candidate.decode(z.astype("float32"))
        return np.asarray(likelihood(np.broadcast_to(image, rebuilt.shape), rebuilt))

    posteriors = zip(images, z_mean, z_log_var, strict=True)
    weights = np.stack([log_weights(*posterior, nats, draws, rng) for posterior in posteriors])
    found = neg_importance_weighted(weights, [1, *(k for k in ks if k <= draws)])
    estimates = {"neg_elbo" if k == 1 else f"neg_importance_weighted_{k}": values for k, values in found.items()}
    means = metrics.means(estimates)
    numbers = {"n": len(images), "draws": draws, **means, "intervals": metrics.intervals_of(metrics.means, estimates)}
    # of the tightest estimate; a cross-entropy is no density
    if getattr(likelihood, "is_density", True):
        numbers["bits_per_dimension"] = bits_per_dimension([*means.values()][-1], images[0].size)
    return numbers


def measure(candidate, images, training_images, seed, n=128, draws=500, ks=(50, 500)):
    """Likelihood of held-out images (N, H, W, C) under a candidate as pairs (name, value); none without a posterior.

    On all images: neg_elbo = distortion + rate with one drawn code each, and `usage`; on the first `n`: `importance_weighted`.
    """
    codes = candidate.encode(images)
    if "z_log_var" not in codes:
        return
    z_mean, z_log_var = codes["z_mean"], codes["z_log_var"]
    likelihood, variance = neg_log_likelihood(candidate, training_images, seed)
    rebuilt = candidate.decode(_draw(z_mean, z_log_var, seed))
    distortions = space.batched(lambda rows: likelihood(images[rows], rebuilt[rows]), np.arange(len(images))).astype("float64")
    rates = space.kl(z_mean.astype("float64"), z_log_var.astype("float64"))
    neg_elbo = distortions + rates.sum(axis=1)
    yield "n", len(images)
    yield "neg_elbo", float(neg_elbo.mean())
    yield "intervals", metrics.intervals_of(metrics.means, {"neg_elbo": neg_elbo})
    yield "distortion", float(distortions.mean())
    yield from usage(z_mean, z_log_var).items()
    yield "variance", variance
    first = images[:n], z_mean[:n], z_log_var[:n]
    yield "importance_weighted", importance_weighted(candidate, likelihood, *first, seed, draws, ks)
    yield "kl_per_dimension", rates.mean(axis=0).tolist()
