"""Exports on disk: three SavedModels, portable files, card.json and README.md, from networks and a prior."""

import functools
import os
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from keras_ae import files
from keras_ae.errors import UserError
from keras_ae.exports import portable
from keras_ae.exports.card import FORMAT, write_card
from keras_ae.exports.load import Exported
from keras_ae.images import pictures
from keras_ae.models import inputs, networks
from keras_ae.models.losses import Likelihood
from keras_ae.models.vae import VAE
from keras_ae.priors import mixture
from keras_ae.priors.space import batched


def _specs(model):
    """The arguments of functions of a named model."""
    return [tf.TensorSpec(given.shape, given.dtype, name) for name, given in model.input.items()]


def _apply(model, *tensors):
    """The outputs of a named model, a dict of tensors."""
    return model(dict(zip(model.input, map(tf.convert_to_tensor, tensors), strict=True)), training=False)


def _compile(function, specs):
    """A graph of the function. Tensors of another rank are an error: convolutions of TensorFlow would end the process."""

    def checked(*tensors):
        return function(*[tf.ensure_shape(tensor, spec.shape) for tensor, spec in zip(tensors, specs, strict=True)])

    # no conditions or loops of Python depend on tensors: AutoGraph would take a fifth of the time
    return tf.function(checked, specs, autograph=False)


def _save(model, endpoints, folder):
    """Write a SavedModel of functions of one named model: endpoints {signature: (function, [TensorSpec, ...])}."""
    # Keras' ExportArchive writes every weight twice
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    functions = {name: _compile(*endpoint) for name, endpoint in endpoints.items()}
    specs = {spec.name: spec for spec in endpoints["serving_default"][1]}
    alone = len(specs) == 1

    # what `keras.layers.TFSMLayer` calls, with a tensor, or a dict where there are several
    def serve(inputs):
        return functions["serving_default"](*([inputs] if alone else [inputs[name] for name in specs]))

    module.serve = tf.function(serve, list(specs.values()) if alone else [specs], autograph=False)
    signatures = {name: function.get_concrete_function() for name, function in functions.items()}
    tf.saved_model.save(module, str(folder), signatures)


def write_encoder(encoder, fit, folder):
    """The SavedModel `encoder`: `serving_default` for images in [-1, 1], `encode_uint8` for images of any size."""
    specs = _specs(encoder)
    shape = tuple(specs[0].shape[1:])

    def encode_uint8(images, *label):
        return _apply(encoder, portable.resize(images, shape, fit), *label)

    encode, pixels = functools.partial(_apply, encoder), tf.TensorSpec((None, None, None, shape[-1]), tf.uint8, name="images")
    _save(encoder, {"serving_default": (encode, specs), "encode_uint8": (encode_uint8, [pixels, *specs[1:]])}, folder)


def write_decoder(decoder, folder):
    """The SavedModel `decoder`: `serving_default` from z to images in [-1, 1], `decode_uint8` from z to uint8 images."""

    def endpoint(output):
        return lambda *inputs: {"images": _apply(decoder, *inputs)[output]}, _specs(decoder)

    _save(decoder, {"serving_default": endpoint("images"), "decode_uint8": endpoint("images_uint8")}, folder)


