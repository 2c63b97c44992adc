"""How close reconstructions are to their originals, pooled over a whole data set.

Images are float32 (batch, height, width, channels) in [-1, 1]; reconstructions are clipped to it.
"""

import numpy as np
import tensorflow as tf


def psnr(mse):
    """Peak signal-to-noise ratio in dB of a mean squared error on [-1, 1], whose peak is 2."""
    return float(10 * np.log10(4 / max(mse, 1e-12)))


def ssim(images, reconstructions):
    """Structural similarity of each pair, (batch,), Wang et al. 2004 with an 11-pixel Gaussian window, on [0, 1].

    None for pictures smaller than the window.
    """
    if min(images.shape[1:3]) < 11:
        return None
    return tf.image.ssim((images + 1) / 2, (reconstructions + 1) / 2, max_val=1.0)


def gradient_energy(images):
    """Mean absolute difference of neighbouring pixels of each picture, (batch,): how much fine structure it holds."""
    down = tf.reduce_mean(tf.abs(images[:, 1:] - images[:, :-1]), axis=[1, 2, 3])
    right = tf.reduce_mean(tf.abs(images[:, :, 1:] - images[:, :, :-1]), axis=[1, 2, 3])
    return (down + right) / 2


def reconstruction(batches, rebuild):
    """Compare every batch of images with `rebuild(images)`.

    Returns a dict: n, mse and l1 per pixel on [-1, 1], psnr in dB of the pooled mse, ssim, and sharpness: the gradient energy
    of the reconstructions over that of the originals (1 is as sharp).
    """
    sums = {}
    for images in batches:
        rebuilt = tf.clip_by_value(rebuild(images), -1.0, 1.0)
        terms = {
            "n": tf.ones(len(images)),
            "mse": tf.reduce_mean(tf.square(images - rebuilt), axis=[1, 2, 3]),
            "l1": tf.reduce_mean(tf.abs(images - rebuilt), axis=[1, 2, 3]),
            "ssim": ssim(images, rebuilt),
            "energy": gradient_energy(images),
            "rebuilt_energy": gradient_energy(rebuilt),
        }
        for name, values in terms.items():
            if values is not None:
                sums[name] = sums.get(name, 0.0) + float(tf.reduce_sum(tf.cast(values, "float64")))
    n = sums["n"]
    measured = {"n": int(n), "mse": sums["mse"] / n, "l1": sums["l1"] / n, "psnr": psnr(sums["mse"] / n)}
    if "ssim" in sums:
        measured["ssim"] = sums["ssim"] / n
    measured["sharpness"] = sums["rebuilt_energy"] / max(sums["energy"], 1e-12)
    return measured
