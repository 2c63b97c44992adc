"""Functional encoders and decoders, and what they have in common.

An encoder maps images (batch, height, width, channels) in [-1, 1] to the codes of a latent layer, a dict of tensors
(batch, latent_dim). A decoder maps z (batch, latent_dim) to images in [-1, 1]. `widths` and `blocks` are channels and residual
blocks after each halving of the side; the last of each repeats where it is too short. To add a network, write its two builders
and name them in `ENCODERS` and `DECODERS`; their keyword arguments are keys in experiment files.
"""

import math
from collections.abc import Callable, Sequence
from typing import Annotated

import keras
import numpy as np
from annotated_types import Ge, Le, MaxLen, MinLen
from keras import layers, ops

from keras_ae.errors import UserError
from keras_ae.models.latents import Discrete, Features, Latent

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


def layers_of(network):
    """The layers of a network and of the networks inside it."""
    for layer in network.layers:
        yield from layers_of(layer) if isinstance(layer, keras.Model) else [layer]


def class_count(encoder):
    """The number of classes that a conditional encoder knows; None where no layer says it."""
    return next((layer.num_tokens for layer in layers_of(encoder) if isinstance(layer, layers.CategoryEncoding)), None)


def code_shape(encoder):
    """The shape of a code: (latent_dim,), or (height, width, channels) where the code is a flattened map."""
    flat = (int(encoder.output["z_mean"].shape[-1]),)
    return next((layer.map_shape for layer in layers_of(encoder) if isinstance(layer, Features)), flat)


def codebook(encoder):
    """The entries of a discrete code, (entries, channels); None where the code is none."""
    return next((np.asarray(layer.codebook) for layer in layers_of(encoder) if isinstance(layer, Discrete)), None)


def in_float32(network):
    """The network with the same weights, computing in float32: itself, or a copy of one that was built for mixed precision."""
    if all(layer.compute_dtype == "float32" for layer in layers_of(network) if layer.weights):
        return network

    def copied(layer):
        return type(layer).from_config(layer.get_config() | {"dtype": "float32"})

    copy = keras.models.clone_model(network, clone_function=copied, recursive=True)
    copy.set_weights(network.get_weights())
    return copy


# parts


def sides(height, width, halvings):
    """Height and width of the maps after each halving, until a side is odd or 4: 64, 96, 3 -> [(32, 48), (16, 24), (8, 12)]."""
    maps = []
    # large images are halved more often, until the shorter side is at most 8, so that the dense layers stay small
    while height % 2 == width % 2 == 0 and min(height, width) >= 8 and (len(maps) < halvings or min(height, width) > 8):
        height, width = height // 2, width // 2
        maps.append((height, width))
    return maps


def refuse_sides(image_shape, needed, step, least):
    """The UserError of a network for images whose sides are no multiples of `step` from `least` on: it names the nearest."""
    near = [[max(least, round_(side / step) * step) for side in image_shape[:2]] for round_ in (math.floor, math.ceil)]
    received, *near = dict.fromkeys("x".join(map(str, pair)) for pair in (image_shape[:2], *near))
    advice = f"nearest {' or '.join(near)}; dense takes others"
    return UserError(f"this network takes images whose sides {needed}. Received: {received}; {advice}")


def stages(image_shape, widths, blocks=(0,), least=0):
    """((height, width), channels, blocks) of each map, from the largest on. Raises UserError for fewer maps than `least`."""
    maps = sides(*image_shape[:2], len(widths))
    if len(maps) < least:
        raise refuse_sides(image_shape, "are even and at least 8", 2, 8)
    # more than there are maps
    widths, blocks = ([*numbers, *[numbers[-1]] * len(maps)] for numbers in (widths, blocks))
    return list(zip(maps, widths, blocks, strict=False))


def normalized(x):
    """GroupNorm of at most 8 groups of the same size, then SiLU."""
    groups = max(count for count in range(1, 9) if x.shape[-1] % count == 0)
    return layers.Activation("silu")(layers.GroupNormalization(groups, epsilon=1e-4)(x))


def rectified(x):
    """ReLU, for networks without normalization."""
    return layers.Activation("relu")(x)


def ResidualBlock(width, activated=normalized):
    """x + conv(activated(conv(activated(x)))) with two convolutions, the last of which begins as zero (He et al. 2016)."""

    def apply(x):
        residual = x
        x = layers.Conv2D(width, 3, padding="same")(activated(x))
        x = layers.Conv2D(width, 3, padding="same", kernel_initializer="zeros")(activated(x))
        return layers.Add()([residual, x])

    return apply


