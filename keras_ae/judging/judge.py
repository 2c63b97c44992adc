"""Everything measured of a model on held-out pictures: reconstruction, likelihood, samples, smoothness.

A `Candidate` is four functions on NumPy arrays, so that an export, PCA and another library's model are measured by the same
lines. A `Judge` holds the data set's side of it, computed once for all candidates. Images are float32 (n, H, W, C) in [-1, 1].
"""

import collections.abc
import dataclasses

import numpy as np

from keras_ae.codes import paths as codes
from keras_ae.data import pipeline as data
from keras_ae.errors import UserError
from keras_ae.judging import baselines, distances, likelihood, metrics
from keras_ae.judging.features import extractor
from keras_ae.models import losses

BATCH = 128
# what the bounds are estimated from; 500 codes of a picture are decoded
BOUND_PICTURES = 128
BOUND_DRAWS = 500
BOUND_NAMES = {1: "elbo", 50: "importance_weighted_50", 500: "importance_weighted_500"}
# the variance of a Gaussian likelihood is set on training pictures, never on those it is measured on
VARIANCE_PICTURES = 1000
MOST_HELD_OUT = 5000
LEAST_HELD_OUT = 8
PATHS = 250
PATH_STEP = 1e-2
SHOWN = 16


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A model to judge, NumPy in and out.

    encode: images -> dict with "z" (n, latent_dim), of a VAE "z_mean" and "z_log_var" too. decode: z -> images.
    generate: (n, seed) -> new images in [-1, 1], or None where it cannot. neg_log_likelihood: (images, reconstructions) -> nats
    (n,), or None for a Gaussian whose variance is measured.
    """

    name: str
    latent_dim: int
    encode: collections.abc.Callable
    decode: collections.abc.Callable
    generate: collections.abc.Callable | None
    neg_log_likelihood: collections.abc.Callable | None = None

    def rebuild(self, images):
        return self.decode(self.encode(images)["z"])


def pca_candidate(pca):
    """PCA with a normal distribution over its scores."""
    latent_dim = pca.components.shape[1]
    return Candidate(
        f"PCA-{latent_dim}",
        latent_dim,
        lambda images: {"z": pca.encode(images)},
        pca.decode,
        lambda n, seed: np.clip(pca.decode(pca.sample(n, seed)), -1, 1),
    )


def batched(function, arrays):
    """Apply a function to BATCH rows at a time and join what it returns, arrays or dicts of arrays."""
    parts = [function(arrays[first : first + BATCH]) for first in range(0, len(arrays), BATCH)]
    if isinstance(parts[0], dict):
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return np.concatenate(parts)


def _drawn(z_mean, z_log_var, rng):
    return (z_mean + np.exp(z_log_var / 2) * rng.normal(size=z_mean.shape)).astype("float32")


class Judge:
    """The held-out pictures of a data set, their features, and those of the training pictures.

    pictures: `keras_ae.data.Pictures`. n: pictures drawn from each candidate. features: a name of `keras_ae.features.FEATURES`.
    """

    def __init__(self, pictures, n, features, seed):
        if pictures.n_test < LEAST_HELD_OUT:
            raise UserError(
                f"{pictures.n_test} held-out pictures are too few to judge by; at least {LEAST_HELD_OUT} are needed"
            )
        self.pictures = pictures
        self.seed = seed
        self.extract = extractor(features)
        # a distance named FID or KID is one in Inception's features
        self.names = {"frechet": "fid", "kernel": "kid"} if features == "inception" else {}
        self.features_name = features
        self.held_out = data.examples(pictures, "test", min(MOST_HELD_OUT, pictures.n_test))
        self.held_out_features = self.extract(self.held_out)
        self.training_features = np.concatenate([self.extract(images) for images in self._training()])
        _, self.held_out_to_training = distances.nearest(self.held_out_features, self.training_features)
        # as many real pictures as are drawn, for the floor; in the order of the digests, which is random
        self.n = min(n, pictures.n_train)
        self.real = data.examples(pictures, "train", self.n)

    def _training(self):
        return (batch["image"].numpy() for batch in data.batches(self.pictures, "train", BATCH))

    def baseline(self, latent_dim):
        """PCA of the training pictures with so many components, as a candidate."""
        return pca_candidate(baselines.fit_pca(self._training, latent_dim))

    def training_pictures(self, indices):
        """The training pictures with these numbers, in that order."""
        wanted, first = {}, 0
        for images in self._training():
            inside = [index for index in indices if first <= index < first + len(images)]
            wanted |= {index: images[index - first] for index in inside}
            first += len(images)
        return np.stack([wanted[index] for index in indices])

    def reconstruction(self, candidate):
        """The numbers of `metrics.pooled` with their 95 % bootstrap intervals."""
        batches = (self.held_out[first : first + BATCH] for first in range(0, len(self.held_out), BATCH))
        values = metrics.per_picture((images, candidate.rebuild(images)) for images in batches)
        return metrics.pooled(values) | {"intervals": metrics.intervals(values, metrics.pooled, self.seed)}

    def _likelihood_of(self, candidate):
        """(images, reconstructions) -> nats, and the variance it uses, if one."""
        if candidate.neg_log_likelihood:
            return candidate.neg_log_likelihood, None
        images = self.real[:VARIANCE_PICTURES]
        found = batched(candidate.encode, images)
        drawn = _drawn(found["z_mean"], found["z_log_var"], np.random.default_rng(self.seed))
        variance = float(np.mean(np.square(images - batched(candidate.decode, drawn))))
        return lambda images, rebuilt: losses.gaussian(images, rebuilt, variance=variance), variance

    def likelihood(self, candidate):
        """Bounds in nats and bits, rate and use of the latent space, and arrays to draw; None without a posterior."""
        found = batched(candidate.encode, self.held_out[:1])
        if "z_log_var" not in found:
            return None, {}
        found = batched(candidate.encode, self.held_out)
        z_mean, z_log_var = found["z_mean"], found["z_log_var"]
        neg_log_likelihood, variance = self._likelihood_of(candidate)
        rng = np.random.default_rng(self.seed)

        def nats_of(image, z):
            rebuilt = batched(candidate.decode, z.astype("float32"))
            return np.asarray(neg_log_likelihood(np.broadcast_to(image, rebuilt.shape), rebuilt))

        n = min(BOUND_PICTURES, len(self.held_out))
        weights = np.stack(
            [
                likelihood.log_weights(self.held_out[index], z_mean[index], z_log_var[index], nats_of, BOUND_DRAWS, rng)
                for index in range(n)
            ]
        )
        bounds = {BOUND_NAMES[k]: values for k, values in likelihood.bounds(weights, tuple(BOUND_NAMES)).items()}

        def mean(values, counts=None):
            return {name: float(np.average(array, weights=counts)) for name, array in values.items()}

        numbers = mean(bounds)
        dimensions = int(np.prod(self.held_out.shape[1:]))
        drawn = _drawn(z_mean, z_log_var, rng)
        rebuilt = batched(candidate.decode, drawn)
        rows = np.arange(len(rebuilt))
        distortion = batched(lambda rows: np.asarray(neg_log_likelihood(self.held_out[rows], rebuilt[rows])), rows)
        rates = likelihood.rate(z_mean, z_log_var)
        measured = {
            "n": n,
            "draws": BOUND_DRAWS,
            "variance": variance,
            "nats": numbers,
            "intervals": metrics.intervals(bounds, mean, self.seed),
            "bits_per_dimension": {k: likelihood.bits_per_dimension(-nats, dimensions) for k, nats in numbers.items()},
            "distortion": float(distortion.mean()),
            **likelihood.usage(z_mean, z_log_var),
            "kl_per_dimension": rates.mean(axis=0).tolist(),
        }
        return measured, {"rate": rates.sum(axis=1), "distortion": distortion}

    def compared(self, images, features):
        """How a set of pictures compares with the held-out ones: numbers with the half width of their 95 % interval."""

        def between(real, generated):
            numbers = {"frechet": distances.frechet(real, generated), "kernel": distances.kernel(real, generated)}
            numbers |= distances.manifold(real, generated) | {"diversity": distances.diversity(generated, real)}
            return {
                self.names.get(name, f"fd_{self.features_name}" if name == "frechet" else name): v
                for name, v in numbers.items()
            }

        numbers = between(self.held_out_features, features)
        _, distance = distances.nearest(features, self.training_features)
        patches = distances.sliced_wasserstein(self.held_out, images, self.seed)
        return {
            "n": len(images),
            **numbers,
            "half_widths": distances.jackknife(between, self.held_out_features, features),
            "sliced_wasserstein": {str(side): value for side, value in patches.items()},
            "sharpness": float(np.mean(metrics.gradient_energy(images)) / np.mean(metrics.gradient_energy(self.held_out))),
            "nearest_training": float(np.median(distance) / np.median(self.held_out_to_training)),
        }

    def samples(self, candidate):
        """`compared` for pictures drawn from a candidate, and arrays to draw; None where it draws none."""
        if candidate.generate is None:
            return None, {}
        images = candidate.generate(self.n, self.seed)
        features = self.extract(images)
        index, _ = distances.nearest(features[:SHOWN], self.training_features)
        arrays = {"samples": images[:64], "nearest": self.training_pictures(index.tolist())}
        return self.compared(images, features), arrays

    def floor(self):
        """`compared` for real pictures, as far from the held-out ones as chance takes them.

        They are training pictures, so the distance to the nearest training picture says nothing here: that of the held-out
        pictures, 1 by definition, is what it should be.
        """
        return self.compared(self.real, self.training_features[: self.n]) | {"nearest_training": 1.0}

    def smoothness(self, candidate):
        """Perceptual path length: mean squared change of the features per squared step along lines between codes.

        Karras et al. 2019 (arXiv:1812.04948), section 4.1, between held-out codes, in these features; lower is smoother.
        """
        z = batched(candidate.encode, self.held_out)["z"]
        rng = np.random.default_rng(self.seed)
        start, end = z[rng.integers(0, len(z), PATHS)], z[rng.integers(0, len(z), PATHS)]
        share = rng.uniform(0, 1 - PATH_STEP, (PATHS, 1))
        ends = [batched(candidate.decode, (start + t * (end - start)).astype("float32")) for t in (share, share + PATH_STEP)]
        change = np.square(self.extract(ends[0]) - self.extract(ends[1])).sum(axis=1) / PATH_STEP**2
        half_width = 1.96 * change.std() / np.sqrt(PATHS)
        return {"n": PATHS, "path_length": float(change.mean()), "half_widths": {"path_length": float(half_width)}}

    def judge(self, candidate):
        """All numbers of a candidate, as metrics.json has them, and arrays for the report's pictures."""
        bounds, curve = self.likelihood(candidate)
        drawn, arrays = self.samples(candidate)
        numbers = {
            "latent_dim": candidate.latent_dim,
            "reconstruction": self.reconstruction(candidate),
            "likelihood": bounds,
            "samples": drawn,
            "smoothness": self.smoothness(candidate),
        }
        shown = self.held_out[: 2 * SHOWN]
        z = batched(candidate.encode, self.held_out)["z"]
        arrays |= curve | {"originals": shown, "rebuilt": candidate.rebuild(shown), "z": z}
        pairs = [(2 * row, 2 * row + 1) for row in range(4)]
        arrays["interpolations"] = [np.asarray(candidate.decode(np.asarray(codes.linear(z[a], z[b], 10)))) for a, b in pairs]
        return numbers, arrays
