"""Densities over codes to draw new ones from: a Gaussian mixture, of which N(0, I) is the one with a single component.

Fitting a density to the codes after training repairs the samples of autoencoders and VAEs alike (Ghosh et al. 2020,
arXiv:1903.12436). scikit-learn is needed for fitting only; drawing is plain TensorFlow and a pure function of the seed.
"""

import dataclasses

import numpy as np

# more change little, and take long
MOST = 10_000


@dataclasses.dataclass(frozen=True)
class Mixture:
    """weights (K,) summing to 1, means (K, latent_dim), scales (K, latent_dim, latent_dim): lower Cholesky factors. float32."""

    weights: np.ndarray
    means: np.ndarray
    scales: np.ndarray

    def save(self, path):
        with open(path, "wb") as file:
            np.savez(file, **dataclasses.asdict(self))

    @classmethod
    def load(cls, path):
        with np.load(path) as arrays:
            return cls(**arrays)

    def sample(self, first, n, seed, temperature):
        """Draw codes `first` ... `first + n - 1` of the endless sequence that `seed` names, (n, latent_dim) float32.

        Code i depends on (seed, i) alone, so a long sequence can be drawn in pieces. `temperature` scales the spread around
        each component's mean. All arguments are TensorFlow scalars.
        """
        import tensorflow as tf

        logits = tf.math.log(self.weights)[None]
        means, scales = tf.constant(self.means), tf.constant(self.scales)

        def draw(index):
            component = tf.random.stateless_categorical(logits, 1, tf.stack([seed, 2 * index]))[0, 0]
            epsilon = tf.random.stateless_normal(means.shape[1:], tf.stack([seed, 2 * index + 1]))
            return means[component] + temperature * tf.linalg.matvec(scales[component], epsilon)

        return tf.map_fn(draw, first + tf.range(n), fn_output_signature=tf.TensorSpec(means.shape[1:], tf.float32))


def normal(latent_dim):
    """The standard normal prior N(0, I) of a VAE."""
    return Mixture(
        weights=np.ones(1, "float32"),
        means=np.zeros((1, latent_dim), "float32"),
        scales=np.eye(latent_dim, dtype="float32")[None],
    )


def _fitted(codes, components, regularisation, seed):
    from sklearn.mixture import GaussianMixture

    return GaussianMixture(components, reg_covar=regularisation, random_state=seed).fit(codes)


def fit(codes, seed, *, components: list[int] = (1, 5, 10, 20)):
    """Fit a full-covariance Gaussian mixture to codes (n, latent_dim) with scikit-learn.

    Where several numbers of components are given, the one is taken under which a tenth of the codes, held out, is likeliest.
    Fewer are used where there are fewer than 2 * latent_dim codes for each, and the covariance's diagonal gets a thousandth of
    the codes' variance, so that small data sets and unused dimensions stay well-conditioned. The first 10,000 codes are used.
    """
    codes = codes[:MOST].astype("float64")
    n, latent_dim = codes.shape
    choices = sorted({max(1, min(count, n // (2 * latent_dim))) for count in components})
    regularisation = 1e-3 * float(codes.var(axis=0).mean()) + 1e-6
    chosen = choices[0]
    if len(choices) > 1:
        # codes come in the order of their pictures' digests, which is random
        held_out = np.arange(n) % 10 == 0
        tried = [_fitted(codes[~held_out], count, regularisation, seed).score(codes[held_out]) for count in choices]
        chosen = choices[int(np.argmax(tried))]
    mixture = _fitted(codes, chosen, regularisation, seed)
    return Mixture(
        weights=mixture.weights_.astype("float32"),
        means=mixture.means_.astype("float32"),
        scales=np.linalg.cholesky(mixture.covariances_).astype("float32"),
    )
