"""Small grey versions of images, in which near-copies are found. Needs only NumPy and Pillow."""

import numpy as np
from PIL import Image

SIDE = 16
# flat images (all black, all white) have no structure to compare
LEAST_DEVIATION = 2.0


def thumbnail(pixels):
    """uint8 (size, size, channels) to a standardised grey thumbnail, float16 (SIDE * SIDE,); zeros for a flat image."""
    grey = Image.fromarray(pixels.mean(axis=-1).astype("uint8"))
    small = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX), "float32").ravel()
    deviation = small.std()
    return ((small - small.mean()) / deviation if deviation > LEAST_DEVIATION else np.zeros_like(small)).astype("float16")
