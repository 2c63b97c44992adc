"""What models take, checked before anything is computed from it: images in every form of Keras, weights, and networks.

Whatever would train or predict silently wrong is a ValueError of one line that says what was received and what to pass.
"""

import contextlib
import re
import warnings

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_ae.data.tasks import assert_within
from keras_ae.errors import UserError

# how failed assertions of a graph appear in the errors of TensorFlow: those of `within`, and of `tf.ensure_shape`
OUTSIDE = re.compile(r"assertion failed: \[(the [^\]]* must lie in \[.*?\])\] \[([^\]]*)\] \[([^\]]*)\]")
MISSHAPEN = re.compile(r"\[([\d,]*)\] is not compatible with expected shape \[([\d,?]*)\]")
TO_SCALE = "scale them with images / 127.5 - 1"
BRIGHT = "all images so far lie in [0, 1]; if they were divided by 255, bring them to [-1, 1] with images * 2 - 1"
COLLAPSED = "the KL ended at {:.2g} nats: codes carry nothing, all reconstructions are alike; lower beta, or train longer"


def range_error(what: str, low: float, high: float) -> ValueError:
    """The error for `what`, which "must lie in [...]", with values from `low` to `high`, and what brings images there."""
    if not what.endswith("[-1, 1]"):
        if np.isnan(low) or np.isnan(high):
            return ValueError(f"{what}, as whole numbers. Received: other ones")
        advice = "number classes from 0 as the model was built"
    elif np.isnan(low) or np.isnan(high):
        advice = "replace what is not a number, such as with np.nan_to_num(images)"
    elif low < 0:
        advice = "clip noise with np.clip(images, -1, 1), or scale by the range of the data"
    else:
        white = 255 if high <= 255 else 65535 if high <= 65535 else high
        advice = f"scale them with images / {white / 2:g} - 1"
    return ValueError(f"{what}. Received: values from {low:g} to {high:g}; {advice}")


def shape_error(name: str, expected: tuple, received: tuple) -> ValueError:
    """The error for a batch of another shape, with advice for the likeliest mistake. expected: with None for the batch."""
    (_, height, width, channels), sides = expected, received[1:]
    if received == expected[1:] or sides == expected[2:]:
        advice = "batch a dataset with .batch(32), and a single image with images[None]"
    elif sides == (height, width):
        advice = "add a channel axis with images[..., None]"
    elif len(received) < 3:
        advice = "leave class labels out (label_mode=None), or pass {'images': images, 'label': labels} to a conditional model"
    elif sides == (channels, height, width):
        advice = "put the channels last with np.moveaxis(images, 1, -1)"
    elif len(received) == 4 and sides[:2] == (height, width):
        advice = "give them the channels that the networks were built for, or build networks for these"
    else:
        advice = "resize them, or build networks for this shape; pairs (inputs, targets) may differ in shape"
    return ValueError(f"the {name} must have shape {expected}. Received: {received}; {advice}")


def within(values: tf.Tensor, low: float, high: float, what: str, tolerance: float = 0.0) -> tf.Tensor:
    """The values, asserted to be finite and within [low, high]; `what` names them, such as "the targets"."""
    what = f"{what} must lie in [{low}, {high}]"
    least, most = (ops.cast(extreme(values), "float32") for extreme in (ops.min, ops.max))
    bounds = low - tolerance, high + tolerance
    if not tf.executing_eagerly():
        return assert_within(values, least, most, bounds, what)
    if not bounds[0] <= least <= most <= bounds[1]:
        raise range_error(what, float(least), float(most))
    return values


def check_images(images, name: str, expected: tuple[int | None, ...]) -> tf.Tensor:
    """Images as float32 of the shape `expected` (None, H, W, C), asserted to lie in [-1, 1]. name: "inputs" or "targets"."""
    if isinstance(images, list | tuple):
        raise ValueError(f"the {name} must be one array. Received: {len(images)} arrays; stack images with np.stack(images)")
    images, expected = ops.convert_to_tensor(images), tuple(expected)
    if images.dtype == "uint8":
        mapped = "dataset.map(lambda images: tf.cast(images, 'float32') / 127.5 - 1)"
        raise ValueError(f"the {name} must lie in [-1, 1]. Received: 8-bit images; {TO_SCALE}, or with {mapped}")
    if not images.dtype.is_floating and not images.dtype.is_integer:
        raise ValueError(f"the {name} must be numbers in [-1, 1]. Received: {images.dtype.name}")
    if not images.shape.is_compatible_with(expected):
        raise shape_error(name, expected, tuple(images.shape))
    # TensorFlow may trace a step again for any shape
    images = tf.ensure_shape(tf.cast(images, "float32"), expected)
    images = within(images, -1, 1, f"the {name}", tolerance=1e-3)
    # XLA leaves assertions out: images out of range give a loss of NaN there, instead of a plausible one
    return ops.where(ops.max(ops.abs(images)) <= 1.001, images, np.nan)


