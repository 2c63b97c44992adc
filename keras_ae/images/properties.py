"""Properties of pictures that can be read from their pixels, without labels: images float32 (n, H, W, C) in [-1, 1] -> (n,).

The middle of a picture is a disk of 0.3 of its side around the centre; the corners are four squares of an eighth of its side.
In cat faces, the middle is the face, and its lower half the muzzle.
"""

import numpy as np

# of red, green and blue in the brightness of a colour (ITU-R BT.601)
WEIGHTS = np.array([0.299, 0.587, 0.114], "float32")


def _middle(side):
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    return np.hypot(rows, columns) < 0.3 * side


def _lightness(images):
    return images @ WEIGHTS if images.shape[-1] == 3 else images[..., 0]


def _mean(images, mask):
    return images[:, mask].mean(axis=1)


def brightness(images):
    """Mean lightness of the middle."""
    return _mean(_lightness(images), _middle(images.shape[1]))


def background(images):
    """Mean lightness of the corners."""
    size = images.shape[1] // 8
    corners = np.zeros(images.shape[1:3], bool)
    for rows in (np.s_[:size], np.s_[-size:]):
        for columns in (np.s_[:size], np.s_[-size:]):
            corners[rows, columns] = True
    return _mean(_lightness(images), corners)


def warmth(images):
    """Red minus blue of the middle; 0 for grey images."""
    return _mean(images[..., 0] - images[..., -1], _middle(images.shape[1]))


def _difference(images, later):
    """Mean lightness of the middle where `later` is true, minus that of the rest of it. later: a mask of rows or columns."""
    middle, lightness = _middle(images.shape[1]), _lightness(images)
    return _mean(lightness, middle & later) - _mean(lightness, middle & ~later)


def _second_half(images):
    side = images.shape[1]
    return np.arange(side) >= side // 2


def muzzle(images):
    """Lightness of the lower half of the middle minus that of its upper half."""
    return _difference(images, _second_half(images)[:, None])


def side_light(images):
    """Lightness of the right half of the middle minus that of its left half."""
    return _difference(images, _second_half(images)[None])


PROPERTIES = {
    "brightness": brightness,
    "background": background,
    "warmth": warmth,
    "muzzle": muzzle,
    "side_light": side_light,
}


def measured(images):
    """Every property of images, float64 (n, len(PROPERTIES)) in the order of `PROPERTIES`."""
    return np.stack([measure(images) for measure in PROPERTIES.values()], axis=1).astype("float64")
