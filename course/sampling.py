"""Codes as images, and images decoded from random codes and from codes of the fitted prior."""

import numpy as np

from course import charts, checks
from keras_ae.data import pipeline
from keras_ae.images import figures
from keras_ae.images.pictures import to_float
from keras_ae.judge import distances
from keras_ae.judge.features import extractor

MAPS = 4


def as_images(z, code_shape, shape):
    """Codes (n, latent_dim) as grey images, enlarged by whole pixels: {label: (n, H, W, C)}.

    code_shape: that of the model; a code that is a map (h, w, channels) gives an image for each of its first four channels.
    """
    low, high = np.percentile(z, (1, 99))
    grey = np.clip((z - low) / max(high - low, 1e-12), 0, 1) * 2 - 1
    if len(code_shape) == 3:
        maps = np.moveaxis(grey.reshape(len(z), *code_shape), 3, 0)[:MAPS]
    else:
        height = next(rows for rows in range(int(z.shape[1] ** 0.5), 0, -1) if z.shape[1] % rows == 0)
        maps = grey.reshape(1, len(z), height, -1)
    rows, columns = (np.arange(side) * maps.shape[axis] // side for axis, side in ((2, shape[0]), (3, shape[1])))
    enlarged = maps[:, :, rows][:, :, :, columns][..., None].repeat(shape[2], axis=4)
    return {f"code, map {index + 1}" if len(maps) > 1 else "code": image for index, image in enumerate(enlarged)}


def run(models, image_set, seed, folder, *, drawn=1000, held_out=10_000):
    """Frechet distances in Gabor features from held-out images: of samples, and of as many other held-out images."""
    # two for each covariance of real against real
    checks.need_images(image_set, 4)
    checks.need_unconditional(models)
    name, model = next(iter(models.items()))
    images = pipeline.examples(image_set, "test", held_out)
    z = model.encode(images)
    # uniform between the minimum and the maximum of each number, as in the lesson
    uniform = np.random.default_rng(seed).uniform(z.min(axis=0), z.max(axis=0), (drawn, z.shape[1])).astype("float32")
    random, fitted = model.decode(uniform), to_float(model.generate(drawn, seed)[0])
    shown = charts.images_in_row(images.shape[2])
    rows = {
        "original": images[:shown],
        **as_images(z[:shown], model.code_shape, model.shape),
        "rebuilt": model.decode(z[:shown]),
        "random codes": random[:shown],
        "": random[shown : 2 * shown],
        "fitted prior": fitted[:shown],
        " ": fitted[shown : 2 * shown],
    }
    title = f"{name}: codes, and images decoded from random codes"
    figures.rows(list(rows.values()), list(rows), folder / "sampling.png", title)
    extract = extractor("gabor")
    real = extract(images)
    # the distance depends on how many images are compared: the same numbers in each row
    apart = min(drawn, len(real) // 2)
    reference = real[apart:]
    return {
        "n": apart,
        "fd_gabor": {
            "random codes": distances.frechet(reference, extract(random[:apart])),
            "fitted prior": distances.frechet(reference, extract(fitted[:apart])),
            "real against real": distances.frechet(reference, real[:apart]),
        },
    }
