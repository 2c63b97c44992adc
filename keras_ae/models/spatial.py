"""Encoders and decoders whose code is a map: each cell describes one place of the image.

For denoising and super-resolution, where a short code would blur what the model is to restore.
"""

from typing import Annotated

import keras
from annotated_types import Ge, Le
from keras import layers

from keras_ae.errors import UserError
from keras_ae.models.blocks import Count, ImageShape, ResidualBlock, Width, normalized, square
from keras_ae.models.latents import Latent

Halvings = Annotated[int, Ge(0), Le(8)]


def _halved(image_shape, times, key):
    """The side of the map of a square image. Raises UserError where it is not whole."""
    side = square(image_shape)
    if side % 2**times:
        raise UserError(f"{key} must halve the side of the image, {side} pixels, to whole numbers. Received: {times}")
    return side // 2**times


def _depth(latent_dim, side):
    """Channels of a code that is a map with this side."""
    if latent_dim % side**2:
        raise UserError(f"latent.dim must be a multiple of {side}x{side}, the side of the map. Received: {latent_dim}")
    return latent_dim // side**2


def spatial_encoder(
    image_shape: ImageShape, latent: Latent, *, width: Width = 64, blocks: Count = 2, halvings: Halvings = 0
) -> keras.Model:
    """A code that is a map, flattened: residual blocks at a side halved `halvings` times, then the channels that fit `latent`.

    Keeps the spatial layout: a cell of the map describes its surroundings in the image. Only the statistics of GroupNorm, which
    are those of the whole image, carry a little of the rest.
    """
    side = _halved(image_shape, halvings, "encoder.halvings")
    images = keras.Input(image_shape, name="images")
    x = layers.Conv2D(width, 4 if halvings else 3, strides=2 if halvings else 1, padding="same")(images)
    for _ in range(halvings - 1):
        x = layers.Conv2D(width, 4, strides=2, padding="same")(normalized(x))
    for _ in range(blocks):
        x = ResidualBlock(width)(x)
    x = layers.Conv2D(_depth(latent.dim, side), 1, padding="same")(normalized(x))
    x = layers.Add()([x, layers.Conv2D(x.shape[-1], 2**halvings, strides=2**halvings)(images)])
    return keras.Model(images, latent(layers.Flatten()(x)), name="encoder")


def spatial_decoder(
    image_shape: ImageShape, latent_dim: int, *, width: Width = 64, blocks: Count = 4, doublings: Halvings = 0
) -> keras.Model:
    """Residual blocks on the map of `spatial_encoder`, its side doubled `doublings` times, plus a linear path; tanh."""
    side, channels = _halved(image_shape, doublings, "decoder.doublings"), image_shape[-1]
    z = keras.Input((latent_dim,), name="z")
    coarse = layers.Reshape((side, side, _depth(latent_dim, side)))(z)
    x = layers.Conv2D(width, 3, padding="same")(coarse)
    for _ in range(blocks):
        x = ResidualBlock(width)(x)
    for _ in range(doublings - 1):
        x = layers.Conv2DTranspose(width, 4, strides=2, padding="same")(normalized(x))
    # the last doubling makes the pixels: feature maps of full size cost most and add least (Shi et al. 2016, arXiv:1609.05158)
    last = (
        layers.Conv2DTranspose(channels, 4, strides=2, padding="same")
        if doublings
        else layers.Conv2D(channels, 3, padding="same")
    )
    x = last(normalized(x))
    linear = layers.Conv2DTranspose(channels, 3 * 2**doublings, strides=2**doublings, padding="same")(coarse)
    x = layers.Add()([x, linear])
    return keras.Model(z, layers.Activation("tanh", dtype="float32")(x), name="decoder")
