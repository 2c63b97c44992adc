"""Properties of pictures that can be read from their pixels, without labels: images float32 (n, H, W, C) in [-1, 1] -> (n,).

The middle of a picture is a disk of 0.3 of its side around the centre; the corners are four squares of an eighth of its side.
In cat faces, the middle is the face, and its lower half the muzzle.
"""

import numpy as np


def _middle(side):
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    return np.hypot(rows, columns) < 0.3 * side


def _lightness(images):
    # of red, green and blue in the brightness of a colour (ITU-R BT.601)
    return images @ np.array([0.299, 0.587, 0.114], "float32") if images.shape[-1] == 3 else images[..., 0]


def brightness(images):
    """Mean lightness of the middle."""
    return _lightness(images)[:, _middle(images.shape[1])].mean(axis=1)


def background(images):
    """Mean lightness of the corners."""
    place = np.arange(images.shape[1])
    outside = np.minimum(place, place[::-1]) < images.shape[1] // 8
    return _lightness(images)[:, outside[:, None] & outside].mean(axis=1)


def warmth(images):
    """Red minus blue of the middle; 0 for grey images."""
    return (images[..., 0] - images[..., -1])[:, _middle(images.shape[1])].mean(axis=1)


def _difference(lightness):
    """Mean lightness of the lower half of the middle minus that of its upper half."""
    side = lightness.shape[1]
    middle, lower = _middle(side), np.arange(side)[:, None] >= side // 2
    return lightness[:, middle & lower].mean(axis=1) - lightness[:, middle & ~lower].mean(axis=1)


def muzzle(images):
    """Lightness of the lower half of the middle minus that of its upper half."""
    return _difference(_lightness(images))


def side_light(images):
    """Lightness of the right half of the middle minus that of its left half."""
    return _difference(_lightness(images).transpose(0, 2, 1))


PROPERTIES = {function.__name__: function for function in (brightness, background, warmth, muzzle, side_light)}


def measure(images):
    """Every property of images, float64 (n, len(PROPERTIES)) in the order of `PROPERTIES`."""
    return np.stack([one(images) for one in PROPERTIES.values()], axis=1).astype("float64")
