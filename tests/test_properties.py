import numpy as np
import pytest

from keras_ae.images import properties


def face(middle, ground, side=32):
    """A picture with a disk of one colour before a ground of another, (1, side, side, 3)."""
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    disk = (np.hypot(rows, columns) < 0.35 * side)[..., None]
    return np.where(disk, middle, ground)[None].astype("float32")


@pytest.mark.parametrize(
    ("name", "less", "more"),
    [
        ("brightness", face([-0.5] * 3, [0.5] * 3), face([0.1] * 3, [0.5] * 3)),
        ("background", face([0.5] * 3, [-0.5] * 3), face([0.5] * 3, [0.1] * 3)),
        ("warmth", face([-0.2, 0, 0.4], [0, 0, 0]), face([0.4, 0, 0.2], [0, 0, 0])),
    ],
)
def test_each_property_reads_its_own_place(name, less, more):
    low, high = (properties.measure(images)[0] for images in (less, more))
    column = properties.PROPERTIES.index(name)
    assert high[column] - low[column] == pytest.approx(0.6, abs=0.25)
    for other in ("background" if name == "brightness" else "brightness", "muzzle", "side_light"):
        if name != "warmth":
            index = properties.PROPERTIES.index(other)
            assert abs(high[index] - low[index]) < 1e-6


def test_halves_are_compared_and_grey_images_have_no_warmth():
    image = np.zeros((1, 32, 32, 3), "float32")
    image[:, 16:] = 0.5
    turned = image.transpose(0, 2, 1, 3)
    for found, expected in ((image, (0.5, 0)), (turned, (0, 0.5))):
        assert properties.measure(found)[0, 3:] == pytest.approx(expected)
    grey = np.random.default_rng(0).uniform(-1, 1, (4, 16, 16, 1)).astype("float32")
    values, coloured = properties.measure(grey), properties.measure(grey.repeat(3, axis=-1))
    np.testing.assert_allclose(values, coloured, atol=1e-6)
    assert not values[:, properties.PROPERTIES.index("warmth")].any()
