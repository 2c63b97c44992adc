"""Terms of the negative evidence lower bound, in nats per example.

A reconstruction likelihood takes images and reconstructions, both (batch, height, width, channels) in [-1, 1], and returns
-log p(image | code), shape (batch,). To add one, write a function and name it in `RECONSTRUCTIONS`; its keyword arguments are
the keys of the table [reconstruction] in experiment files.
"""

import math
from collections.abc import Callable
from typing import Annotated, Any, Self, TypeAlias

import keras
import tensorflow as tf
from annotated_types import Gt, Le
from keras import ops
from numpy.typing import ArrayLike

from keras_ae.priors import space


def kl(z_mean, z_log_var):
    """KL(N(z_mean, exp(z_log_var)) || N(0, 1)) of each example in nats, (batch,), from (batch, latent_dim); see `space.kl`."""
    return ops.sum(space.kl(z_mean, z_log_var, exp=ops.exp), axis=-1)


def _summed(values):
    return ops.sum(values, axis=tuple(range(1, len(values.shape))))


def _normal_nats(squared, variance):
    return space.nats(squared, variance, log=ops.log)


def laplace(images, reconstructions, *, scale: Annotated[float, Gt(0), Le(1e3)] = 1.0):
    """-log Laplace(images | reconstructions, scale): the L1 error over `scale`, plus the normalizing constant."""
    return _summed(ops.abs(images - reconstructions) / scale + math.log(2 * scale))


def gaussian(images, reconstructions, *, variance: Annotated[float, Gt(0), Le(1e3)] = 1.0):
    """-log N(images | reconstructions, variance), one fixed variance for all pixels."""
    return _summed(_normal_nats(ops.square(images - reconstructions), variance))


def gaussian_optimal_variance(images, reconstructions, sample_weight=None):
    """-log N(images | reconstructions, variance) with the best variance for this batch, its mean squared error.

    Rybkin et al. 2021 (sigma-VAE, arXiv:2006.13202): no weight between reconstruction and KL is left to tune. The derivative
    with respect to the variance vanishes there, so that it is a constant. sample_weight: of the images in the mean, (batch,).
    """
    squared = ops.square(images - reconstructions)
    errors = ops.mean(squared, axis=tuple(range(1, len(squared.shape))))
    mean = ops.mean(errors) if sample_weight is None else ops.sum(errors * sample_weight) / ops.sum(sample_weight)
    variance = ops.stop_gradient(ops.maximum(mean, 1e-6))
    return _summed(_normal_nats(squared, variance))


def bernoulli(images, reconstructions):
    """Cross-entropy of pixels read as probabilities (x + 1) / 2: for black-and-white images such as MNIST."""
    targets = (images + 1) / 2
    probabilities = ops.clip((reconstructions + 1) / 2, 1e-6, 1 - 1e-6)
    return -_summed(targets * ops.log(probabilities) + (1 - targets) * ops.log(1 - probabilities))


def total_correlation(z, z_mean, z_log_var):
    """KL between the density of codes and the product of the densities of their numbers, in nats, as a batch shows it.

    z, z_mean, z_log_var: (n, latent_dim), draws and posteriors of a batch, whose mean estimates the density of codes (Chen et
    al. 2018, arXiv:1802.04942, section 4). Where codes carry more than log(n) nats, that is too large: it rises with the
    information in the code, also for independent numbers.
    """
    squared = ops.square(z[:, None] - z_mean[None])
    log_density = -_normal_nats(squared, ops.exp(z_log_var)[None])
    joint = ops.logsumexp(ops.sum(log_density, axis=-1), axis=1)
    single = ops.sum(ops.logsumexp(log_density, axis=1), axis=-1)
    n = ops.cast(ops.shape(z_mean)[0], "float32")
    return ops.mean(joint - single) + (z.shape[1] - 1) * ops.log(n)


def log_normal(z, z_mean=0.0, z_log_var=0.0):
    """log N(z | z_mean, exp(z_log_var)) of codes (..., latent_dim), (...)."""
    return -ops.sum(_normal_nats(ops.square(z - z_mean), ops.exp(z_log_var)), axis=-1)


def squared_mmd(x, y):
    """The squared maximum mean discrepancy of the distributions of x and y, both (n, latent_dim), a scalar without bias.

    The kernel is inverse multiquadratic, c / (c + |x - y|^2) with c = 2 * latent_dim * s, summed over seven scales s from 0.1
    to 10: Tolstikhin et al. 2018 (arXiv:1711.01558), section 4 and their program. From about 0, for equal distributions, to 14.
    """
    n = ops.cast(ops.shape(x)[0], "float32")

    def kernel(a, b):
        squared = ops.sum(ops.square(a[:, None] - b[None]), axis=-1)
        constants = [2 * a.shape[1] * scale for scale in (0.1, 0.2, 0.5, 1, 2, 5, 10)]
        return sum(constant / (constant + squared) for constant in constants)

    # a point is no neighbour of itself, where each of the seven is 1
    same = (ops.sum(kernel(x, x)) + ops.sum(kernel(y, y)) - 14 * n) / ops.maximum(n * (n - 1), 1.0)
    return same - 2 * ops.mean(kernel(x, y))


RECONSTRUCTIONS = {
    "laplace": laplace,
    "gaussian": gaussian,
    "gaussian_optimal_variance": gaussian_optimal_variance,
    "bernoulli": bernoulli,
}


@keras.saving.register_keras_serializable("keras_ae")
class Likelihood:
    """A reconstruction likelihood by name, with its keyword arguments: `Likelihood("laplace", scale=0.5)`.

    Called with images and reconstructions, both (batch, H, W, C) in [-1, 1], it returns -log p(image | code) in nats, (batch,).
    Raises ValueError for an unknown name.
    """

    def __init__(self, name: str = "gaussian_optimal_variance", **arguments: float):
        if name not in RECONSTRUCTIONS:
            raise ValueError(f"unknown likelihood '{name}'; choose one of {', '.join(sorted(RECONSTRUCTIONS))}")
        self.name, self.arguments = name, arguments

    def __call__(self, images: ArrayLike, reconstructions: ArrayLike, sample_weight: ArrayLike | None = None) -> tf.Tensor:
        # what does not count must not set the variance
        weighted = {"sample_weight": sample_weight} if self.name == "gaussian_optimal_variance" else {}
        return RECONSTRUCTIONS[self.name](images, reconstructions, **weighted, **self.arguments)

    @property
    def is_density(self) -> bool:
        """Whether it is a density on [-1, 1]; else it is a cross-entropy."""
        return self.name in ("laplace", "gaussian", "gaussian_optimal_variance")

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, **self.arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**config)


# what models take as one: its name, or a function of images and reconstructions, too
Reconstruction: TypeAlias = Likelihood | str | Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
