"""Checks of an experiment against its images and the machine, before anything is built, and errors of one line afterwards."""

import contextlib
import math
import os

import keras
import tensorflow as tf

from keras_ae.errors import UserError, first_line
from keras_ae.models.blocks import sides
from keras_ae.models.networks import is_conditional
from keras_ae.models.refinement import critic

# bytes of a number: weights are float32 in every precision, and mixed_bfloat16 kept only a tenth less for the gradient
FLOAT = 4
# what a step takes over the outputs of all layers, measured with vae, ae and denoise_cats: 1.1 to 1.4, second stage 1.2 to 1.8
STEP = 1.3
# of the memory of a machine that a run may take
SHARE = 0.9
# scikit-learn's mixture: covariances, precisions and a copy, float64
MIXTURE = 3 * 8
# copies of its components while they are made orthogonal
PCA = 4


@contextlib.contextmanager
def explained(what, *kinds):
    """Turn errors of these kinds inside the block into a UserError of one line, which begins with `what`."""
    try:
        yield
    except kinds as error:
        raise UserError(f"{what}: {first_line(error)}") from error


def building(what):
    """`explained` for code that builds networks or models, and for whatever TensorFlow and Keras raise there."""
    return explained(what, tf.errors.OpError, ValueError, TypeError, ArithmeticError, LookupError, MemoryError)


def check_tables(tables, shape, classes=None):
    """UserError where a value of one table does not suit another table, or images of `shape` (H, W, C) in so many classes."""
    side = shape[0]
    shift, factor = tables["data"]["shift"], tables["task"].get("factor", 1)
    if shift >= side:
        raise UserError(f"data.shift must be smaller than the side of the images, {side} pixels. Received: {shift}")
    if side % factor:
        raise UserError(f"task.factor must divide the side of the images, {side} pixels. Received: {factor}")
    small, encoder = side // factor, tables["encoder"]
    # these halve the side; what they cannot halve they would pass to the latent as it is
    if factor > 1 and encoder["name"] in ("conv", "residual") and not sides(small, 1):
        raise UserError(
            f"task.factor = {factor} leaves {small}x{small} pixels, too few for the encoder {encoder['name']}; "
            "lower it, or set encoder.name to dense or spatial"
        )
    if classes and tables["condition"]["name"] == "on_label" and tables["decoder"]["name"] == "spatial":
        _check_spatial_label(tables, side, classes)


def _check_spatial_label(tables, side, classes):
    dim, cell = tables["latent"]["dim"], (side // 2 ** tables["decoder"]["doublings"]) ** 2
    if cell and (dim + classes) % cell:
        raise UserError(
            f"condition on_label adds {classes} classes to a code of latent.dim = {dim}, and the decoder spatial folds both "
            f"into a map of {cell} cells: {dim + classes} is no multiple of {cell}. Set decoder.name to conv, residual or dense"
        )


def _layers(network):
    """The layers of a functional network and of those inside it."""
    for layer in network.layers:
        yield from _layers(layer) if isinstance(layer, keras.Model) else [layer]


def _values(network):
    """Numbers that the layers of a network give for one image."""
    outputs = (tensor for layer in _layers(network) for tensor in keras.tree.flatten(layer.output))
    return sum(math.prod(tensor.shape[1:]) for tensor in outputs)


def _numbers(variables):
    return sum(math.prod(variable.shape) for variable in variables)


def _key(table, tables):
    """The key that makes a network large: its widths, or its width."""
    return f"{table}.{next(key for key in tables[table] if key.startswith('width'))}"


def _latent_weights(model):
    """Weights that grow with a code: those of the latent layer, and of the matrices that the decoder multiplies codes by."""
    latent = [weights for layer in _layers(model.encoder) if layer.name == "codes" for weights in layer.trainable_weights]
    length = model.decoder.inputs[0].shape[1]
    into = [weights for weights in model.decoder.trainable_weights if len(weights.shape) == 2 and weights.shape[0] == length]
    return _numbers(latent), _numbers(into)


def needs(experiment, shape, classes=0, n_train=0):
    """Bytes that each part of a run takes at its peak, by what it is for and the key that makes it large.

    {"to train (4.0 million weights)": {"encoder.widths": bytes, ...}, ...}, about; without TensorFlow's own half a gigabyte.
    The model is built in a graph of its own, where variables have shapes and no memory.
    """
    tables, dim = experiment.tables, experiment.latent_dim
    with tf.Graph().as_default():
        model, _ = experiment.model(shape, 1, classes)
        weights = _numbers(model.trainable_variables)
        # the state, optimizers included, and the gradients
        each = FLOAT * (_numbers(model.state()) + weights) / weights
        latent, into = _latent_weights(model)
        encoder, decoder = model.encoder.count_params() - latent, model.decoder.count_params() - into
        kept = _values(model.encoder), _values(model.decoder)
        known = classes if is_conditional(model.decoder) else 0
        judged = _values(critic(shape, known)) if experiment.second_stage.epochs else 0
    parts = {
        "latent.dim": each * (weights - encoder - decoder),
        _key("encoder", tables): each * encoder,
        _key("decoder", tables): each * decoder,
    }
    batch, second = experiment.training.batch, experiment.second_stage
    # the density of each number of each code under each posterior of the batch, and its gradient
    pairs = batch**2 * dim if tables["objective"].get("total_correlation") else 0
    stepped = FLOAT * (STEP * batch * sum(kept) + 4 * pairs)
    wanted = {f"to train ({_count(weights)} weights)": parts | {"training.batch": stepped}}
    if second.epochs:
        values = kept[0] + 2 * kept[1] + 3 * judged
        wanted["for its second stage"] = parts | {"refinement.batch": STEP * FLOAT * second.batch * values}
    # N(0, I) is drawn from as a mixture with a full covariance
    components = max(tables["prior"].get("components", [0]))
    components = min(components, max(1, n_train // (2 * dim)))
    wanted["for the prior of its codes"] = {"latent.dim": dim**2 * (FLOAT + MIXTURE * components)}
    if experiment.task() is None:
        pixels = math.prod(shape)
        wanted["for the PCA beside it"] = {"latent.dim": PCA * FLOAT * pixels * min(dim, pixels)}
    return wanted


def memory():
    """Bytes of this machine's memory; None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def check_memory(experiment, shape, classes=0, n_train=0):
    """UserError where a run would take more memory than this machine has; the message names the keys that make it large."""
    has = memory()
    if has is None:
        return
    for purpose, parts in needs(experiment, shape, classes, n_train).items():
        total = sum(parts.values())
        # the system and its other programs need some of it
        if total > SHARE * has:
            largest = sorted((key for key in parts if parts[key] >= total / 10), key=parts.get, reverse=True)
            keys = " or ".join([", ".join(largest[:-1]), largest[-1]] if largest[1:] else largest)
            raise UserError(
                f"this model needs about {total / 2**30:,.0f} GB {purpose}, and this machine has {has / 2**30:,.0f} GB; "
                f"lower {keys}"
            )


def _count(number):
    for size, word in ((1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{number / size:,.1f} {word}"
    return f"{number:,}"
