"""Properties of pictures that can be read from their pixels, without labels: images float32 (n, H, W, C) in [-1, 1] -> (n,).

The middle of a picture is a disk of 0.3 of its shorter side around the centre; the corners are four squares of an eighth of it.
In cat faces, the middle is the face, and its lower half the muzzle.
"""

import numpy as np


def _middle(images):
    height, width = images.shape[1:3]
    rows, columns = np.ogrid[:height, :width]
    return np.hypot(rows - (height - 1) / 2, columns - (width - 1) / 2) < 0.3 * min(height, width)


def _lightness(images):
    # of red, green and blue in the brightness of a colour (ITU-R BT.601)
    return images @ np.array([0.299, 0.587, 0.114], "float32") if images.shape[-1] == 3 else images[..., 0]


def brightness(images):
    """Mean lightness of the middle."""
    return _lightness(images)[:, _middle(images)].mean(axis=1)


def background(images):
    """Mean lightness of the corners."""
    places = [np.arange(side) for side in images.shape[1:3]]
    rows, columns = (np.minimum(place, place[::-1]) < min(images.shape[1:3]) // 8 for place in places)
    return _lightness(images)[:, rows[:, None] & columns].mean(axis=1)


def warmth(images):
    """Red minus blue of the middle; 0 for grey images."""
    return (images[..., 0] - images[..., -1])[:, _middle(images)].mean(axis=1)


def muzzle(images):
    """Lightness of the lower half of the middle minus that of its upper half."""
    lightness, height = _lightness(images), images.shape[1]
    middle, lower = _middle(images), np.arange(height)[:, None] >= height // 2
    return lightness[:, middle & lower].mean(axis=1) - lightness[:, middle & ~lower].mean(axis=1)


def side_light(images):
    """Lightness of the right half of the middle minus that of its left half."""
    return muzzle(images.transpose(0, 2, 1, 3))


PROPERTIES = {function.__name__: function for function in (brightness, background, warmth, muzzle, side_light)}


def measure(images):
    """Every property of images, float64 (n, len(PROPERTIES)) in the order of `PROPERTIES`."""
    return np.stack([one(images) for one in PROPERTIES.values()], axis=1).astype("float64")