def write_generator(decoder, prior, folder):
    """The SavedModel `generator`: from (n, seed, temperature) to uint8 images and their codes; the fitted prior is inside.

    The signatures `fitted` and `normal` name the prior and draw images `first` ... `first + n - 1` of the seed's endless
    sequence. For a conditional model all take `label` too, one for all images or one for each.
    """
    z_spec, *label_spec = _specs(decoder)
    counts = [tf.TensorSpec((), tf.int32, name=name) for name in ("first", "n", "seed")]
    specs = [*counts, tf.TensorSpec((), tf.float32, name="temperature"), *label_spec]
    standard = mixture.Normal(z_spec.shape[-1])

    # one function for all signatures, so that the SavedModel contains the network's graph and the prior once
    @tf.function(input_signature=[z_spec, *label_spec], autograph=False)
    def decode(z, *label):
        n = tf.shape(z)[0]
        # convolutions of one image alone may round in another way
        codes = tf.pad(z, [[0, tf.cast(n == 1, tf.int32)], [0, 0]])
        labels = [tf.broadcast_to(one, tf.shape(codes)[:1]) for one in label]
        return {"images": _apply(decoder, codes, *labels)["images_uint8"][:n], "z": z}

    @tf.function(input_signature=specs, autograph=False)
    def fitted(first, n, seed, temperature, *label):
        return decode(prior.sample(n, seed, temperature, first, *label), *label)

    def normal(first, n, seed, temperature, *label):
        return decode(standard.sample(n, seed, temperature, first), *label)

    def generate(n, seed, temperature, *label):
        return fitted(tf.constant(0), n, seed, temperature, *label)

    endpoints = {"serving_default": (generate, specs[1:]), "fitted": (fitted, specs), "normal": (normal, specs)}
    _save(decoder, endpoints, folder)


def write(folder, encoder, decoder, prior, card, force=False, critic=None):
    """Write a whole export to `folder`; it replaces an older one at the end.

    prior: density of the codes, see `priors.mixture`. card: what is known beside the facts of the networks; `labels` in it are
    the names of the classes, if any. critic: of the second stage. Raises UserError if another process writes the folder, or it
    contains something else, without `force`.
    """
    folder, entries = files.check_output(folder, force), networks.codebook(encoder)
    card = {
        "format": FORMAT,
        "fit": "crop",
        # by them `files` knows what it may replace
        "versions": files.versions(),
        **card,
        "image_shape": list(decoder.outputs[0].shape[1:]),
        "input_shape": list(encoder.inputs[0].shape[1:]),
        "image_range": [-1.0, 1.0],
        "labels": list(card.get("labels", ())) if networks.is_conditional(encoder) else [],
        "latent_dim": int(encoder.output["z_mean"].shape[-1]),
        "code_shape": list(networks.code_shape(encoder)),
        "encoder_outputs": ["z", "z_mean", "z_log_var"] if "z_log_var" in encoder.output else ["z"],
        "priors": ["fitted", "normal"],
    }
    if entries is not None:
        card["codebook"] = dict(zip(("entries", "channels"), entries.shape, strict=True))
    if (channels := card["image_shape"][-1]) not in (1, 3):
        card["bands"] = f"pictures show {'band 1' if channels == 2 else 'bands 1 to 3'} of {channels}"
    busy = f"{folder} is being written by another export; try again when it has ended"
    with files.lock(folder.with_name(f".{folder.name}.lock"), busy), files.write_folder(folder, force) as partial:
        models = portable.name_networks(encoder, decoder, prior, card["encoder_outputs"])
        write_encoder(models["encoder"], card["fit"], partial / "encoder")
        write_decoder(models["decoder"], partial / "decoder")
        write_generator(models["decoder"], prior, partial / "generator")
        if critic:
            # for training that starts from the export
            np.savez_compressed(partial / "critic.npz", *[weights.astype("float16") for weights in critic.get_weights()])
        card |= portable.write(partial, models, prior, card)
        write_card(partial, card)
        # as `generate` draws them
        label = [np.arange(16, dtype="int32") % len(card["labels"])] if card["labels"] else []
        samples = _apply(models["decoder"], prior.sample(16, 0, 1.0, 0, *label), *label)["images_uint8"]
        pictures.write_png(partial / "samples.png", pictures.grid(np.asarray(samples), 4))
    return folder


def _arrays(images, labels):
    """Images (n, H, W, C) and labels, or None, from what `fit` takes as images; see `save`."""
    if isinstance(images, tf.data.Dataset | keras.utils.PyDataset):
        size = images.num_batches if isinstance(images, keras.utils.PyDataset) else images.cardinality()
        if size in (None, tf.data.INFINITE_CARDINALITY):
            raise UserError("`images` must end: pass one pass over them, such as dataset.take(100)")
        batches = images if isinstance(images, tf.data.Dataset) else map(images.__getitem__, range(size))
        parts = [_arrays(keras.utils.unpack_x_y_sample_weight(batch)[0], None) for batch in batches]
        if not parts:
            return np.zeros(0), labels
        arrays, numbers = zip(*parts, strict=True)
        return np.concatenate(arrays), labels if numbers[0] is None else np.concatenate(numbers)
    if isinstance(images, dict):
        names = [name for name in ("inputs", "images", "image") if name in images]
        return _arrays(images[names[0]] if names else (), images.get("label", labels))
    if hasattr(images, "__next__"):
        raise UserError("`images` must be an array or a dataset. Received: a generator, which may be used up")
    return np.asarray(images), labels


