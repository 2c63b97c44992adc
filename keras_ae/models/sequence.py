"""An encoder and a decoder of sequences that are drawn as images: each column is one step in time, such as a piano roll.

Convolutions over time see all rows of a column at once, and the rows need no neighbourhood: in a piano roll, the row below a
note is another note, and the last rows are not pitches at all. Both networks keep one position for each step; ReLU without
normalization.
"""

import keras
from keras import layers

from keras_ae.errors import UserError
from keras_ae.models.latents import Latent
from keras_ae.models.networks import DECODERS, ENCODERS, Count, ImageShape, ResidualBlock, Width, rectified

# steps that a convolution sees, about a beat
KERNEL = (1, 5)
# TensorFlow 2.21 ends with a segmentation fault in a transposed convolution with a kernel of 256 rows
MOST_ROWS = 128


def _check(rows):
    if rows > MOST_ROWS:
        raise UserError(f"sequence networks take images of at most {MOST_ROWS} rows. Received: {rows}; set a smaller data.size")


def sequence_encoder(image_shape: ImageShape, latent: Latent, *, width: Width = 128, blocks: Count = 2) -> keras.Model:
    """A linear layer on each column, then `blocks` residual blocks of convolutions over time with `width` channels.

    Raises UserError for images of more than 128 rows.
    """
    _check(image_shape[0])
    images = keras.Input(image_shape, name="images")
    x = layers.Conv2D(width, (image_shape[0], 1))(images)
    for _ in range(blocks):
        x = ResidualBlock(width, rectified, KERNEL)(x)
    return keras.Model(images, latent(layers.Flatten()(rectified(x))), name="encoder")


def sequence_decoder(image_shape: ImageShape, latent_dim: int, *, width: Width = 128, blocks: Count = 2) -> keras.Model:
    """The mirror image of `sequence_encoder`; tanh. All steps are decoded at once, not one after another."""
    rows, steps, channels = image_shape
    _check(rows)
    z = keras.Input((latent_dim,), name="z")
    x = layers.Reshape((1, steps, width))(layers.Dense(steps * width)(z))
    for _ in range(blocks):
        x = ResidualBlock(width, rectified, KERNEL)(x)
    x = layers.Conv2DTranspose(channels, (rows, 1))(rectified(x))
    return keras.Model(z, layers.Activation("tanh", dtype="float32")(x), name="decoder")


ENCODERS["sequence"] = sequence_encoder
DECODERS["sequence"] = sequence_decoder
