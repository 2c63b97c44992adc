"""Exports on disk: three SavedModels, card.json and README.md, from networks, a prior and what is known of both."""

import json
import os
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from keras_ae import files, outputs
from keras_ae.errors import UserError
from keras_ae.exports import card as describe
from keras_ae.exports import litert, portable, resizing
from keras_ae.exports.reading import Exported
from keras_ae.exports.readme import readme
from keras_ae.images import pictures
from keras_ae.models import networks
from keras_ae.models.losses import Likelihood
from keras_ae.models.vae import VAE
from keras_ae.priors import mixture
from keras_ae.priors.space import batched
from keras_ae.versions import versions


def _label(network):
    """The second input of the functions of a conditional network, {"label": TensorSpec}; {} for others."""
    return {"label": tf.TensorSpec((None,), tf.int32, name="label")} if networks.is_conditional(network) else {}


def _save(network, endpoints, folder):
    """Write a SavedModel of functions of one network: endpoints {name: (function, [TensorSpec, ...])}."""
    # Keras' ExportArchive writes every weight twice
    module = tf.Module()
    module.weights = [variable.value for variable in network.variables]
    functions = {name: tf.function(function, specs) for name, (function, specs) in endpoints.items()}
    module.serve = _served(functions["serving_default"], endpoints["serving_default"][1])
    signatures = {name: function.get_concrete_function() for name, function in functions.items()}
    tf.saved_model.save(module, str(folder), signatures)


def _served(function, specs):
    """The function of one argument that `keras.layers.TFSMLayer` calls: a tensor, or a dict where there are several."""
    if len(specs) == 1:
        return tf.function(function, specs)

    @tf.function(input_signature=[{spec.name: spec for spec in specs}])
    def serve(inputs):
        return function(*(inputs[spec.name] for spec in specs))

    return serve


def write_encoder(encoder, outputs, folder):
    """The SavedModel `encoder`: `serving_default` for images in [-1, 1], `encode_uint8` for images of any size.

    outputs: names of its outputs; "z" is the mean code.
    """
    shape = tuple(encoder.inputs[0].shape[1:])

    def encode(images, label=None):
        codes = networks.apply(encoder, images=images, label=label)
        return {name: codes["z_mean" if name == "z" else name] for name in outputs}

    def encode_uint8(images, label=None):
        return encode(resizing.resized(images, shape), label)

    label = _label(encoder).values()
    endpoints = {
        "serving_default": (encode, [tf.TensorSpec((None, *shape), tf.float32, name="images"), *label]),
        "encode_uint8": (encode_uint8, [tf.TensorSpec((None, None, None, shape[-1]), tf.uint8, name="images"), *label]),
    }
    _save(encoder, endpoints, folder)


def _to_uint8(images):
    return tf.cast(tf.round((tf.clip_by_value(images, -1.0, 1.0) + 1.0) * 127.5), tf.uint8)


def write_decoder(decoder, latent_dim, folder):
    """The SavedModel `decoder`: `serving_default` from z to images in [-1, 1], `decode_uint8` from z to uint8 images."""
    signature = [tf.TensorSpec((None, latent_dim), tf.float32, name="z"), *_label(decoder).values()]

    def decode(z, label=None):
        return {"images": networks.apply(decoder, z=z, label=label)}

    def decode_uint8(z, label=None):
        return {"images": _to_uint8(decode(z, label)["images"])}

    endpoints = {"serving_default": (decode, signature), "decode_uint8": (decode_uint8, signature)}
    _save(decoder, endpoints, folder)


def write_generator(decoder, latent_dim, prior, folder):
    """The SavedModel `generator`: from (n, seed, temperature) to uint8 images and their codes; the fitted prior is inside.

    The signatures `fitted` and `normal` name the prior and draw images `first` ... `first + n - 1` of the seed's endless
    sequence. For a conditional model all take `label` too, one for all images or one for each.
    """
    counts = {name: tf.TensorSpec((), tf.int32, name=name) for name in ("first", "n", "seed")}
    others = [tf.TensorSpec((), tf.float32, name="temperature"), *_label(decoder).values()]

    # one function for all signatures, so that the SavedModel contains the network's graph and the prior once
    @tf.function(input_signature=[tf.TensorSpec((None, latent_dim), tf.float32), *_label(decoder).values()])
    def decode(z, *label):
        n = tf.shape(z)[0]
        # convolutions of one image alone may round in another way
        codes = tf.pad(z, [[0, tf.cast(n == 1, tf.int32)], [0, 0]])
        labels = tf.broadcast_to(label[0], tf.shape(codes)[:1]) if label else None
        return {"images": _to_uint8(networks.apply(decoder, z=codes, label=labels))[:n], "z": z}

    @tf.function(input_signature=[*counts.values(), *others])
    def fitted(first, n, seed, temperature, *label):
        return decode(prior.sample(n, seed, temperature, first, *label), *label)

    def normal(first, n, seed, temperature, *label):
        return decode(mixture.Normal(latent_dim).sample(n, seed, temperature, first), *label)

    def generate(n, seed, temperature, *label):
        return fitted(tf.constant(0), n, seed, temperature, *label)

    endpoints = {
        "serving_default": (generate, [counts["n"], counts["seed"], *others]),
        "fitted": (fitted, [*counts.values(), *others]),
        "normal": (normal, [*counts.values(), *others]),
    }
    _save(decoder, endpoints, folder)


