"""Encoders and decoders without normalization: about three times the training speed of `residual` on two CPU cores.

Once convolutions run in bfloat16, normalization and smooth activations take most of a step. Residual branches that begin as
zero do without them (Zhang et al. 2019, arXiv:1901.09321; Brock et al. 2021, arXiv:2101.08692). docs/recipe.md compares.
"""

import keras
from keras import layers

from keras_ae.models.blocks import (
    Count,
    Counts,
    ImageShape,
    ResidualBlock,
    Width,
    Widths,
    enlarging_stages,
    of_stage,
    rectified,
    stages,
)
from keras_ae.models.latents import Latent

# features of a hidden dense layer
HIDDEN = 256


def normalizer_free_encoder(
    image_shape: ImageShape,
    latent: Latent,
    *,
    widths: Widths = (32, 64, 128),
    blocks: Counts = (0,),
    bottleneck: Width = 32,
    hidden: Count = 0,
) -> keras.Model:
    """Strided 4x4 convolutions and residual blocks with ReLU, then a 1x1 convolution to `bottleneck` channels.

    widths, blocks: channels and residual blocks after each halving of the side; the last of each repeats where it is too short.
    hidden: dense layers of 256 features with ReLU before the code. A code of two numbers needs some, a long one none.
    """
    images = keras.Input(image_shape, name="images")
    x = images
    for stage, (_, width) in enumerate(stages(image_shape, widths)):
        x = layers.Conv2D(width, 4, strides=2, padding="same")(rectified(x) if stage else x)
        for _ in range(of_stage(blocks, stage)):
            x = ResidualBlock(width, rectified)(x)
    x = layers.Flatten()(layers.Conv2D(bottleneck, 1)(rectified(x)))
    for _ in range(hidden):
        x = layers.Dense(HIDDEN, activation="relu")(x)
    return keras.Model(images, latent(x), name="encoder")


def normalizer_free_decoder(
    image_shape: ImageShape,
    latent_dim: int,
    *,
    widths: Widths = (32, 64, 128),
    blocks: Counts = (0, 1, 1),
    bottleneck: Width = 32,
    hidden: Count = 0,
) -> keras.Model:
    """Transposed 4x4 convolutions, linear, between residual blocks with ReLU; tanh.

    Without the branches of the blocks it is a linear map, such as the decoder of a PCA: training starts there, and the branches
    learn the rest. widths, blocks, bottleneck, hidden: as for the encoder, from its end to its start.
    """
    *_, channels = image_shape
    maps = enlarging_stages(image_shape, widths)
    base, width = maps[-1]
    z = keras.Input((latent_dim,), name="z")
    x = z
    for _ in range(hidden):
        x = layers.Dense(HIDDEN, activation="relu")(x)
    x = layers.Reshape((base, base, bottleneck))(layers.Dense(base * base * bottleneck)(x))
    x = layers.Conv2D(width, 1)(x)
    for stage in reversed(range(len(maps))):
        for _ in range(of_stage(blocks, stage)):
            x = ResidualBlock(maps[stage][1], rectified)(x)
        below = maps[stage - 1][1] if stage else channels
        x = layers.Conv2DTranspose(below, 4, strides=2, padding="same")(x)
    return keras.Model(z, layers.Activation("tanh", dtype="float32")(x), name="decoder")