def check_labels(label, classes: int | None) -> tf.Tensor:
    """Class numbers (batch,), from (batch,) or (batch, 1), asserted to be known: others would be encoded as no class at all."""
    label = ops.convert_to_tensor(label)
    kinds = {"string": "text", "bool": "booleans"}
    # TensorFlow may trace a step again for any shape
    if label.dtype.name in kinds or (label.shape.rank not in (None, 1) and label.shape[1:] != (1,)):
        received = kinds.get(label.dtype.name, f"a batch of shape {tuple(label.shape)}")
        advice = "one-hot labels become np.argmax(labels, -1), names np.unique(names, return_inverse=True)[1]"
        raise ValueError(f"labels are class numbers of shape (n,). Received: {received}; {advice}")
    label = ops.reshape(label, (-1,))
    if label.dtype.is_floating:
        # halves of classes are no classes
        label = ops.where(label == ops.round(label), label, np.nan)
    return within(label, 0, classes - 1, "the labels") if classes else label


def check_weight(sample_weight, images: tf.Tensor) -> tf.Tensor | None:
    """Weights of a batch of images as float32 (batch,), from (batch,) or (batch, 1); None stays None."""
    if sample_weight is None:
        return None
    sample_weight = ops.cast(sample_weight, "float32")
    shape = sample_weight.shape
    # TensorFlow may trace a step again for any shape
    if shape.rank not in (None, 1) and shape[1:] != (1,):
        received = f"a batch of shape {tuple(shape)}; weight pixels in a reconstruction function of your own"
        raise ValueError(f"sample_weight must be one number for each image, (n,) or (n, 1). Received: {received}")
    return ops.reshape(sample_weight, ops.shape(images)[:1])


def check_finite(outputs) -> None:
    """Raise ValueError where the first results of a step under XLA are no numbers: there, nothing was asserted."""
    if not all(np.isfinite(tensor).all() for tensor in keras.tree.flatten(outputs)):
        needed = f"Images must lie in [-1, 1]: {TO_SCALE}; labels must be classes of the model"
        raise ValueError(f"the first results are no numbers. {needed}. Without jit_compile, the message says what was received")


