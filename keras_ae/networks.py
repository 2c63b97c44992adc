"""Functional encoders and decoders for square pictures.

An encoder maps images (batch, size, size, channels) in [-1, 1] to the codes of a latent layer; a decoder maps z
(batch, latent_dim) to images in [-1, 1]. `widths` gives the channels at each halving of the side. To add a network, write its
two builders and name them in `ENCODERS` and `DECODERS`.
"""

import keras
from keras import layers


def sides(size, halvings):
    """Sides of the feature maps after each halving: 64, 3 -> [32, 16, 8]. Stops where a side is odd or would fall below 4.

    Large pictures are halved further than asked, until the side is at most 8, so that the dense layers stay small.
    """
    found = []
    while size % 2 == 0 and size >= 8 and (len(found) < halvings or size > 8):
        size //= 2
        found.append(size)
    return found


def _stages(image_shape, widths):
    """Pairs (side, width) from the largest map to the smallest; the last width repeats where `widths` is too short."""
    return [(side, widths[min(stage, len(widths) - 1)]) for stage, side in enumerate(sides(image_shape[0], len(widths)))]


def conv_encoder(image_shape, latent, *, widths: list[int] = (32, 64, 128, 256)):
    """Strided 4x4 convolutions with ReLU. The latent's dense layer on the last map is a convolution down to 1x1."""
    images = keras.Input(image_shape, name="images")
    x = images
    for _, width in _stages(image_shape, widths):
        x = layers.Conv2D(width, 4, strides=2, padding="same", activation="relu")(x)
    return keras.Model(images, latent(layers.Flatten()(x)), name="encoder")


def conv_decoder(image_shape, latent_dim, *, widths: list[int] = (32, 64, 128, 256)):
    """The mirror image: a transposed convolution from 1x1 (a dense layer), then strided ones with ReLU, tanh at the end."""
    *_, channels = image_shape
    stages = _stages(image_shape, widths)
    base, width = stages[-1]
    z = keras.Input((latent_dim,), name="z")
    x = layers.Dense(base * base * width, activation="relu")(z)
    x = layers.Reshape((base, base, width))(x)
    for _, width in reversed(stages[:-1]):
        x = layers.Conv2DTranspose(width, 4, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2DTranspose(channels, 4, strides=2, padding="same")(x)
    return keras.Model(z, layers.Activation("tanh", dtype="float32")(x), name="decoder")


def _normalized(x):
    groups = min(8, x.shape[-1])
    return layers.Activation("silu")(layers.GroupNormalization(groups, epsilon=1e-4)(x))


def ResidualBlock(width):
    """x + conv(norm(conv(norm(x)))), GroupNorm and SiLU before each 3x3 convolution (He et al. 2016, Wu & He 2018)."""

    def apply(x):
        residual = x
        x = layers.Conv2D(width, 3, padding="same")(_normalized(x))
        x = layers.Conv2D(width, 3, padding="same", kernel_initializer="zeros")(_normalized(x))
        return layers.Add()([residual, x])

    return apply


def residual_encoder(image_shape, latent, *, widths: list[int] = (32, 64, 128, 256), blocks: list[int] = (0, 0, 1, 1)):
    """Strided 4x4 convolutions, each followed by as many residual blocks as `blocks` says for its stage."""
    images = keras.Input(image_shape, name="images")
    x = images
    for stage, (_, width) in enumerate(_stages(image_shape, widths)):
        x = layers.Conv2D(width, 4, strides=2, padding="same")(x)
        for _ in range(blocks[min(stage, len(blocks) - 1)]):
            x = ResidualBlock(width)(x)
    return keras.Model(images, latent(layers.Flatten()(_normalized(x))), name="encoder")


def residual_decoder(image_shape, latent_dim, *, widths: list[int] = (32, 64, 128, 256), blocks: list[int] = (0, 0, 1, 1)):
    """The mirror image of `residual_encoder`: residual blocks, then transposed convolutions, plus a linear path; tanh.

    The linear path, as PCA has it, draws the picture at 32x32 straight from z: training starts several times as fast, and the
    convolutions learn what is missing. The same path in the encoder overfitted thousands of pictures.
    """
    *_, channels = image_shape
    stages = _stages(image_shape, widths)
    base, width = stages[-1]
    z = keras.Input((latent_dim,), name="z")
    x = layers.Reshape((base, base, width))(layers.Dense(base * base * width)(z))
    for stage in reversed(range(len(stages))):
        for _ in range(blocks[min(stage, len(blocks) - 1)]):
            x = ResidualBlock(stages[stage][1])(x)
        below = stages[stage - 1][1] if stage else channels
        x = layers.Conv2DTranspose(below, 4, strides=2, padding="same")(_normalized(x))
    side = next(side for side in [image_shape[0], *sides(image_shape[0], len(widths))] if side <= 32)
    factor = image_shape[0] // side
    coarse = layers.Reshape((side, side, channels))(layers.Dense(side * side * channels)(z))
    x = layers.Add()([x, layers.UpSampling2D(factor, interpolation="bilinear")(coarse)])
    return keras.Model(z, layers.Activation("tanh", dtype="float32")(x), name="decoder")


def critic(image_shape, widths=(48, 96, 192, 256)):
    """Judges pictures: {"logits": [whole (batch, 1), patches (batch, n)], "features": [maps, finest first]}.

    Strided 4x4 convolutions with leaky ReLU; one verdict on the whole, and one on each patch of the next-to-coarsest map.
    """

    def conv(width, size, strides=1):
        return layers.Conv2D(width, size, strides=strides, padding="same")

    images = keras.Input(image_shape, name="images")
    x, features = images, []
    for _, width in _stages(image_shape, widths):
        x = layers.LeakyReLU(0.2)(conv(width, 4, 2)(x))
        features.append(x)
    patches = layers.LeakyReLU(0.2)(conv(128, 3)(features[-2:][0]))
    patches = layers.Conv2D(1, 1, dtype="float32")(patches)
    whole = layers.LeakyReLU(0.2)(layers.Dense(256)(layers.Flatten()(x)))
    whole = layers.Dense(1, dtype="float32")(whole)
    return keras.Model(
        images, {"logits": [whole, layers.Flatten(dtype="float32")(patches)], "features": features}, name="critic"
    )


ENCODERS = {"conv": conv_encoder, "residual": residual_encoder}
DECODERS = {"conv": conv_decoder, "residual": residual_decoder}
