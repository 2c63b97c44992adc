"""Functional encoders and decoders for square images.

An encoder maps images (batch, size, size, channels) in [-1, 1] to the codes of a latent layer; a decoder maps z
(batch, latent_dim) to images in [-1, 1]. `widths` gives the number of channels after each halving of the side. To add a
network, write its two builders and name them in `ENCODERS` and `DECODERS`; their keyword arguments are the keys of the tables
[encoder] and [decoder] in experiment files.
"""

import math

import keras
from keras import layers, ops

from keras_ae.models.blocks import (
    Counts,
    ImageShape,
    ResidualBlock,
    Widths,
    enlarging_stages,
    normalized,
    of_stage,
    sides,
    stages,
)
from keras_ae.models.latents import Latent
from keras_ae.models.normalizer_free import normalizer_free_decoder, normalizer_free_encoder
from keras_ae.models.spatial import spatial_decoder, spatial_encoder


def apply(network, training=False, *, label=None, **tensor):
    """Call a network with its one named tensor, `images` or `z`, and with `label` where it has a second input for it."""
    (first,) = map(ops.convert_to_tensor, tensor.values())
    inputs = [first, ops.convert_to_tensor(label)] if is_conditional(network) else first
    return network(inputs, training=training)


def is_conditional(network):
    """Whether an encoder or decoder takes a label as its second input."""
    return len(network.inputs) > 1


def classes_of(encoder):
    """How many classes a conditional encoder knows; None for others, and where it does not encode them as `conditions` do."""
    found = [layer.num_tokens for layer in encoder._flatten_layers() if isinstance(layer, layers.CategoryEncoding)]
    return found[0] if found and is_conditional(encoder) else None


def described(encoder, decoder):
    """Facts of a pair of networks, read from the networks themselves.

    conditional: whether they take a label. encoder_outputs: names of the outputs of an exported encoder. latent_dim: length of
    a code. code_shape: [latent_dim], or [height, width, channels] where the code is a flattened map.
    """
    layout = [layer for layer in encoder._flatten_layers() if getattr(layer, "keeps_layout", False)]
    latent_dim = int(encoder.output["z_mean"].shape[-1])
    code_shape = [latent_dim]
    if layout:
        before = layout[0].input._keras_history.operation
        code_shape = [int(size) for size in before.input.shape[1:]] if isinstance(before, layers.Flatten) else code_shape
    return {
        "conditional": is_conditional(encoder),
        "encoder_outputs": ["z", *(name for name in ("z_mean", "z_log_var") if "z_log_var" in encoder.output)],
        "latent_dim": latent_dim,
        "code_shape": code_shape,
    }


def in_float32(network):
    """The network with the same weights, computing in float32: itself, or a copy of one that was built for mixed precision."""
    # those of networks inside it, too: a conditional network contains one
    if all(layer.compute_dtype == "float32" for layer in network._flatten_layers() if layer.weights):
        return network

    def copied(layer):
        return type(layer).from_config(layer.get_config() | {"dtype": "float32"})

    copy = keras.models.clone_model(network, clone_function=copied, recursive=True)
    copy.set_weights(network.get_weights())
    return copy


def dense_encoder(image_shape: ImageShape, latent: Latent, *, widths: Widths = (512,)) -> keras.Model:
    """Dense layers with ReLU on the pixels in a row."""
    images = keras.Input(image_shape, name="images")
    x = layers.Flatten()(images)
    for width in widths:
        x = layers.Dense(width, activation="relu")(x)
    return keras.Model(images, latent(x), name="encoder")


def dense_decoder(image_shape: ImageShape, latent_dim: int, *, widths: Widths = (512,)) -> keras.Model:
    """The mirror image of `dense_encoder`; tanh."""
    z = keras.Input((latent_dim,), name="z")
    x = z
    for width in reversed(widths):
        x = layers.Dense(width, activation="relu")(x)
    x = layers.Reshape(image_shape)(layers.Dense(math.prod(image_shape))(x))
    return keras.Model(z, layers.Activation("tanh", dtype="float32")(x), name="decoder")