def facts(encoder, decoder, labels=()):
    """What a card says of the networks, read from them: shapes, range, classes, outputs. labels: names of the classes."""
    conditional, shape = networks.is_conditional(encoder), networks.code_shape(encoder)
    return {
        "image_shape": list(decoder.outputs[0].shape[1:]),
        "input_shape": list(encoder.inputs[0].shape[1:]),
        "image_range": [-1.0, 1.0],
        "labels": list(labels) if conditional else [],
        "latent_dim": int(encoder.output["z_mean"].shape[-1]),
        "code_shape": list(shape),
        "encoder_outputs": ["z", *(["z_mean", "z_log_var"] if "z_log_var" in encoder.output else [])],
        "priors": ["fitted", "normal"],
    }


def _samples(decoder, prior, labels):
    """The first 16 pictures of seed 0, as `generate` draws them, uint8."""
    label = portable.in_turn(16, len(labels))
    z = prior.sample(16, 0, 1.0, 0, label)
    return pictures.to_uint8(np.asarray(networks.apply(decoder, z=z, label=label)))


def write(folder, encoder, decoder, prior, card):
    """Write a whole export to `folder`; it replaces an older one at the end.

    prior: density of the codes, see `codes.priors`. card: what is known beside the `facts` of the networks; `labels` in it are
    the names of the classes, used where the networks are conditional. Raises UserError if the folder contains something else,
    or another process writes it.
    """
    folder = Path(folder)
    outputs.check_folder(folder)
    known = facts(encoder, decoder, card.get("labels", ()))
    card = {"format": describe.FORMAT, **card, **known}
    busy = f"{folder} is being written by another export; try again when it has ended"
    with files.locked(folder.with_name(f".{folder.name}.lock"), busy), outputs.folder(folder) as partial:
        write_encoder(encoder, known["encoder_outputs"], partial / "encoder")
        write_decoder(decoder, known["latent_dim"], partial / "decoder")
        write_generator(decoder, known["latent_dim"], prior, partial / "generator")
        card["onnx"] = portable.write(partial, encoder, decoder, prior, card)
        card["litert"] = litert.write(partial, encoder, decoder, prior, len(known["labels"]))
        card["files"] = describe.described(partial)
        (partial / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
        (partial / "README.md").write_text(readme(card), encoding="utf-8")
        pictures.write_png(partial / "samples.png", pictures.grid(_samples(decoder, prior, known["labels"]), 4))
    return folder


def write_run(run, folder, license="unknown"):
    """Export the best weights of a finished `training.runs.Run` to `folder`. license: an SPDX name, for the card."""
    encoder, decoder = run.best_networks()
    return write(folder, encoder, decoder, mixture.load_prior(run.prior), describe.of_run(run) | {"license": license})


def _labels(model, labels, n):
    """Class numbers (n,) of images for a conditional model, and how many classes it has; None and 0 for others."""
    if not networks.is_conditional(model.encoder):
        return None, 0
    if labels is None or len(labels) != n:
        received = "none" if labels is None else str(len(labels))
        raise UserError(f"a conditional model needs the class number of each of {n} images as labels. Received: {received}")
    labels, classes = np.asarray(labels, "int32"), networks.class_count(model.encoder)
    if labels.min() < 0 or (classes and labels.max() >= classes):
        known = f"0 to {classes - 1}" if classes else "0 and above"
        raise UserError(f"the classes of this model are {known}. Received: labels from {labels.min()} to {labels.max()}")
    return labels, classes or int(labels.max()) + 1


def write_model(
    model: VAE,
    folder: str | os.PathLike,
    images: ArrayLike,
    labels: ArrayLike | None = None,
    name: str | None = None,
    seed: int = 0,
    prior: str = "mixture",
) -> Exported:
    """Export a `models.vae.VAE` that was trained in Python to `folder`, for `Exported` and every command on exports.

    images: training images (n, H, W, C), uint8 or floats in [-1, 1]; the prior of the generator is fitted to their codes.
    labels: their class numbers (n,) for a conditional model; the numbers become the names of the classes. name: of the
    experiment, by default that of the folder. prior: a name of `codes.priors.PRIORS`. The card contains no held-out metrics.
    Returns the export, opened. Raises UserError for images of another range, labels that do not fit the model or the images, an
    unknown prior, or a folder of something else.
    """
    outputs.check_folder(folder)
    images = pictures.floats(np.asarray(images)).astype("float32", copy=False)
    labels, classes = _labels(model, labels, len(images))
    encoder, decoder = networks.in_float32(model.encoder), networks.in_float32(model.decoder)

    def encode(rows):
        label = None if labels is None else labels[rows]
        return networks.apply(encoder, images=images[rows], label=label)["z_mean"]

    if prior not in mixture.PRIORS:
        raise UserError(f"unknown prior {prior!r}; choose one of {', '.join(mixture.PRIORS)}")
    # priors take the first codes, and hold out every tenth or twentieth: they expect no order
    order = np.random.default_rng(seed).permutation(len(images))
    of_order = (None, None) if labels is None else (labels[order], classes)
    fitted = mixture.PRIORS[prior].fit(batched(encode, order), seed, *of_order)
    known = {"prior": {"name": prior}}
    # a likelihood of the user's own has another configuration, or none
    if isinstance(model.reconstruction, Likelihood):
        known["reconstruction"] = model.reconstruction.get_config()
    card = {
        "experiment": name or Path(folder).name,
        "configuration": known,
        "task": {"name": "identity"},
        "labels": [str(label) for label in range(classes)],
        "seed": seed,
        "versions": versions(),
    }
    return Exported(write(folder, encoder, decoder, fitted, card))


# the public name
save = write_model
