"""Functional encoders and decoders, and what they have in common.

An encoder maps images (batch, height, width, channels) in [-1, 1] to the codes of a latent layer, a dict of tensors
(batch, latent_dim). A decoder maps z (batch, latent_dim) to images in [-1, 1]. `widths` gives the number of channels after each
halving of the side. To add a network, write its two builders and name them in `ENCODERS` and `DECODERS`; their keyword
arguments are the keys of the tables [encoder] and [decoder] in experiment files.
"""

import math
from collections.abc import Callable, Sequence
from typing import Annotated

import keras
from annotated_types import Ge, Le, MaxLen, MinLen
from keras import layers, ops

from keras_ae.errors import UserError
from keras_ae.models.latents import Features, Latent

ImageShape = tuple[int, int, int]
Width = Annotated[int, Ge(1), Le(4096)]
Widths = Annotated[Sequence[Width], MinLen(1), MaxLen(16)]
Count = Annotated[int, Ge(0), Le(64)]
Counts = Annotated[Sequence[Count], MinLen(1), MaxLen(16)]
Halvings = Annotated[int, Ge(0), Le(8)]


# what a network is


def is_conditional(network):
    """Whether an encoder or decoder takes a label as its second input."""
    return len(network.inputs) > 1


def apply(network, training=False, *, label=None, **tensor):
    """Call a network with its one named tensor, `images` or `z`, and with `label` where it has a second input for it."""
    (first,) = map(ops.convert_to_tensor, tensor.values())
    inputs = [first, ops.convert_to_tensor(label)] if is_conditional(network) else first
    return network(inputs, training=training)


def _all_layers(network):
    """The layers of a network and of the networks inside it."""
    for layer in network.layers:
        yield from _all_layers(layer) if isinstance(layer, keras.Model) else [layer]


def class_count(encoder):
    """The number of classes that a conditional encoder knows; None for others, and where no layer says it."""
    counts = [layer.num_tokens for layer in _all_layers(encoder) if isinstance(layer, layers.CategoryEncoding)]
    return counts[0] if counts and is_conditional(encoder) else None


def code_shape(encoder):
    """The shape of a code: (latent_dim,), or (height, width, channels) where the code is a flattened map."""
    maps = [layer.map_shape for layer in _all_layers(encoder) if isinstance(layer, Features)]
    return maps[0] if maps else (int(encoder.output["z_mean"].shape[-1]),)


def in_float32(network):
    """The network with the same weights, computing in float32: itself, or a copy of one that was built for mixed precision."""
    if all(layer.compute_dtype == "float32" for layer in _all_layers(network) if layer.weights):
        return network

    def copied(layer):
        return type(layer).from_config(layer.get_config() | {"dtype": "float32"})

    copy = keras.models.clone_model(network, clone_function=copied, recursive=True)
    copy.set_weights(network.get_weights())
    return copy


# parts


def sides(size, halvings):
    """Sides of the feature maps after each halving: 64, 3 -> [32, 16, 8]. Stops where a side is odd or would fall below 4.

    Large images are halved more often, until the side is at most 8, so that the dense layers stay small.
    """
    sides_of_maps = []
    while size % 2 == 0 and size >= 8 and (len(sides_of_maps) < halvings or size > 8):
        size //= 2
        sides_of_maps.append(size)
    return sides_of_maps


def square(image_shape):
    """The side of square images. Raises UserError for others."""
    height, width = image_shape[:2]
    if height != width:
        raise UserError(f"this network takes square images; dense takes others. Received: {tuple(image_shape)}")
    return height


def number_of_stage(numbers, stage):
    """The number of a stage; the last one repeats where there are too few. Raises UserError where there is none."""
    if not len(numbers):
        raise UserError(f"widths and blocks must have at least one number. Received: {numbers}")
    return numbers[min(stage, len(numbers) - 1)]


def stages(image_shape, widths):
    """Pairs (side, width) from the largest map to the smallest; the last width repeats where `widths` is too short.

    [] where the side cannot be halved, as in an encoder of very small images. Raises UserError unless they are square.
    """
    number_of_stage(widths, 0)
    return [(side, number_of_stage(widths, stage)) for stage, side in enumerate(sides(square(image_shape), len(widths)))]


def enlarging_stages(image_shape, widths):
    """`stages` of a decoder, which needs one at least. Raises UserError where the side cannot be halved."""
    maps = stages(image_shape, widths)
    if not maps:
        needed = "an even side of at least 8 pixels"
        raise UserError(f"this network takes images with {needed}; dense takes others. Received: {tuple(image_shape)}")
    return maps


def normalized(x):
    """GroupNorm of at most 8 groups of the same size, then SiLU."""
    groups = max(count for count in range(1, 9) if x.shape[-1] % count == 0)
    return layers.Activation("silu")(layers.GroupNormalization(groups, epsilon=1e-4)(x))


def rectified(x):
    """ReLU, for networks without normalization."""
    return layers.Activation("relu")(x)


def ResidualBlock(width, activated=normalized, kernel=3):
    """x + conv(activated(conv(activated(x)))) with two convolutions, the last of which begins as zero (He et al. 2016).

    activated: `normalized` (Wu & He 2018) or `rectified`. kernel: side of the kernels, or their height and width.
    """

    def apply(x):
        residual = x
        x = layers.Conv2D(width, kernel, padding="same")(activated(x))
        x = layers.Conv2D(width, kernel, padding="same", kernel_initializer="zeros")(activated(x))
        return layers.Add()([residual, x])

    return apply


