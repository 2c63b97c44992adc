"""All measurements of a model on held-out images: reconstruction, likelihood, samples.

A `Candidate` is a few functions, so that an export, PCA and a model of another library are measured in the same way. A `Judge`
holds what all candidates share; its evaluators yield pairs (name, value). Images are float32 (n, H, W, C) in [-1, 1].
"""

import collections.abc
import dataclasses
import itertools
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from tqdm import tqdm

from keras_ae.data import pipeline
from keras_ae.errors import UserError
from keras_ae.images.pictures import to_float
from keras_ae.judge import distances, likelihood, metrics
from keras_ae.judge.features import extractor
from keras_ae.models.losses import RECONSTRUCTIONS, Likelihood

BATCH = 128


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A model to judge: functions of NumPy arrays of any length.

    encode: images -> dict with "z" (n, latent_dim), of a VAE "z_mean" and "z_log_var" too. decode: z -> images. generate:
    (n, seed) -> new images in [-1, 1]. neg_log_likelihood: (images, reconstructions) -> nats (n,), or None for a Gaussian whose
    variance is measured. refine: (images, z) -> better codes. codebook: of discrete codes, as a card has it.
    """

    name: str
    latent_dim: int
    encode: collections.abc.Callable
    decode: collections.abc.Callable
    generate: collections.abc.Callable | None = None
    neg_log_likelihood: collections.abc.Callable | None = None
    refine: collections.abc.Callable | None = None
    codebook: dict | None = None

    def rebuild(self, images):
        """Reconstructions of images, (n, H, W, C)."""
        z = self.encode(images)["z"]
        return self.decode(self.refine(images, z) if self.refine else z)


def read_likelihood(card):
    """The likelihood that an export was trained with, `models.losses.Likelihood`; None if its variance was not fixed."""
    table = card.get("configuration", {}).get("reconstruction", {"name": "gaussian_optimal_variance"})
    # a likelihood of somebody's own has no name here
    if table.get("name") not in RECONSTRUCTIONS or table["name"] == "gaussian_optimal_variance":
        return None
    return Likelihood(**table)


def export_candidate(model, name, refinement_steps=0):
    """An `Exported` model as a `Candidate`. refinement_steps: if any, reconstructions alone are judged, from refined codes."""

    def generate(n, seed):
        return to_float(model.generate(n, seed)[0])

    def refine(images, z):
        return model.refine(images, z, refinement_steps, progress="refining codes")

    if refinement_steps:
        return Candidate(name, model.latent_dim, lambda x: {"z": model.encode(x)}, model.decode, refine=refine)
    known = {"neg_log_likelihood": read_likelihood(model.card), "codebook": model.card.get("codebook")}
    return Candidate(name, model.latent_dim, model.codes, model.decode, generate, **known)


def name_folders(folders):
    """{name: folder}: the last part of each path, or the whole path if two last parts are equal."""
    short = [Path(folder).resolve().name for folder in folders]
    return dict(zip(short if len(set(short)) == len(short) else map(str, folders), folders, strict=True))


def load_images(models, directory):
    """The `ImageSet` to judge {name: Exported} on: that of `directory`, or the one that the first card names. Or UserError."""
    shapes = {(*model.shape, model.fit) for model in models.values()}
    if len(shapes) > 1:
        raise UserError(f"models of different image shapes cannot be compared: {', '.join(map(str, sorted(shapes)))}")
    ((*sides, channels, fit),) = shapes
    first = next(iter(models.values()))
    name = first.card.get("configuration", {}).get("data", {}).get("name", "folder")
    if directory:
        name, directory = pipeline.resolve(name, directory)
    elif name == "folder":
        raise UserError("name the folder of held-out picture files with `data`")
    return pipeline.load(name, directory, sides, channels, first.white, fit)


def warn_of_other_data(models, image_set):
    """A line for each of {name: Exported} that was trained on other images than these."""
    known = image_set.fingerprint
    others = [name for name, model in models.items() if model.card.get("data", {}).get("fingerprint", known) != known]
    return [f"{name} was trained on other images; it may have seen images that are held out here" for name in others]


def fit_pca(batches, latent_dim, most=2**28):
    """The baseline of a model: principal components of images, with a normal distribution over their scores, a `Candidate`.

    batches: of images (batch, H, W, C). most: values that are kept in memory, by default 1 GiB; images beyond them are not
    used. Large sets are decomposed by randomized subspace iteration (Halko et al. 2011, arXiv:0909.4061).
    """
    images = itertools.chain.from_iterable(batches)
    first = next(images)
    kept = itertools.islice(itertools.chain([first], images), max(1, most // first.size))
    rows = np.fromiter((image.ravel() for image in kept), np.dtype(("float32", first.size)))
    components = min(latent_dim, *rows.shape)
    pca = PCA(components, copy=False, iterated_power=7, n_oversamples=32, random_state=0).fit(rows)
    deviations = pca.singular_values_ / np.sqrt(len(rows))

    def decode(z):
        return np.reshape(pca.inverse_transform(z), (len(z), *first.shape))

    def generate(n, seed):
        scores = np.random.default_rng(seed).normal(size=(n, len(deviations))) * deviations
        return np.clip(decode(scores.astype("float32")), -1, 1)

    def encode(images):
        return {"z": pca.transform(np.reshape(images, (len(images), -1)))}

    return Candidate(f"PCA-{pca.n_components_}", pca.n_components_, encode, decode, generate)


class Judge:
    """The held-out images of an `ImageSet`, their features, and those of the training images.

    n: images to draw from each candidate. features: a name of `judge.features.FEATURES`. others: images from elsewhere to
    reconstruct too, or None. Raises UserError with fewer than 8 held-out images.
    """

    def __init__(self, image_set, n, features="gabor", seed=0, others=None):
        if image_set.n_test < 8:
            raise UserError(f"{image_set.n_test} held-out images are too few to judge a model; at least 8 are needed")
        self.image_set, self.seed, self.others = image_set, seed, others
        self.extract, self.features_name = extractor(features), features
        # in Inception's features, the distances have names of their own
        self.frechet_name, self.kernel_name = ("fid", "kid") if features == "inception" else (f"fd_{features}", "kernel")
        self.held_out = pipeline.examples(image_set, "test", min(5000, image_set.n_test))
        self.held_out_features = self.extract(self.held_out)
        self.training_features = np.concatenate([self.extract(images) for images in self._training()])
        _, self.held_out_to_training = distances.nearest(self.held_out_features, self.training_features)
        # as many real images as are drawn; the order by digest is random
        self.n = min(n, len(self.training_features))
        self.real = pipeline.examples(image_set, "train", self.n)

    def _training(self):
        return (batch["images"].numpy() for batch in pipeline.sample(self.image_set, BATCH))

    def warnings(self):
        """What a reader of the results must know, as lines."""
        n, known, all_known = len(self.held_out), len(self.training_features), self.image_set.n_train
        if n < 250:
            yield f"{n} held-out images are too few for metrics of samples, such as precision; use at least 250"
        if known < all_known:
            yield f"samples are compared with {known:,} of {all_known:,} training images; PCA is fitted to them"

    def baseline(self, latent_dim):
        """PCA of the training images with `latent_dim` components, as a candidate."""
        return fit_pca(self._training(), latent_dim)

    def reconstruction(self, candidate, images):
        """The numbers of `metrics.pool` with their 95 % intervals."""
        parts = (images[first : first + BATCH] for first in range(0, len(images), BATCH))
        values = metrics.per_image((part, candidate.rebuild(part)) for part in parts)
        yield "n", len(images)
        yield from metrics.pool(values).items()
        yield "intervals", metrics.intervals_of(metrics.pool, values)

    def codes(self, candidate):
        """The pairs of `metrics.code_usage`; none where codes are not discrete."""
        if candidate.codebook:
            yield from metrics.code_usage(candidate.encode(self.held_out)["z"], **candidate.codebook).items()

    def compare(self, images, features, intervals=True):
        """How images with these features compare with the held-out ones. intervals: they take twenty times as long."""

        def between(real, generated):
            return {
                self.frechet_name: distances.frechet(real, generated),
                self.kernel_name: distances.kernel(real, generated),
                **distances.manifold(real, generated),
            }

        yield "n", len(images)
        yield from between(self.held_out_features, features).items()
        if intervals:
            yield "intervals", metrics.intervals(between, self.held_out_features, features, groups=20)
        energies = (np.mean(metrics.gradient_energy(one)) for one in (images, self.held_out))
        yield "sharpness", float(np.divide(*energies))
        _, distance = distances.nearest(features, self.training_features)
        yield "nearest_training", float(np.median(distance) / np.median(self.held_out_to_training))

    def samples(self, candidate, shown=16):
        """`compare` for images drawn from a candidate, and arrays `drawn` and `nearest`; nothing without a generator."""
        if candidate.generate is None:
            return
        images = candidate.generate(self.n, self.seed)
        features = self.extract(images)
        yield from self.compare(images, features)
        index, _ = distances.nearest(features[:shown], self.training_features)
        yield "drawn", images[:64]
        yield "nearest", to_float(self.image_set.images["train"][index])

    def floor(self, intervals=True):
        """`compare` for training images as a dict: the best values that samples can reach."""
        # a training image is its own nearest one: the value of held-out images instead, 1 by definition
        return dict(self.compare(self.real, self.training_features[: self.n], intervals)) | {"nearest_training": 1.0}

    def examples(self, candidate):
        """Arrays to look at: 100 held-out images, their reconstructions and codes, and lines between four pairs of codes."""
        shown = self.held_out[:100]
        z = candidate.encode(shown)["z"]
        lines = [np.asarray(candidate.decode(np.linspace(z[2 * row], z[2 * row + 1], 10))) for row in range(4)]
        return {"originals": shown, "rebuilt": candidate.rebuild(shown), "z": z, "interpolations": lines}

    def measure(self, candidate):
        """All numbers of a candidate, as metrics.json has them, and arrays for the pictures of the report."""
        sections = {
            "reconstruction": self.reconstruction(candidate, self.held_out),
            "others": () if self.others is None else self.reconstruction(candidate, self.others),
            "codes": self.codes(candidate),
            # the variance of a Gaussian is measured on training images, never on those it is judged on
            "likelihood": likelihood.measure(candidate, self.held_out, self.real[:1000], self.seed),
            "samples": self.samples(candidate),
        }
        numbers, arrays = {"latent_dim": candidate.latent_dim}, self.examples(candidate)
        for name, pairs in sections.items():
            found = dict(pairs)
            arrays |= {key: found.pop(key) for key in list(found) if isinstance(found[key], np.ndarray)}
            numbers[name] = found or None
        return numbers, arrays

    def measure_all(self, makers):
        """`measure` the candidate that each of `makers` returns: {name: numbers}, {name: arrays}; a progress bar on stderr."""
        numbers, arrays = {}, {}
        for make in tqdm(makers, "judging", unit="model", disable=None, leave=False):
            candidate = make()
            numbers[candidate.name], arrays[candidate.name] = self.measure(candidate)
        return numbers, arrays