def _labels(encoder, labels, n):
    """Class numbers (n,) of images for a conditional model, and how many classes it has; None and 0 for others."""
    if not networks.is_conditional(encoder):
        return None, 0
    if labels is None or len(labels) != n:
        received = "none" if labels is None else len(labels)
        raise UserError(f"a conditional model needs `labels`, the class number of each of {n} images. Received: {received}")
    classes = networks.class_count(encoder)
    labels = np.asarray(inputs.check_labels(labels, classes or 2**31), "int32")
    return labels, classes or int(labels.max()) + 1


def save(
    model: VAE,
    folder: str | os.PathLike,
    images: ArrayLike | tf.data.Dataset | keras.utils.PyDataset,
    labels: ArrayLike | None = None,
    name: str | None = None,
    seed: int = 0,
    prior: str = "mixture",
    force: bool = False,
    fit: str = "crop",
) -> Exported:
    """Export a `models.vae.VAE` that was trained in Python to `folder`; returns the export, opened.

    images: training images (n, H, W, C), uint8 or floats in [-1, 1], or a dataset or `PyDataset` of batches as `fit` takes
    them, which must fit into memory; the prior of the generator is fitted to their codes. labels: their class numbers (n,) for
    a conditional model, which become the names of the classes. name: of the experiment, by default that of the folder. prior: a
    name of `priors.mixture.PRIORS`. force: replace what is in the folder. fit: of picture files, as in `load_data`.

    Raises ValueError for images of another shape or range, labels that do not fit the model or the images, codes that are not
    finite, an unknown prior, or a folder of something else.
    """
    files.check_output(folder, force)
    images, labels = _arrays(images, labels)
    expected = tuple(model.encoder.inputs[0].shape)
    if not len(images):
        raise UserError(f"save needs images of shape {expected}, to fit a prior to their codes. Received: none")
    if images.shape[1:] != expected[1:]:
        raise inputs.shape_error("images", expected, images.shape)
    images = pictures.floats(images).astype("float32", copy=False)
    labels, classes = _labels(model.encoder, labels, len(images))
    encoder, decoder = networks.in_float32(model.encoder), networks.in_float32(model.decoder)
    if prior not in mixture.PRIORS:
        raise UserError(f"unknown prior {prior!r}; choose one of {', '.join(mixture.PRIORS)}")
    pictures.check_fit(fit)

    def encode(rows):
        label = None if labels is None else labels[rows]
        return networks.apply(encoder, images=images[rows], label=label)["z_mean"]

    # priors take the first codes, and hold out every tenth or twentieth: they expect no order
    order = np.random.default_rng(seed).permutation(len(images))
    of_order = (None, None) if labels is None else (labels[order], classes)
    codes = batched(encode, order)
    if wrong := int((~np.isfinite(codes).all(axis=1)).sum()):
        raise UserError(f"the codes of {wrong} of {len(codes)} images are not finite: training diverged")
    fitted = mixture.PRIORS[prior].fit(codes, seed, *of_order, networks.codebook(encoder))
    known = {"prior": {"name": prior}}
    # a likelihood of the user's own has another configuration, or none
    if isinstance(model.reconstruction, Likelihood):
        known["reconstruction"] = model.reconstruction.get_config()
    card = {
        "experiment": name or Path(folder).name,
        "configuration": known,
        "task": {"name": "identity"},
        "fit": fit,
        "labels": [str(label) for label in range(classes)],
        "seed": seed,
    }
    return Exported(write(folder, encoder, decoder, fitted, card, force))
