"""All measurements of a model on held-out images: reconstruction, likelihood, samples, smoothness.

A `Candidate` is four functions on NumPy arrays, so that an export, PCA and a model of another library are measured in the same
way. A `Judge` holds what all candidates share, computed once. Images are float32 (n, H, W, C) in [-1, 1].
"""

import collections.abc
import dataclasses
import functools

import numpy as np

from keras_ae.data import pipeline
from keras_ae.errors import UserError
from keras_ae.judge import baselines, distances, likelihood, metrics
from keras_ae.judge.features import extractor
from keras_ae.judge.recognition import Recognition
from keras_ae.priors import space

BATCH = 128
# a Gaussian's variance is measured on training images, never on those it is judged on
VARIANCE_IMAGES = 1000
MOST_HELD_OUT = 5000
LEAST_HELD_OUT = 8
# with fewer held-out images, distances between sets of samples say little
ENOUGH_HELD_OUT = 250
PATHS = 250
PATH_STEP = 1e-2
SHOWN = 16
MAPPED = 100


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A model to judge: functions of NumPy arrays of any length.

    encode: images -> dict with "z" (n, latent_dim), of a VAE "z_mean" and "z_log_var" too. decode: z -> images.
    generate: (n, seed) -> new images in [-1, 1], or None without a generator. neg_log_likelihood: (images, reconstructions) ->
    nats (n,), or None for a Gaussian whose variance is measured. refine: (images, z) -> codes that are better for
    reconstructions, or None.
    """

    name: str
    latent_dim: int
    encode: collections.abc.Callable
    decode: collections.abc.Callable
    generate: collections.abc.Callable | None
    neg_log_likelihood: collections.abc.Callable | None = None
    refine: collections.abc.Callable | None = None

    def rebuild(self, images):
        """Reconstructions of images, (n, H, W, C)."""
        z = self.encode(images)["z"]
        return self.decode(self.refine(images, z) if self.refine else z)


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


class Judge:
    """The held-out images of a data set, their features, and those of the training images.

    image_set: `keras_ae.data.pipeline.ImageSet`. n: images to draw from each candidate. features: a name of
    `keras_ae.judge.features.FEATURES`. importance_images, importance_draws: how many images importance-weighted estimates
    are computed on, and from how many codes of each. others: images from elsewhere to reconstruct too, or None. recognition:
    whether `recognition.Recognition` gives its opinion, too. Raises UserError with fewer than 8 held-out images.
    """

    def __init__(
        self, image_set, n, features, seed, importance_images=128, importance_draws=500, others=None, recognition=False
    ):
        if image_set.n_test < LEAST_HELD_OUT:
            raise UserError(
                f"{image_set.n_test} held-out images are too few to judge a model; at least {LEAST_HELD_OUT} are needed"
            )
        self.image_set = image_set
        self.seed = seed
        self.others = others
        self.importance = {"n": importance_images, "draws": importance_draws}
        self.extract = extractor(features, image_set)
        self.features_name = features
        # in Inception's features, the distances have names of their own
        self.frechet_name, self.kernel_name = ("fid", "kid") if features == "inception" else (f"fd_{features}", "kernel")
        self.held_out = pipeline.examples(image_set, "test", min(MOST_HELD_OUT, image_set.n_test))
        self.recognition = Recognition(self.held_out) if recognition else None
        self.held_out_features = self.extract(self.held_out)
        self.training_features = np.concatenate([self.extract(images) for images in self._training()])
        _, self.held_out_to_training = distances.nearest(self.held_out_features, self.training_features)
        # as many real images as are drawn; the order by digest is random
        self.n = min(n, len(self.training_features))
        self.real = pipeline.examples(image_set, "train", self.n)

    @functools.cached_property
    def _variance_images(self):
        return pipeline.examples(self.image_set, "train", VARIANCE_IMAGES)

    def _training(self):
        return (batch["images"].numpy() for batch in pipeline.sample(self.image_set, BATCH))

    def warnings(self):
        """What a reader of the results must know: a list of lines."""
        found, known = [], len(self.training_features)
        if len(self.held_out) < ENOUGH_HELD_OUT:
            found.append(
                f"{len(self.held_out)} held-out images are too few for metrics of samples, such as precision and recall; "
                f"use at least {ENOUGH_HELD_OUT}"
            )
        if known < self.image_set.n_train:
            found.append(
                f"samples are compared with {known:,} of {self.image_set.n_train:,} training images; PCA is fitted to them"
            )
        return found

    def baseline(self, latent_dim):
        """PCA of the training images with `latent_dim` components, as a candidate."""
        return pca_candidate(baselines.fit_pca(self._training, latent_dim))

    def training_images(self, indices):
        """The training images with these numbers, in that order."""
        wanted, first = {}, 0
        for images in self._training():
            inside = [index for index in indices if first <= index < first + len(images)]
            wanted |= {index: images[index - first] for index in inside}
            first += len(images)
        return np.stack([wanted[index] for index in indices])

    def reconstruction(self, candidate, images):
        """The numbers of `metrics.pooled` with their 95 % bootstrap intervals."""
        opinions = []

        def pairs():
            for first in range(0, len(images), BATCH):
                part = images[first : first + BATCH]
                rebuilt = candidate.rebuild(part)
                if self.recognition:
                    opinions.append(self.recognition.compared(part, np.clip(rebuilt, -1, 1)))
                yield part, rebuilt

        values = metrics.per_image(pairs())
        if opinions:
            values |= {name: np.concatenate([opinion[name] for opinion in opinions]) for name in opinions[0]}
        return metrics.pooled(values) | {"intervals": metrics.intervals(values, metrics.pooled, self.seed)}

    def likelihood(self, candidate):
        """The numbers and arrays of `likelihood.measure`; (None, {}) for a candidate without a posterior."""
        return likelihood.measure(candidate, self.held_out, self._variance_images, self.seed, **self.importance)

    def compared(self, images, features, intervals=True):
        """Comparison of a set of images with the held-out ones: numbers, and half the width of their 95 % intervals.

        intervals: whether these are computed, which takes twenty times as long as the numbers.
        """

        def between(real, generated):
            return {
                self.frechet_name: distances.frechet(real, generated),
                self.kernel_name: distances.kernel(real, generated),
                **distances.manifold(real, generated),
                "diversity": distances.diversity(generated, real),
            }

        _, distance = distances.nearest(features, self.training_features)
        opinion = {"recognized": float(self.recognition.recognized(images).mean())} if self.recognition else {}
        patches = distances.sliced_wasserstein(self.held_out, images, self.seed)
        return {
            "n": len(images),
            **between(self.held_out_features, features),
            **opinion,
            **({"half_widths": distances.jackknife(between, self.held_out_features, features)} if intervals else {}),
            "sliced_wasserstein": {str(side): value for side, value in patches.items()},
            "sharpness": float(np.mean(metrics.gradient_energy(images)) / np.mean(metrics.gradient_energy(self.held_out))),
            "nearest_training": float(np.median(distance) / np.median(self.held_out_to_training)),
        }

    def samples(self, candidate):
        """`compared` for images drawn from a candidate, and arrays to draw; (None, {}) without a generator."""
        if candidate.generate is None:
            return None, {}
        images = candidate.generate(self.n, self.seed)
        features = self.extract(images)
        index, _ = distances.nearest(features[:SHOWN], self.training_features)
        arrays = {"samples": images[:64], "nearest": self.training_images(index.tolist())}
        return self.compared(images, features), arrays

    def floor(self, intervals=True):
        """`compared` for real images: the best values that samples can reach.

        They are training images, so that their distance to the nearest training image is 0; it is replaced by that of held-out
        images, which is 1 by definition.
        """
        return self.compared(self.real, self.training_features[: self.n], intervals) | {"nearest_training": 1.0}

    def smoothness(self, candidate):
        """Perceptual path length: mean squared change of the features per squared step along lines between codes.

        Karras et al. 2019 (arXiv:1812.04948), section 4.1, between held-out codes, in these features; lower is smoother.
        """
        z = candidate.encode(self.held_out)["z"]
        rng = np.random.default_rng(self.seed)
        start, end = z[rng.integers(0, len(z), PATHS)], z[rng.integers(0, len(z), PATHS)]
        share = rng.uniform(0, 1 - PATH_STEP, (PATHS, 1))
        ends = [candidate.decode((start + t * (end - start)).astype("float32")) for t in (share, share + PATH_STEP)]
        change = np.square(self.extract(ends[0]) - self.extract(ends[1])).sum(axis=1) / PATH_STEP**2
        half_width = 1.96 * change.std() / np.sqrt(PATHS)
        return {"n": PATHS, "path_length": float(change.mean()), "half_widths": {"path_length": float(half_width)}}

    def judge(self, candidate):
        """All numbers of a candidate, as metrics.json has them, and arrays for the pictures of the report."""
        likelihoods, rates = self.likelihood(candidate)
        samples, drawn = self.samples(candidate)
        numbers = {
            "latent_dim": candidate.latent_dim,
            "reconstruction": self.reconstruction(candidate, self.held_out),
            "others": None if self.others is None else self.reconstruction(candidate, self.others),
            "likelihood": likelihoods,
            "samples": samples,
            "smoothness": self.smoothness(candidate),
        }
        shown = self.held_out[:MAPPED]
        z = candidate.encode(shown)["z"]
        pairs = [(2 * row, 2 * row + 1) for row in range(4)]
        lines = [np.asarray(candidate.decode(space.linear(z[a], z[b], 10))) for a, b in pairs]
        arrays = {"originals": shown, "rebuilt": candidate.rebuild(shown), "z": z, "interpolations": lines}
        return numbers, rates | drawn | arrays