@contextlib.contextmanager
def in_one_line():
    """Turn a failed assertion of `within` or `check_images` inside the block into a ValueError of one line."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        if found := OUTSIDE.search(error.message):
            raise range_error(found[1], float(found[2]), float(found[3])) from None
        if found := MISSHAPEN.search(error.message):
            sides = (text.split(",") if text else [] for text in found.group(2, 1))
            shapes = (tuple(None if side == "?" else int(side) for side in shape) for shape in sides)
            raise shape_error("images", *shapes) from None
        raise


def functional(network: keras.Model, name: str) -> keras.Model:
    """The network as a functional model: itself, or the graph of a `Sequential`. Raises ValueError for others."""
    if not isinstance(network, keras.Model):
        raise ValueError(f"the {name} must be a functional keras.Model. Received: {type(network).__name__}")
    if not getattr(network, "inputs", None):
        advice = f"wrap it: x = keras.Input(shape); {name} = keras.Model(x, network(x))"
        raise ValueError(f"the {name} must be a functional model. Received: {type(network).__name__} without inputs; {advice}")
    return keras.Model(network.inputs[0], network.outputs[0]) if isinstance(network, keras.Sequential) else network


def as_encoder(network: keras.Model) -> keras.Model:
    """The encoder with outputs {"z_mean"[, "z_log_var"]}, from a dict, list or tensor. Raises ValueError for others."""
    network = functional(network, "encoder")
    outputs = network.output
    # a draw "z", the third output of the VAE of keras.io, is left out
    if isinstance(outputs, dict):
        named = {key: tensor for key, tensor in outputs.items() if key != "z"}
    else:
        tensors = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
        named = dict(zip(("z_mean", "z_log_var"), tensors, strict=False)) if len(tensors) <= 3 else {}
    shapes = {tuple(tensor.shape) for tensor in named.values()}
    if not {"z_mean"} <= set(named) <= {"z_mean", "z_log_var"} or len(shapes) > 1 or len(*shapes) != 2:
        received = keras.tree.map_structure(lambda tensor: str(tuple(tensor.shape)), outputs)
        raise ValueError(f"an encoder returns z_mean, or z_mean and z_log_var, of shape (batch, dim). Received: {received}")
    return network if named == outputs else keras.Model(network.inputs, named, name=network.name)


def as_decoder(network: keras.Model) -> keras.Model:
    """The decoder as a functional model with one tensor of images, (batch, H, W, C). Raises ValueError for other outputs."""
    network = functional(network, "decoder")
    outputs = keras.tree.flatten(network.output)
    if len(outputs) != 1:
        raise ValueError(f"a decoder returns images. Received: {len(outputs)} outputs")
    last = getattr(getattr(network.layers[-1], "activation", None), "__name__", None)
    if last in ("sigmoid", "relu", "softmax", "softplus"):
        advice = "has no values below 0, but images lie in [-1, 1]; end it in tanh"
        warnings.warn(f"the decoder ends in {last}, which {advice}", stacklevel=4)
    return network if network.output is outputs[0] else keras.Model(network.inputs, outputs[0], name=network.name)


def check_pair(encoder: keras.Model, decoder: keras.Model) -> None:
    """Raise ValueError unless codes of the encoder fit the decoder, whose images may only be larger by a whole factor."""
    code, z = (tuple(tensor.shape[1:]) for tensor in (encoder.output["z_mean"], decoder.inputs[0]))
    if code != z:
        raise ValueError(f"the encoder returns codes of shape {code}, but the decoder takes codes of shape {z}")
    shown, drawn = (tuple(tensor.shape[1:]) for tensor in (encoder.inputs[0], decoder.output))
    # super-resolution enlarges images
    if len(drawn) != 3 or any(None not in pair and pair[1] % pair[0] for pair in zip(shown[:2], drawn[:2], strict=True)):
        raise ValueError(f"the encoder takes images of shape {shown}, but the decoder returns images of shape {drawn}")


def check_numbers(**numbers: float) -> None:
    """Raise ValueError for a number that is negative, infinite or none."""
    for name, value in numbers.items():
        if not 0 <= value < np.inf:
            raise ValueError(f"{name} must be a number from 0. Received: {value}")


def check_posterior(encoder: keras.Model, what: str) -> None:
    """Raise ValueError for an encoder without posteriors; `what` needs them."""
    if "z_log_var" not in encoder.output:
        raise ValueError(f"{what} needs a Gaussian latent. Received: a point")


def check_keras() -> None:
    """Raise UserError unless Keras has channels last, as everything here does."""
    if keras.config.image_data_format() != "channels_last":
        advice = 'before building networks: keras.config.set_image_data_format("channels_last")'
        raise UserError(
            f"images have channels last, but Keras is set to channels_first, by keras.json or the program; {advice}"
        )


def check_likelihood(reconstruction) -> None:
    """Raise TypeError for what is no function of images and reconstructions, ValueError for losses of Keras that average."""
    if isinstance(reconstruction, keras.losses.Loss):
        name = type(reconstruction).__name__
        ours = "laplace" if "Absolute" in name else "bernoulli" if "Crossentropy" in name else "gaussian"
        raise ValueError(f"{name} averages over pixels; the KL needs nats summed over them: use reconstruction='{ours}'")
    if not callable(reconstruction):
        raise TypeError(f"reconstruction must be the name of a likelihood or a function. Received: {reconstruction!r}")


def check_nats(values, like: tf.Tensor) -> tf.Tensor:
    """The values of a reconstruction function, refused with ValueError unless they are (batch,). like: the images."""
    values = ops.convert_to_tensor(values)
    if values.shape.rank != 1 or not values.shape.is_compatible_with(like.shape[:1]):
        received = f"shape {tuple(values.shape)}; sum with keras.ops.sum(values, axis=(1, 2, 3))"
        raise ValueError(f"a reconstruction function returns nats summed over pixels, of shape (batch,). Received: {received}")
    return values