def shrink(x, maps, activated, between):
    """The smallest of the maps of `stages`, activated: strided 4x4 convolutions, with `between` before all but the first."""
    for stage, (_, width, blocks) in enumerate(maps):
        x = layers.Conv2D(width, 4, strides=2, padding="same")(between(x) if stage else x)
        for _ in range(blocks):
            x = ResidualBlock(width, activated)(x)
    return activated(x) if maps else x


def enlarge(x, maps, channels, activated, before):
    """An image of so many channels from the smallest of the maps of `stages`; before: each transposed convolution."""
    below = [channels, *(width for _, width, _ in maps[:-1])]
    for (_, width, blocks), narrower in zip(reversed(maps), reversed(below), strict=True):
        for _ in range(blocks):
            x = ResidualBlock(width, activated)(x)
        x = layers.Conv2DTranspose(narrower, 4, strides=2, padding="same")(before(x))
    return x


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
    z = x = keras.Input((latent_dim,), name="z")
    for width in reversed(widths):
        x = layers.Dense(width, activation="relu")(x)
    x = layers.Reshape(image_shape)(layers.Dense(math.prod(image_shape))(x))
    return keras.Model(z, layers.Activation("tanh", dtype="float32")(x), name="decoder")


def conv_encoder(image_shape: ImageShape, latent: Latent, *, widths: Widths = (32, 64, 128, 256)) -> keras.Model:
    """Strided 4x4 convolutions with ReLU. The latent's dense layer on the last map is a convolution down to 1x1."""
    images = keras.Input(image_shape, name="images")
    x = shrink(images, stages(image_shape, widths), rectified, between=rectified)
    return keras.Model(images, latent(layers.Flatten()(x)), name="encoder")


def conv_decoder(image_shape: ImageShape, latent_dim: int, *, widths: Widths = (32, 64, 128, 256)) -> keras.Model:
    """The mirror image: a transposed convolution from 1x1 (a dense layer), then strided ones with ReLU, tanh at the end."""
    maps = stages(image_shape, widths, least=1)
    smallest, width, _ = maps[-1]
    z = keras.Input((latent_dim,), name="z")
    x = layers.Reshape((*smallest, width))(layers.Dense(math.prod(smallest) * width)(z))
    x = enlarge(x, maps, image_shape[-1], rectified, before=rectified)
    return keras.Model(z, layers.Activation("tanh", dtype="float32")(x), name="decoder")


def residual_encoder(
    image_shape: ImageShape, latent: Latent, *, widths: Widths = (32, 64, 128, 256), blocks: Counts = (0, 0, 1, 1)
) -> keras.Model:
    """Strided 4x4 convolutions, each followed by residual blocks with GroupNorm and SiLU."""
    images = keras.Input(image_shape, name="images")
    x = shrink(images, stages(image_shape, widths, blocks), normalized, between=lambda x: x)
    return keras.Model(images, latent(layers.Flatten()(x)), name="encoder")


