import numpy as np
import pytest

from keras_ae.latents import Gaussian
from keras_ae.networks import DECODERS, ENCODERS, sides

SHAPES = [(16, 16, 1), (28, 28, 1), (32, 32, 3), (60, 60, 3), (64, 64, 3), (12, 12, 3), (128, 128, 3), (256, 256, 1)]


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_network_fits_every_promised_size(name, shape):
    encoder = ENCODERS[name](shape, Gaussian(0, dim=5), widths=[8, 16])
    decoder = DECODERS[name](shape, 5, widths=[8, 16])
    codes = encoder(np.zeros((2, *shape), "float32"))
    images = np.asarray(decoder(10 * np.asarray(codes["z"])))
    assert images.shape == (2, *shape)
    assert images.dtype == "float32"
    assert np.abs(images).max() <= 1


def test_sides_are_halved_while_they_are_even_and_large():
    assert sides(64, 4) == [32, 16, 8, 4]
    assert sides(28, 4) == [14, 7]
    assert sides(256, 2) == [128, 64, 32, 16, 8]


def test_the_last_width_repeats_for_large_pictures():
    decoder = DECODERS["conv"]((256, 256, 3), 5, widths=[8, 16])
    assert decoder.output_shape == (None, 256, 256, 3)