# builders


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
        for _ in range(number_of_stage(blocks, stage)):
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
        for _ in range(number_of_stage(blocks, stage)):
            x = ResidualBlock(maps[stage][1])(x)
        below = maps[stage - 1][1] if stage else channels
        x = layers.Conv2DTranspose(below, 4, strides=2, padding="same")(normalized(x))
    # of the smallest map where that cannot be halved to 32
    side = next((side for side in [image_shape[0], *sides(image_shape[0], len(widths))] if side <= 32), base)
    factor = image_shape[0] // side
    coarse = layers.Reshape((side, side, channels))(layers.Dense(side * side * channels)(z))
    x = layers.Add()([x, layers.UpSampling2D(factor, interpolation="bilinear")(coarse)])
    return keras.Model(z, layers.Activation("tanh", dtype="float32")(x), name="decoder")


def plain_encoder(
    image_shape: ImageShape,
    latent: Latent,
    *,
    widths: Widths = (32, 64, 128),
    blocks: Counts = (0,),
    bottleneck: Width = 32,
    hidden: Count = 0,
) -> keras.Model:
    """Strided 4x4 convolutions and residual blocks with ReLU, then a 1x1 convolution to `bottleneck` channels.

    No normalization: once convolutions run in bfloat16, normalization and smooth activations take most of a step, and these
    networks train about three times as fast as `residual` on two CPU cores. Residual branches that begin as zero do without
    them (Zhang et al. 2019, arXiv:1901.09321; Brock et al. 2021, arXiv:2101.08692).

    widths, blocks: channels and residual blocks after each halving of the side; the last of each repeats where it is too short.
    hidden: dense layers of 256 features with ReLU before the code. A code of two numbers needs some, a long one none.
    """
    images = keras.Input(image_shape, name="images")
    x = images
    for stage, (_, width) in enumerate(stages(image_shape, widths)):
        x = layers.Conv2D(width, 4, strides=2, padding="same")(rectified(x) if stage else x)
        for _ in range(number_of_stage(blocks, stage)):
            x = ResidualBlock(width, rectified)(x)
    x = layers.Flatten()(layers.Conv2D(bottleneck, 1)(rectified(x)))
    for _ in range(hidden):
        x = layers.Dense(256, activation="relu")(x)
    return keras.Model(images, latent(x), name="encoder")


def plain_decoder(
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
        x = layers.Dense(256, activation="relu")(x)
    x = layers.Reshape((base, base, bottleneck))(layers.Dense(base * base * bottleneck)(x))
    x = layers.Conv2D(width, 1)(x)
    for stage in reversed(range(len(maps))):
        for _ in range(number_of_stage(blocks, stage)):
            x = ResidualBlock(maps[stage][1], rectified)(x)
        below = maps[stage - 1][1] if stage else channels
        x = layers.Conv2DTranspose(below, 4, strides=2, padding="same")(x)
    return keras.Model(z, layers.Activation("tanh", dtype="float32")(x), name="decoder")


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
    """A code that is a map, flattened, for denoising and super-resolution, where a short code would blur what is restored.

    Residual blocks at a side halved `halvings` times, then the channels that fit `latent`.

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
    return keras.Model(images, latent(x if isinstance(latent, Features) else layers.Flatten()(x)), name="encoder")


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


def unconditional(make_encoder, make_decoder, latent, classes):
    """No condition: p(x | z)."""
    return make_encoder(latent, 0), make_decoder(latent.dim)


def on_label(
    make_encoder: Callable[[Latent, int], keras.Model],
    make_decoder: Callable[[int], keras.Model],
    latent: Latent,
    classes: int,
) -> tuple[keras.Model, keras.Model]:
    """Both networks take the class as a second input, `label` int32 (batch,): p(x | z, label).

    Sohn et al. 2015, Kingma et al. 2014 (arXiv:1406.5298). The encoder gets one more channel for each class, the decoder one
    more number in the code. Raises UserError where the images have no classes.
    """
    if classes < 2:
        raise UserError(
            "condition on_label needs images with labels: a folder with one sub-folder for each class, or a named data set"
        )
    label = keras.Input((), name="label", dtype="int32")
    one_hot = layers.CategoryEncoding(classes, output_mode="one_hot")(layers.Reshape((1,))(label))
    inner = make_encoder(latent, classes)
    height, width, channels = inner.input_shape[1:]
    images = keras.Input((height, width, channels - classes), name="images")
    planes = layers.Reshape((height, width, classes))(layers.RepeatVector(height * width)(one_hot))
    encoder = keras.Model([images, label], inner(layers.Concatenate()([images, planes])), name="encoder")
    z = keras.Input((latent.dim,), name="z")
    decoded = make_decoder(latent.dim + classes)(layers.Concatenate()([z, one_hot]))
    return encoder, keras.Model([z, label], decoded, name="decoder")


ENCODERS = {
    "conv": conv_encoder,
    "residual": residual_encoder,
    "plain": plain_encoder,
    "dense": dense_encoder,
    "spatial": spatial_encoder,
}
DECODERS = {
    "conv": conv_decoder,
    "residual": residual_decoder,
    "plain": plain_decoder,
    "dense": dense_decoder,
    "spatial": spatial_decoder,
}
CONDITIONS = {"none": unconditional, "on_label": on_label}