def residual_decoder(
    image_shape: ImageShape, latent_dim: int, *, widths: Widths = (32, 64, 128, 256), blocks: Counts = (0, 0, 1, 1)
) -> keras.Model:
    """The mirror image of `residual_encoder`, plus a linear path from z to a 32x32 image, the decoder of a PCA; tanh.

    Training starts several times as fast. The same path in the encoder overfitted thousands of images.
    """
    *image_sides, channels = image_shape
    maps = stages(image_shape, widths, blocks, least=1)
    smallest, width, _ = maps[-1]
    z = keras.Input((latent_dim,), name="z")
    x = layers.Reshape((*smallest, width))(layers.Dense(math.prod(smallest) * width)(z))
    x = enlarge(x, maps, channels, normalized, before=normalized)
    # of the smallest map where that cannot be halved to 32
    small = next((pair for pair in [image_sides, *(one for one, *_ in maps)] if max(pair) <= 32), smallest)
    coarse = layers.Reshape((*small, channels))(layers.Dense(math.prod(small) * channels)(z))
    x = layers.Add()([x, layers.UpSampling2D(image_sides[0] // small[0], interpolation="bilinear")(coarse)])
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

    No normalization, which takes most of a step once convolutions run in bfloat16: about three times as fast as `residual` on
    two cores. Residual branches that begin as zero do without (Zhang et al. 2019, arXiv:1901.09321; Brock et al. 2021,
    arXiv:2101.08692). hidden: dense layers of 256 features before the code. A code of two numbers needs some, a long one none.
    """
    images = keras.Input(image_shape, name="images")
    x = shrink(images, stages(image_shape, widths, blocks), rectified, between=rectified)
    x = layers.Flatten()(layers.Conv2D(bottleneck, 1)(x))
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

    Training starts at a linear map, such as the decoder of a PCA, and the branches of the blocks learn the rest. bottleneck,
    hidden: as for the encoder.
    """
    maps = stages(image_shape, widths, blocks, least=1)
    smallest, width, _ = maps[-1]
    z = x = keras.Input((latent_dim,), name="z")
    for _ in range(hidden):
        x = layers.Dense(256, activation="relu")(x)
    x = layers.Reshape((*smallest, bottleneck))(layers.Dense(math.prod(smallest) * bottleneck)(x))
    x = enlarge(layers.Conv2D(width, 1)(x), maps, image_shape[-1], rectified, before=lambda x: x)
    return keras.Model(z, layers.Activation("tanh", dtype="float32")(x), name="decoder")


def _map_shape(image_shape, halvings, latent_dim):
    """The shape of a code that is a map, (height, width, channels)."""
    step = 2**halvings
    if image_shape[0] % step or image_shape[1] % step:
        needed = f"can be halved {halvings} times (encoder.halvings, decoder.doublings)"
        raise refuse_sides(image_shape, needed, step, step)
    height, width = (side // step for side in image_shape[:2])
    depth, rest = divmod(latent_dim, height * width)
    if rest:
        near = " or ".join(str(channels * height * width) for channels in (depth, depth + 1) if channels)
        needed = f"latent.dim must be a multiple of {height}x{width}, the sides of the map"
        raise UserError(f"{needed}. Received: {latent_dim}; nearest {near}")
    return height, width, depth


def spatial_encoder(
    image_shape: ImageShape, latent: Latent, *, width: Width = 64, blocks: Count = 2, halvings: Halvings = 0
) -> keras.Model:
    """A code that is a map, flattened, for denoising and super-resolution, where a short code would blur what is restored.

    Residual blocks at a side halved `halvings` times, then the channels that fit `latent`. A cell of the map describes its
    surroundings in the image; the statistics of GroupNorm, those of the whole image, carry a little of the rest.
    """
    *_, depth = _map_shape(image_shape, halvings, latent.dim)
    images = keras.Input(image_shape, name="images")
    x = layers.Conv2D(width, 4 if halvings else 3, strides=2 if halvings else 1, padding="same")(images)
    for _ in range(halvings - 1):
        x = layers.Conv2D(width, 4, strides=2, padding="same")(normalized(x))
    for _ in range(blocks):
        x = ResidualBlock(width)(x)
    x = layers.Conv2D(depth, 1, padding="same")(normalized(x))
    x = layers.Add()([x, layers.Conv2D(depth, 2**halvings, strides=2**halvings)(images)])
    return keras.Model(images, latent(x if isinstance(latent, Features) else layers.Flatten()(x)), name="encoder")


def spatial_decoder(
    image_shape: ImageShape, latent_dim: int, *, width: Width = 64, blocks: Count = 4, doublings: Halvings = 0
) -> keras.Model:
    """Residual blocks on the map of `spatial_encoder`, its side doubled `doublings` times, plus a linear path; tanh."""
    channels = image_shape[-1]
    z = keras.Input((latent_dim,), name="z")
    coarse = layers.Reshape(_map_shape(image_shape, doublings, latent_dim))(z)
    x = layers.Conv2D(width, 3, padding="same")(coarse)
    for _ in range(blocks):
        x = ResidualBlock(width)(x)
    for _ in range(doublings - 1):
        x = layers.Conv2DTranspose(width, 4, strides=2, padding="same")(normalized(x))
    # the last doubling makes the pixels: feature maps of full size cost most and add least (Shi et al. 2016, arXiv:1609.05158)
    last = layers.Conv2DTranspose if doublings else layers.Conv2D
    x = last(channels, 4 if doublings else 3, strides=2 if doublings else 1, padding="same")(normalized(x))
    linear = layers.Conv2DTranspose(channels, 3 * 2**doublings, strides=2**doublings, padding="same")(coarse)
    x = layers.Add()([x, linear])
    return keras.Model(z, layers.Activation("tanh", dtype="float32")(x), name="decoder")


def unconditional(make_encoder, make_decoder, latent, classes):
    """No condition: p(x | z)."""
    return make_encoder(latent, 0), make_decoder(latent.dim)


def on_label(
    make_encoder: Callable[[Latent, int], keras.Model], make_decoder: Callable[[int], keras.Model], latent: Latent, classes: int
) -> tuple[keras.Model, keras.Model]:
    """Both networks take the class as a second input, `label` int32 (batch,): p(x | z, label).

    Sohn et al. 2015, Kingma et al. 2014 (arXiv:1406.5298). The encoder gets one more channel for each class, the decoder one
    more number in the code. Raises UserError where the images have no classes.
    """
    if classes < 2:
        labelled = "a folder with one sub-folder for each class, or a named data set"
        raise UserError(f"condition on_label needs images with labels: {labelled}")
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
