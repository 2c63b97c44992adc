"""Metrics of reconstructions: numbers of each image, pooled over a set, with intervals.

Images are float32 (batch, height, width, channels) in [-1, 1]; reconstructions are clipped to it.
"""

import collections

import numpy as np
import tensorflow as tf
from scipy.stats import entropy

from keras_ae.images.pictures import psnr

WINDOW = 11  # pixels of the side of a window of SSIM


def ssim(images, reconstructions):
    """Structural similarity of each pair, (batch,), Wang et al. 2004, on [0, 1]."""
    return tf.image.ssim((images + 1) / 2, (reconstructions + 1) / 2, max_val=1.0, filter_size=WINDOW)


def code_usage(z, entries, channels):
    """Use of a codebook by discrete codes z (n, latent_dim), whose cells have so many channels: a dict of numbers.

    used: share of the entries that occur. perplexity: exp of their entropy. bits: of a code, where each entry takes as many.
    """
    _, counts = np.unique(np.reshape(z, (-1, channels)), axis=0, return_counts=True)
    perplexity, bits = np.exp(entropy(counts)), z.shape[1] / channels * np.log2(entries)
    return {"entries": entries, "used": len(counts) / entries, "perplexity": float(perplexity), "bits": float(bits)}


def gradient_energy(images):
    """Mean absolute difference of neighbouring pixels of each image, (batch,): how much fine structure it has."""
    down = tf.reduce_mean(tf.abs(images[:, 1:] - images[:, :-1]), axis=[1, 2, 3])
    right = tf.reduce_mean(tf.abs(images[:, :, 1:] - images[:, :, :-1]), axis=[1, 2, 3])
    return (down + right) / 2


def per_image(pairs):
    """Compare batches of images with their reconstructions, pairs (images, rebuilt): a dict of float64 arrays (n,).

    mse and l1 per pixel on [-1, 1], `ssim` where images are large enough, and the gradient energies of both.
    """
    collected = collections.defaultdict(list)
    for images, rebuilt in pairs:
        rebuilt = tf.clip_by_value(rebuilt, -1.0, 1.0)
        terms = {
            "mse": tf.reduce_mean(tf.square(images - rebuilt), axis=[1, 2, 3]),
            "l1": tf.reduce_mean(tf.abs(images - rebuilt), axis=[1, 2, 3]),
            "energy": gradient_energy(images),
            "rebuilt_energy": gradient_energy(rebuilt),
        }
        if min(images.shape[1:3]) >= WINDOW:
            terms["ssim"] = ssim(images, rebuilt)
        for name, values in terms.items():
            collected[name].append(np.asarray(values, "float64"))
    return {name: np.concatenate(values) for name, values in collected.items()}


def means(values):
    """The means of numbers of each image, {name: (n,)}."""
    return {name: float(array.mean()) for name, array in values.items()}


def pool(values):
    """Numbers of a whole set from those of `per_image`: means, the psnr in dB of the pooled mse, and the ratio of energies."""
    mean = means(values)
    numbers = {name: mean[name] for name in ("mse", "l1", "ssim") if name in mean}
    return numbers | {"psnr": psnr(mean["mse"]), "sharpness": mean["rebuilt_energy"] / max(mean["energy"], 1e-12)}


def intervals(statistic, *sets, groups=100):
    """The 95 % interval [low, high] of each number of `statistic(*sets)`, a dict; none of a single image. sets: (n, ...) each.

    The delete-a-group jackknife (Kott 2001): a bootstrap would put copies of an image into a set, and distances between sets
    measure copies as a lack of variety.
    """
    groups = min(groups, *map(len, sets))
    if groups < 2:
        return {}
    parts = [np.arange(len(values)) % groups for values in sets]
    left = [statistic(*(x[part != group] for x, part in zip(sets, parts, strict=True))) for group in range(groups)]
    found = {}
    for name, value in statistic(*sets).items():
        half = 1.96 * np.std([numbers[name] for numbers in left]) * np.sqrt(groups - 1)
        found[name] = [float(value - half), float(value + half)]
    return found


def intervals_of(statistic, values):
    """The `intervals` of a statistic, such as `pool`, of the numbers of each image, {name: (n,)}."""
    return intervals(lambda *some: statistic(dict(zip(values, some, strict=True))), *values.values())


def reconstruction(pairs):
    """The number n of images and those of `pool`, for batches of images and their reconstructions, pairs (images, rebuilt)."""
    values = per_image(pairs)
    return {"n": len(values["mse"])} | pool(values)
