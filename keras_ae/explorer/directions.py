"""Directions of the codes for the sliders of the page."""

import numpy as np

from keras_ae.images import pictures, properties
from keras_ae.priors import space

# what the two ends of a property look like
ENDS = {
    "brightness": ("darker face", "brighter face"),
    "background": ("darker background", "brighter background"),
    "warmth": ("colder colours", "warmer colours"),
    "muzzle": ("darker lower half of the face", "brighter lower half of the face"),
    "side_light": ("light from the left", "light from the right"),
}


def find_principal(images, codes, count):
    """Directions of codes (n, latent_dim) that move images (n, H, W, C) along their principal components, (count, latent_dim).

    The codes are regressed on the leading components of the images: the first direction changes most pixels.
    """
    centred = images.reshape(len(images), -1) - images.reshape(len(images), -1).mean(axis=0)
    # by the Gram matrix, as large as the number of images: scikit-learn is not part of a small installation
    variances, scores = np.linalg.eigh(centred @ centred.T)
    scores = scores[:, : -count - 1 : -1] * np.sqrt(np.maximum(variances[: -count - 1 : -1], 0))
    # the sign of an eigenvector is that of its greatest number
    return space.separate(codes, scores * np.sign(scores[np.abs(scores).argmax(axis=0), range(count)]))


def find(images, codes, count=6):
    """The sliders of a model: a list of (name, (low end, high end), direction (latent_dim,)).

    images: uint8 (n, H, W, C), drawn of codes (n, latent_dim). Properties with names come first, for images in colour; then
    `count` principal directions. Codes of two numbers have these.
    """
    if codes.shape[1] <= 2:
        return [(f"number {at + 1}", ("smaller", "larger"), step) for at, step in enumerate(np.diag(codes.std(axis=0)))]
    floats = pictures.to_float(images)
    named = []
    if floats.shape[-1] == 3:
        steps = space.separate(codes, properties.measure(floats))
        named = [(name.replace("_", " "), ENDS[name], step) for name, step in zip(properties.PROPERTIES, steps, strict=True)]
    count = min(count if named else count + 2, codes.shape[1], len(codes))
    steps = find_principal(floats, codes, count)
    unnamed = [(f"direction {at + 1}", ("one end", "the other end"), step) for at, step in enumerate(steps)]
    return [slider for slider in named + unnamed if np.any(slider[2])]
