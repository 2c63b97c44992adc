import functools

import keras
import numpy as np
import pytest

from keras_ae.errors import UserError
from keras_ae.models.latents import Features, Gaussian
from keras_ae.models.networks import (
    CONDITIONS,
    DECODERS,
    ENCODERS,
    apply,
    class_count,
    code_shape,
    conv_decoder,
    in_float32,
    is_conditional,
    plain_decoder,
    residual_decoder,
    sides,
    spatial_decoder,
    spatial_encoder,
)
from keras_ae.models.refiner import critic

SHAPES = [(16, 16, 1), (28, 28, 1), (32, 32, 3), (60, 60, 3), (66, 66, 3), (12, 12, 3), (256, 256, 1)]


@pytest.mark.parametrize("name", sorted(set(ENCODERS) - {"spatial", "sequence"}))
@pytest.mark.parametrize("shape", SHAPES)
def test_every_network_fits_every_promised_size(name, shape):
    encoder = ENCODERS[name](shape, Gaussian(5), widths=[8, 16])
    decoder = DECODERS[name](shape, 5, widths=[8, 16])
    codes = encoder(np.zeros((2, *shape), "float32"))
    images = np.asarray(decoder(10 * np.asarray(codes["z_mean"])))
    assert images.shape == (2, *shape)
    assert images.dtype == "float32"
    assert np.abs(images).max() <= 1


@pytest.mark.parametrize("shape", [(16, 16, 1), (28, 28, 1), (64, 64, 3)])
def test_the_code_of_spatial_networks_is_a_map_that_keeps_the_layout(shape):
    keras.utils.set_random_seed(0)
    dim = 3 * (shape[0] // 4) ** 2
    encoder = spatial_encoder(shape, Features(dim), width=8, blocks=1, halvings=2)
    decoder = spatial_decoder(shape, dim, width=8, blocks=1, doublings=2)
    images = np.random.default_rng(0).uniform(-1, 1, (2, *shape)).astype("float32")
    codes = encoder(images)
    assert codes["z_mean"].shape == (2, dim)
    assert decoder(codes["z_mean"]).shape == (2, *shape)
    # a change in the last row of an image changes the last row of its code; GroupNorm carries a little of it to the others
    changed = images.copy()
    changed[:, -1] = 1
    rows = shape[0] // 4
    before, after = (np.asarray(encoder(some)["z_mean"]).reshape(2, rows, -1) for some in (images, changed))
    change = np.abs(after - before).mean(axis=(0, 2))
    assert change[:-1].max() < 0.3 * change[-1]


@pytest.mark.parametrize("name", ["conv", "residual", "plain", "spatial", "dense"])
def test_networks_take_images_that_are_not_square(name):
    for shape in ((32, 64, 2), (24, 16, 1), (48, 112, 3)):
        encoder = ENCODERS[name](shape, Features(2 * shape[0] * shape[1]) if name == "spatial" else Gaussian(2))
        z = apply(encoder, images=np.zeros((1, *shape), "float32"))["z_mean"]
        assert DECODERS[name](shape, z.shape[1])(z).shape == (1, *shape)
    assert critic((32, 48, 1), 2).output["features"][-1].shape == (None, 4, 6, 192)
    # encoders of super-resolution may see very small ones
    assert name not in ("conv", "residual", "plain") or ENCODERS[name]((4, 4, 1), Gaussian(2)).output_shape


@pytest.mark.parametrize(
    ("build", "shape", "message"),
    [
        (
            conv_decoder,
            (65, 96, 3),
            "sides are even and at least 8. Received: 65x96; nearest 64x96 or 66x96; dense takes others",
        ),
        (residual_decoder, (65, 97, 3), "Received: 65x97; nearest 64x96 or 66x98"),
        (plain_decoder, (6, 96, 1), "Received: 6x96; nearest 8x96;"),
        (functools.partial(spatial_decoder, doublings=3), (60, 96, 3), "halved 3 .* 60x96; nearest 56x96 or 64x96"),
        (functools.partial(spatial_decoder, doublings=2), (16, 16, 1), "multiple of 4x4, .* Received: 4; nearest 16"),
    ],
)
def test_sides_that_a_network_cannot_serve_are_refused_with_the_nearest(build, shape, message):
    with pytest.raises(UserError, match=message):
        build(shape, 4)


def test_a_label_changes_codes_and_pictures():
    def encoder(latent, planes):
        return ENCODERS["conv"]((16, 16, 1 + planes), latent, widths=[8])

    def decoder(latent_dim):
        return DECODERS["conv"]((16, 16, 1), latent_dim, widths=[8])

    encode, decode = CONDITIONS["on_label"](encoder, decoder, Gaussian(3), 4)
    images = np.zeros((4, 16, 16, 1), "float32")
    z_mean = np.asarray(apply(encode, images=images, label=np.arange(4, dtype="int32"))["z_mean"])
    assert len({tuple(row) for row in z_mean.tolist()}) == 4
    drawn = np.asarray(apply(decode, z=np.zeros((4, 3), "float32"), label=np.arange(4, dtype="int32")))
    assert len({row.tobytes() for row in drawn}) == 4
    with pytest.raises(UserError, match="needs images with labels"):
        CONDITIONS["on_label"](encoder, decoder, Gaussian(3), 0)


def test_sides_are_halved_while_they_are_even_and_large():
    assert sides(64, 64, 4) == [(32, 32), (16, 16), (8, 8), (4, 4)]
    assert sides(28, 28, 4) == [(14, 14), (7, 7)]
    assert sides(256, 256, 2)[-1] == (8, 8)
    assert sides(64, 96, 3) == [(32, 48), (16, 24), (8, 12)]
    assert sides(32, 256, 3) == [(16, 128), (8, 64), (4, 32)]


def test_networks_say_what_they_are():
    encoder = ENCODERS["conv"](SHAPES[1], Gaussian(5), widths=[8])
    assert (is_conditional(encoder), class_count(encoder), code_shape(encoder)) == (False, None, (5,))
    encoder, decoder = CONDITIONS["on_label"](
        lambda latent, planes: spatial_encoder((28, 28, 1 + planes), latent, width=8, blocks=0, halvings=2),
        lambda latent_dim: DECODERS["conv"]((28, 28, 1), latent_dim, widths=[8]),
        Features(98),
        3,
    )
    assert (is_conditional(encoder), is_conditional(decoder)) == (True, True)
    assert (class_count(encoder), code_shape(encoder)) == (3, (7, 7, 2))


def test_a_copy_in_float32_has_the_weights_of_a_network_in_mixed_precision():
    shape, half = (16, 16, 3), keras.DTypePolicy("mixed_bfloat16")
    images = keras.Input(shape, name="images")
    x = keras.layers.Conv2D(4, 3, dtype=half)(images)
    mixed = keras.Model(images, Gaussian(2)(keras.layers.Flatten(dtype=half)(x)), name="encoder")
    copy = in_float32(mixed)
    assert {layer.compute_dtype for layer in copy.layers if layer.weights} == {"float32"}
    for ours, theirs in zip(copy.get_weights(), mixed.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert in_float32(copy) is copy
