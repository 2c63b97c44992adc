"""Functional encoders and decoders for square pictures.

An encoder maps images (batch, size, size, channels) in [-1, 1] to the codes of a latent layer; a decoder maps z
(batch, latent_dim) to images in [-1, 1]; a condition gives both a label (batch,) too. `widths` gives the channels at each
halving of the side. To add a network, write its two builders and name them in `ENCODERS` and `DECODERS`.
"""

import math

import keras
from keras import layers, ops

from keras_ae.errors import UserError


def apply(network, training=False, **tensors):
    """Call a network with those of the named tensors that are its inputs: images, z, label."""
    # given a dict with more, Keras warns and may feed the wrong one
    wanted = [ops.convert_to_tensor(tensors[tensor.name]) for tensor in network.inputs]
    return network(wanted if len(wanted) > 1 else wanted[0], training=training)


def dense_encoder(image_shape, latent, *, widths: list[int] = (512,)):
    """Dense layers with ReLU on the pixels in a row."""
    images = keras.Input(image_shape, name="images")
    x = layers.Flatten()(images)
    for width in widths:
        x = layers.Dense(width, activation="relu")(x)
    return keras.Model(images, latent(x), name="encoder")


def dense_decoder(image_shape, latent_dim, *, widths: list[int] = (512,)):
    """The mirror image of `dense_encoder`; tanh."""
    z = keras.Input((latent_dim,), name="z")
    x = z
    for width in reversed(widths):
        x = layers.Dense(width, activation="relu")(x)
    x = layers.Reshape(image_shape)(layers.Dense(math.prod(image_shape))(x))
    return keras.Model(z, layers.Activation("tanh", dtype="float32")(x), name="decoder")


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


def _depth(latent_dim, side):
    """Channels of a code that is a map of this side."""
    if side < 1 or latent_dim % side**2:
        raise UserError(f"latent.dim must be a multiple of {side}x{side}, the side of the map. Received: {latent_dim}")
    return latent_dim // side**2


def spatial_encoder(image_shape, latent, *, width: int = 64, blocks: int = 2, halvings: int = 0):
    """A code that is a map, flattened: residual blocks at a side halved `halvings` times, then the channels that fit `latent`.

    What stands where stays where it stands: for denoising and super-resolution.
    """
    images = keras.Input(image_shape, name="images")
    x = layers.Conv2D(width, 4 if halvings else 3, strides=2 if halvings else 1, padding="same")(images)
    for _ in range(halvings - 1):
        x = layers.Conv2D(width, 4, strides=2, padding="same")(_normalized(x))
    for _ in range(blocks):
        x = ResidualBlock(width)(x)
    x = layers.Conv2D(_depth(latent.dim, x.shape[1]), 1, padding="same")(_normalized(x))
    x = layers.Add()([x, layers.Conv2D(x.shape[-1], 2**halvings, strides=2**halvings)(images)])
    return keras.Model(images, latent(layers.Flatten()(x)), name="encoder")


def spatial_decoder(image_shape, latent_dim, *, width: int = 64, blocks: int = 4, doublings: int = 0):
    """Residual blocks on the map that `spatial_encoder` made a code of, doubled `doublings` times, plus a linear path; tanh."""
    side, channels = image_shape[0] // 2**doublings, image_shape[-1]
    z = keras.Input((latent_dim,), name="z")
    coarse = layers.Reshape((side, side, _depth(latent_dim, side)))(z)
    x = layers.Conv2D(width, 3, padding="same")(coarse)
    for _ in range(blocks):
        x = ResidualBlock(width)(x)
    for _ in range(doublings - 1):
        x = layers.Conv2DTranspose(width, 4, strides=2, padding="same")(_normalized(x))
    # the last doubling makes pixels: features at full size cost most and add least (Shi et al. 2016, arXiv:1609.05158)
    last = (
        layers.Conv2DTranspose(channels, 4, strides=2, padding="same")
        if doublings
        else layers.Conv2D(channels, 3, padding="same")
    )
    x = last(_normalized(x))
    linear = layers.Conv2DTranspose(channels, 3 * 2**doublings, strides=2**doublings, padding="same")(coarse)
    x = layers.Add()([x, linear])
    return keras.Model(z, layers.Activation("tanh", dtype="float32")(x), name="decoder")


def unconditional(make_encoder, make_decoder, latent, classes):
    """The networks as they are: p(x | z)."""
    return make_encoder(latent, 0), make_decoder(latent.dim)


def on_label(make_encoder, make_decoder, latent, classes):
    """Both networks are told the class, `label` int32 (batch,): p(x | z, label) (Sohn et al. 2015, Kingma et al. 2014).

    The encoder sees it as one more plane for each class, the decoder as one more number in the code. Raises UserError where
    the pictures have no classes.
    """
    if classes < 2:
        raise UserError(
            "condition on_label needs pictures with labels: a folder with one sub-folder for each class, or a named set"
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


ENCODERS = {"conv": conv_encoder, "residual": residual_encoder, "dense": dense_encoder, "spatial": spatial_encoder}
DECODERS = {"conv": conv_decoder, "residual": residual_decoder, "dense": dense_decoder, "spatial": spatial_decoder}
CONDITIONS = {"none": unconditional, "on_label": on_label}
