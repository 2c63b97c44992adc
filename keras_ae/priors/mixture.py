"""Densities over codes to draw new ones from.

Fitting a density to the codes after training repairs the samples of autoencoders and VAEs alike (Ghosh et al. 2020,
arXiv:1903.12436). scikit-learn is needed for fitting only; drawing is plain TensorFlow. To add a prior, write a subclass of
`prior.Prior` and name it in `PRIORS`.
"""

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Annotated, Any, Self

import numpy as np
import tensorflow as tf
from annotated_types import Ge, Le, MaxLen, MinLen
from numpy.typing import ArrayLike

from keras_ae.priors import philox
from keras_ae.priors.autoregressive import Autoregressive
from keras_ae.priors.flow import Flow
from keras_ae.priors.prior import Prior

Counts = Annotated[Sequence[Annotated[int, Ge(1), Le(1000)]], MinLen(1), MaxLen(16)]


def _draw_each(draw_one, latent_dim, n, first):
    """Codes (n, latent_dim) that a function draws one by one, from their numbers in a sequence."""
    return tf.map_fn(draw_one, first + tf.range(n), fn_output_signature=tf.TensorSpec((latent_dim,), tf.float32))


@dataclasses.dataclass(frozen=True)
class Mixture(Prior):
    """A Gaussian mixture with full covariances, one for all classes.

    weights: (K,), sum 1. means: (K, latent_dim). scales: (K, latent_dim, latent_dim), lower Cholesky factors of the
    covariances. All float32. Temperature scales the deviation from the mean of a component.
    """

    weights: np.ndarray
    means: np.ndarray
    scales: np.ndarray

    @classmethod
    def fit(cls, codes: ArrayLike, seed: int = 0, *others: Any, components: Counts = (1, 5, 10, 20)) -> Self:
        """Fit a mixture to codes (n, latent_dim), or (views, n, latent_dim), with scikit-learn; nothing else plays a role.

        Numbers of components are tried in ascending order, as long as the likelihood of a held-out tenth of the codes rises.
        Fewer are used where there are fewer than 2 * latent_dim codes for each. A thousandth of the codes' variance is added to
        the diagonals of the covariances, so that small data sets and unused dimensions stay well-conditioned. The first 10,000
        codes are used.
        """
        codes = np.asarray(codes)
        codes = codes.reshape(-1, codes.shape[-1])[:10_000].astype("float64")
        # scikit-learn takes no single code
        codes = np.repeat(codes, 2, axis=0) if len(codes) == 1 else codes
        n, latent_dim = codes.shape
        counts = sorted({max(1, min(count, n // (2 * latent_dim))) for count in components})
        regular = 1e-3 * float(codes.var(axis=0).mean()) + 1e-6
        options = {"reg_covar": regular, "max_iter": 300, "random_state": seed}
        best = _best_trial(codes, counts, options) if len(counts) > 1 else None
        count = best.n_components if best else counts[0]
        # until a code's log-likelihood rises by less than 0.01 nats an iteration
        known = {f"{name}_init": getattr(best, f"{name}_") for name in ("weights", "means", "precisions")} if best else {}
        mixture = _fit(codes, count, tol=1e-2, **options, **known)
        arrays = mixture.weights_, mixture.means_, np.linalg.cholesky(mixture.covariances_)
        return cls(*(array.astype("float32") for array in arrays))

    @property
    def latent_dim(self) -> int:
        """Length of a code."""
        return self.means.shape[1]

    def _draw(self, n, seed, temperature, first, labels):
        means, scales = tf.constant(self.means), tf.constant(self.scales)
        sums = tf.constant(philox.cumulate(np.log(self.weights)))

        def draw(index):
            # as tf.random.stateless_categorical on processors; on GPUs it draws other numbers
            words = tf.random.stateless_uniform((2,), tf.stack([seed, 2 * index]), None, None, tf.uint32)
            high, low = tf.unstack(tf.cast(words, tf.int64))
            uniform = tf.cast((high % 2**20) * 2**32 + low, tf.float64) / 2**52
            component = tf.searchsorted(sums, uniform[None] * sums[-1], side="right")[0]
            epsilon = tf.random.stateless_normal(means.shape[1:], tf.stack([seed, 2 * index + 1]))
            return means[component] + temperature * tf.linalg.matvec(scales[component], epsilon)

        return _draw_each(draw, self.latent_dim, n, first)

    def pool(self, n: int, seed: int = 0, label: ArrayLike | None = None) -> np.ndarray:
        """Draw n codes (n, latent_dim) at once, for training: many times as fast as `sample`, and other codes."""
        random = np.random.default_rng((n, seed))
        weights = self.weights.astype("float64")
        counts = random.multinomial(n, weights / weights.sum())
        noise = np.split(random.normal(size=(n, self.latent_dim)).astype("float32"), np.cumsum(counts)[:-1])
        parts = zip(self.means, self.scales, noise, strict=True)
        return random.permutation(np.concatenate([mean + rows @ scale.T for mean, scale, rows in parts]))


@dataclasses.dataclass(frozen=True)
class Normal(Prior):
    """The standard normal prior N(0, I) of a VAE, independent of the codes. latent_dim: length of a code."""

    latent_dim: int

    @classmethod
    def fit(cls, codes: ArrayLike, *others: Any) -> Self:
        """N(0, I) over codes of the length of `codes` (..., latent_dim); nothing else plays a role."""
        return cls(np.shape(codes)[-1])

    def _draw(self, n, seed, temperature, first, labels):
        def draw(index):
            # the even numbers of the sequence choose the only component
            return temperature * tf.random.stateless_normal((self.latent_dim,), tf.stack([seed, 2 * index + 1]))

        return _draw_each(draw, self.latent_dim, n, first)

    def pool(self, n: int, seed: int = 0, label: ArrayLike | None = None) -> np.ndarray:
        """Draw n codes (n, latent_dim) at once, as `Mixture.pool` does."""
        return np.random.default_rng((n, seed)).normal(size=(n, self.latent_dim)).astype("float32")


PRIORS = {"mixture": Mixture, "flow": Flow, "autoregressive": Autoregressive, "normal": Normal}


def _best_trial(codes, counts, options):
    """The short fit to nine tenths of the codes after which the likelihood of the others no longer rises."""
    # codes come in the order of their images' digests, which is random
    held_out = np.arange(len(codes)) % 10 == 0
    best, most = None, -np.inf
    for count in counts:
        trial = _fit(codes[~held_out], count, tol=0.1, **options)
        score = trial.score(codes[held_out])
        if score <= most:
            break
        best, most = trial, score
    return best


def _fit(codes, count, **options):
    """A mixture of scikit-learn, fitted to codes."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    # a density that could still be a little likelier is one, too
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        return GaussianMixture(count, **options).fit(codes)


def save_prior(prior, path):
    """Write a prior and its name to the npz file `path`."""
    name = next(name for name, cls in PRIORS.items() if cls is type(prior))
    with open(path, "wb") as file:
        np.savez(file, prior=name, **dataclasses.asdict(prior))


def load_prior(path):
    """The prior that `save_prior` wrote to `path`."""
    with np.load(path) as file:
        arrays = {name: array if array.ndim else array.item() for name, array in file.items()}
    return PRIORS[arrays.pop("prior")](**arrays)
