"""Properties of pictures that can be read from their pixels, without labels."""

import numpy as np

PROPERTIES = ("brightness", "background", "warmth", "muzzle", "side_light")


def measure(images):
    """Every property of images, float32 (n, H, W, C) in [-1, 1], as float64 (n, 5) in the order of `PROPERTIES`.

    The middle of a picture is a disk of 0.3 of its shorter side around the centre; the corners are four squares of an eighth of
    it. In cat faces, the middle is the face, and its lower half the muzzle. brightness: mean lightness of the middle.
    background: of the corners. warmth: red minus blue of the middle, 0 for grey images. muzzle: lightness of the lower half of
    the middle minus that of its upper half. side_light: of its right half minus that of its left half.
    """
    height, width = images.shape[1:3]
    rows, columns = np.ogrid[:height, :width]
    middle = np.hypot(rows - (height - 1) / 2, columns - (width - 1) / 2) < 0.3 * min(height, width)
    near = [np.minimum(at, at.max() - at) < min(height, width) // 8 for at in (rows, columns)]
    # of red, green and blue in the brightness of a colour (ITU-R BT.601)
    weights = np.array([0.299, 0.587, 0.114], "float32")
    lightness = images @ weights if images.shape[-1] == 3 else images[..., 0]

    def mean(values, where):
        return values[:, where].mean(axis=1, dtype="float64")

    halves = {"muzzle": rows >= height // 2, "side_light": columns >= width // 2}
    found = {
        "brightness": mean(lightness, middle),
        "background": mean(lightness, near[0] & near[1]),
        "warmth": mean(images[..., 0] - images[..., -1], middle),
        **{name: mean(lightness, middle & half) - mean(lightness, middle & ~half) for name, half in halves.items()},
    }
    return np.stack([found[name] for name in PROPERTIES], axis=1)