def conv_encoder(image_shape: ImageShape, latent: Latent, *, widths: Widths = (32, 64, 128, 256)) -> keras.Model:
    """Strided 4x4 convolutions with ReLU. The latent's dense layer on the last map is a convolution down to 1x1."""
    images = keras.Input(image_shape, name="images")
    x = images
    for _, width in stages(image_shape, widths):
        x = layers.Conv2D(width, 4, strides=2, padding="same", activation="relu")(x)
    return keras.Model(images, latent(layers.Flatten()(x)), name="encoder")


def conv_decoder(image_shape: ImageShape, latent_dim: int, *, widths: Widths = (32, 64, 128, 256)) -> keras.Model:
    """The mirror image: a transposed convolution from 1x1 (a dense layer), then strided ones with ReLU, tanh at the end."""
    *_, channels = image_shape
    maps = enlarging_stages(image_shape, widths)
    base, width = maps[-1]
    z = keras.Input((latent_dim,), name="z")
    x = layers.Dense(base * base * width, activation="relu")(z)
    x = layers.Reshape((base, base, width))(x)
    for _, width in reversed(maps[:-1]):
        x = layers.Conv2DTranspose(width, 4, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2DTranspose(channels, 4, strides=2, padding="same")(x)
    return keras.Model(z, layers.Activation("tanh", dtype="float32")(x), name="decoder")


def residual_encoder(
    image_shape: ImageShape, latent: Latent, *, widths: Widths = (32, 64, 128, 256), blocks: Counts = (0, 0, 1, 1)
) -> keras.Model:
    """Strided 4x4 convolutions, each followed by as many residual blocks as `blocks` says for its stage."""
    images = keras.Input(image_shape, name="images")
    x = images
    for stage, (_, width) in enumerate(stages(image_shape, widths)):
        x = layers.Conv2D(width, 4, strides=2, padding="same")(x)
        for _ in range(of_stage(blocks, stage)):
            x = ResidualBlock(width)(x)
    return keras.Model(images, latent(layers.Flatten()(normalized(x))), name="encoder")


def residual_decoder(
    image_shape: ImageShape, latent_dim: int, *, widths: Widths = (32, 64, 128, 256), blocks: Counts = (0, 0, 1, 1)
) -> keras.Model:
    """The mirror image of `residual_encoder`: residual blocks, then transposed convolutions, plus a linear path; tanh.

    The linear path, the decoder of a PCA, maps z to a 32x32 image that is added to the output: training starts several times as
    fast, and the convolutions learn the rest. The same path in the encoder overfitted thousands of images.
    """
    *_, channels = image_shape
    maps = enlarging_stages(image_shape, widths)
    base, width = maps[-1]
    z = keras.Input((latent_dim,), name="z")
    x = layers.Reshape((base, base, width))(layers.Dense(base * base * width)(z))
    for stage in reversed(range(len(maps))):
        for _ in range(of_stage(blocks, stage)):
            x = ResidualBlock(maps[stage][1])(x)
        below = maps[stage - 1][1] if stage else channels
        x = layers.Conv2DTranspose(below, 4, strides=2, padding="same")(normalized(x))
    # of the smallest map where that cannot be halved to 32
    side = next((side for side in [image_shape[0], *sides(image_shape[0], len(widths))] if side <= 32), base)
    factor = image_shape[0] // side
    coarse = layers.Reshape((side, side, channels))(layers.Dense(side * side * channels)(z))
    x = layers.Add()([x, layers.UpSampling2D(factor, interpolation="bilinear")(coarse)])
    return keras.Model(z, layers.Activation("tanh", dtype="float32")(x), name="decoder")


ENCODERS = {
    "conv": conv_encoder,
    "residual": residual_encoder,
    "normalizer_free": normalizer_free_encoder,
    "dense": dense_encoder,
    "spatial": spatial_encoder,
}
DECODERS = {
    "conv": conv_decoder,
    "residual": residual_decoder,
    "normalizer_free": normalizer_free_decoder,
    "dense": dense_decoder,
    "spatial": spatial_decoder,
}
