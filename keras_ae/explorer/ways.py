"""Directions of the codes for the sliders of the page."""

import numpy as np

from keras_ae.images import pictures, properties
from keras_ae.priors import space

# pictures that directions are learned from
EXAMPLES = 1000
LEADING = 6
# what the two ends of a property look like
ENDS = {
    "brightness": ("darker face", "brighter face"),
    "background": ("darker background", "brighter background"),
    "warmth": ("colder colours", "warmer colours"),
    "muzzle": ("darker lower half of the face", "brighter lower half of the face"),
    "side_light": ("light from the left", "light from the right"),
}


def leading(images, codes, count):
    """What moves the pictures along their principal components: `count` directions (count, latent_dim), each of one deviation.

    images: float32 (n, H, W, C), of codes (n, latent_dim). The codes are regressed on the leading components of the pictures,
    so that the first direction is that which changes most pixels.
    """
    from sklearn.decomposition import PCA

    flat = images.reshape(len(images), -1)
    scores = PCA(count, svd_solver="randomized", random_state=0).fit_transform(flat)
    return space.separate(codes, scores)


def found(drawn, codes):
    """The sliders of a model: a list of (name, (low end, high end), way (latent_dim,)).

    drawn: uint8 (n, H, W, C), what the model draws, of codes (n, latent_dim). Properties that have names come first, for
    pictures in colour; then the leading directions. Codes of two numbers have these.
    """
    if codes.shape[1] <= 2:
        ways = np.diag(codes.std(axis=0))
        return [(f"number {index + 1}", ("smaller", "larger"), way) for index, way in enumerate(ways)]
    floats = pictures.to_float(drawn)
    named = []
    if floats.shape[-1] == 3:
        ways = space.separate(codes, properties.measured(floats))
        named = [(name.replace("_", " "), ENDS[name], way) for name, way in zip(properties.PROPERTIES, ways, strict=True)]
    count = min(LEADING + 2 * (not named), codes.shape[1], len(codes))
    ways = leading(floats, codes, count)
    unnamed = [(f"direction {index + 1}", ("one end", "the other end"), way) for index, way in enumerate(ways)]
    return [one for one in named + unnamed if np.any(one[2])]
