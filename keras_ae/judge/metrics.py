"""Metrics of reconstructions: numbers of each image, pooled over a set, with intervals.

Images are float32 (batch, height, width, channels) in [-1, 1]; reconstructions are clipped to it.
"""

import numpy as np
import scipy.stats
import tensorflow as tf

from keras_ae.images.pictures import psnr

# the weights of the three finest of the five scales of Wang et al. 2003, made to sum to 1
SCALE_WEIGHTS = np.array([0.0448, 0.2856, 0.3001]) / (0.0448 + 0.2856 + 0.3001)
WINDOW = 11  # pixels


def ssim(images, reconstructions):
    """Structural similarity of each pair, (batch,), Wang et al. 2004 with an 11-pixel Gaussian window, on [0, 1].

    None for images smaller than the window.
    """
    if min(images.shape[1:3]) < WINDOW:
        return None
    return tf.image.ssim((images + 1) / 2, (reconstructions + 1) / 2, max_val=1.0, filter_size=WINDOW)


def ms_ssim(images, reconstructions):
    """Structural similarity on three scales of each pair, (batch,), Wang et al. 2003, on [0, 1].

    None where the coarsest scale, a quarter of the side, is smaller than the window.
    """
    if min(images.shape[1:3]) < 4 * WINDOW:
        return None
    pair = (images + 1) / 2, (reconstructions + 1) / 2
    return tf.image.ssim_multiscale(*pair, max_val=1.0, power_factors=tuple(SCALE_WEIGHTS), filter_size=WINDOW)


def gradient_energy(images):
    """Mean absolute difference of neighbouring pixels of each image, (batch,): how much fine structure it has."""
    down = tf.reduce_mean(tf.abs(images[:, 1:] - images[:, :-1]), axis=[1, 2, 3])
    right = tf.reduce_mean(tf.abs(images[:, :, 1:] - images[:, :, :-1]), axis=[1, 2, 3])
    return (down + right) / 2


def per_image(pairs):
    """Compare batches of images with their reconstructions, pairs (images, rebuilt): a dict of float64 arrays (n,).

    mse and l1 per pixel on [-1, 1], ssim, ms_ssim, and the gradient energies `energy` and `rebuilt_energy`; the similarities
    are left out where images are too small for them.
    """
    collected = {}
    for images, rebuilt in pairs:
        rebuilt = tf.clip_by_value(rebuilt, -1.0, 1.0)
        terms = {
            "mse": tf.reduce_mean(tf.square(images - rebuilt), axis=[1, 2, 3]),
            "l1": tf.reduce_mean(tf.abs(images - rebuilt), axis=[1, 2, 3]),
            "ssim": ssim(images, rebuilt),
            "ms_ssim": ms_ssim(images, rebuilt),
            "energy": gradient_energy(images),
            "rebuilt_energy": gradient_energy(rebuilt),
        }
        for name, values in terms.items():
            if values is not None:
                collected.setdefault(name, []).append(np.asarray(values, "float64"))
    return {name: np.concatenate(values) for name, values in collected.items()}


def pool(values):
    """Numbers of a whole set from those of `per_image`.

    Returns n, mse, l1, psnr in dB of the pooled mse, ssim and ms_ssim where they are present, and sharpness: the gradient
    energy of the reconstructions divided by that of the originals (1: equally sharp).
    """
    mean = {name: float(array.mean()) for name, array in values.items()}
    numbers = {"n": len(values["mse"]), "mse": mean["mse"], "l1": mean["l1"], "psnr": psnr(mean["mse"])}
    numbers |= {name: mean[name] for name in ("ssim", "ms_ssim") if name in mean}
    return numbers | {"sharpness": mean["rebuilt_energy"] / max(mean["energy"], 1e-12)}


def interval(statistic, *samples, seed=0, resamples=1000):
    """The 95 % percentile-bootstrap interval over images (Efron 1979) of `statistic(*samples, axis)`: [low, high].

    samples: arrays (n,) of numbers of the same images.
    """
    options = {"n_resamples": resamples, "batch": 100, "method": "percentile", "paired": True, "vectorized": True}
    found = scipy.stats.bootstrap(samples, statistic, rng=np.random.default_rng(seed), **options)
    return [float(end) for end in found.confidence_interval]


def intervals(values, seed, resamples=1000):
    """The `interval` of each number of `pool`, from those of `per_image`: {name: [low, high]}."""

    def of(statistic, *names):
        return interval(statistic, *(values[name] for name in names), seed=seed, resamples=resamples)

    def decibels(mse, axis):
        return 10 * np.log10(4 / np.maximum(mse.mean(axis), 1e-12))

    def sharpness(rebuilt, original, axis):
        return rebuilt.mean(axis) / np.maximum(original.mean(axis), 1e-12)

    found = {name: of(np.mean, name) for name in ("mse", "l1", "ssim", "ms_ssim") if name in values}
    return found | {"psnr": of(decibels, "mse"), "sharpness": of(sharpness, "rebuilt_energy", "energy")}


def reconstruction(pairs):
    """The numbers of `pool` for batches of images and their reconstructions, pairs (images, rebuilt)."""
    return pool(per_image(pairs))
