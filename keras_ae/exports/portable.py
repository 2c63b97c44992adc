"""The portable files of an export, in its folder onnx/: for programs without TensorFlow.

encoder.onnx and decoder.onnx have the names and shapes of the SavedModels; the decoder gives `images` and `images_uint8`.
resize.onnx makes images for the encoder of pictures of any size, as the signature `encode_uint8` does inside.
prior.npz has the arrays of the fitted prior, and velocity.onnx the network of a flow; `codes.drawn` draws codes from them.
"""

import importlib.util

import numpy as np
import tensorflow as tf

from keras_ae import files, versions
from keras_ae.errors import UserError, first_line
from keras_ae.exports import converting, resizing, runtimes
from keras_ae.images.pictures import to_uint8
from keras_ae.models import networks
from keras_ae.priors import mixture

CHECKED = 32
# of 255: how much a picture may differ from that of the networks
TOLERANCE = 1
# of a code's numbers, as a share of their deviation
DRAWN_TOLERANCE = 1e-3


def _inputs(network, first):
    return [first, "label"][: len(network.inputs)]


def encoder_graph(encoder, outputs, half, document):
    """The bytes of encoder.onnx. outputs: names of its outputs; "z" is the mean code. half: see `graphs.Graph`."""
    keys = {name: "z_mean" if name == "z" else name for name in outputs}
    chosen = {name: (lambda found, key=key: found[key], encoder.output[key]) for name, key in keys.items()}
    return converting.written(encoder, _inputs(encoder, "images"), chosen, half, document)


def decoder_graph(decoder, half, document):
    """The bytes of decoder.onnx."""
    images = (lambda found: found, decoder.output)
    return converting.written(decoder, _inputs(decoder, "z"), {"images": images}, half, document, pixels="images_uint8")


def _write_prior(prior, folder, document):
    if not isinstance(prior, mixture.Flow):
        mixture.save_prior(prior, folder / "prior.npz")
        return
    # its weights are those of velocity.onnx
    np.savez(folder / "prior.npz", prior="flow", mean=prior.mean, scale=prior.scale)
    velocity = prior.velocity()
    names = ["x", "t", "label"][: len(velocity.inputs)]
    graph = converting.written(velocity, names, {"velocity": (lambda found: found, velocity.output)}, True, document)
    (folder / "velocity.onnx").write_bytes(graph)


def in_turn(n, classes):
    """Class numbers (n,), each class in its turn; None without classes."""
    return np.arange(n, dtype="int32") % classes if classes else None


def differences(computed, encoder, decoder, prior, classes):
    """The greatest differences of pictures from those of the networks, of 255: {"decoder", "encoder"}.

    computed: has the methods `encode` and `decode` of `exports.runtimes`. Pictures are decoded from codes of the prior; an
    encoder is compared by what the decoder makes of its codes, where it takes pictures of that size.
    """
    label = in_turn(CHECKED, classes)

    def images_of(z):
        return np.asarray(networks.apply(decoder, z=z, label=label))

    def most(found, expected):
        return int(np.abs(to_uint8(found).astype(int) - to_uint8(expected)).max())

    z = np.asarray(prior.sample(CHECKED, 0, 1.0, 0, label))
    images = images_of(z)
    found = {"decoder": most(computed.decode(z, label)["images"], images)}
    if encoder.inputs[0].shape[1:] == decoder.output.shape[1:]:
        ours = np.asarray(networks.apply(encoder, images=images, label=label)["z_mean"])
        found["encoder"] = most(images_of(computed.encode(images, label)["z"]), images_of(ours))
    return found


def _drawn(computed, prior, classes):
    """The greatest difference of a number of a drawn code, of the deviation of codes."""
    label = in_turn(CHECKED, classes)
    ours = np.asarray(prior.sample(CHECKED, 0, 1.0, 0, label))
    theirs = computed.draw("fitted", 0, CHECKED, 0, 1.0, label)["z"]
    return float(np.abs(theirs - ours).max() / max(ours.std(), 1e-12))


def missing():
    """Why portable files cannot be written, or ""."""
    absent = [name for name in ("onnx", "onnxruntime") if not importlib.util.find_spec(name)]
    return f"pip install {' '.join(absent)} to write them" if absent else ""


def write(place, encoder, decoder, prior, card):
    """Write onnx/ into the folder `place`, and compare it with the networks; what the card says of it.

    Weights are stored in float16 where pictures stay within one level of 255, else in float32. Where a layer has no ONNX form,
    onnxruntime does not run what was written, or a package is not installed, nothing is written, and the card says why. Raises
    UserError if pictures differ.
    """
    if reason := missing():
        return {"missing": reason}
    document = {key: str(card[key]) for key in ("experiment", "image_range") if key in card}
    document |= {"keras_ae": versions.versions()["keras_ae"]}
    folder = place / "onnx"
    folder.mkdir()
    for storage in ("float16", "float32"):
        half = storage == "float16"
        try:
            (folder / "decoder.onnx").write_bytes(decoder_graph(decoder, half, document))
            (folder / "encoder.onnx").write_bytes(encoder_graph(encoder, card["encoder_outputs"], half, document))
            _write_prior(prior, folder, document)
        except UserError as error:
            files.remove(folder)
            return {"missing": str(error)}
        computed = runtimes.Onnx(place, place, {key: card[key] for key in ("image_shape", "input_shape", "latent_dim")})
        try:
            # a GPU would round in another way
            with tf.device("CPU:0"):
                found = differences(computed, encoder, decoder, prior, len(card["labels"]))
        except Exception as error:
            # onnxruntime raises errors of many kinds for what it cannot run
            files.remove(folder)
            return {"missing": f"onnxruntime does not run these networks: {first_line(error)}"}
        if max(found.values()) <= TOLERANCE:
            break
    check(found, "ONNX")
    resizing.write(folder, card["input_shape"], document)
    if (drawn := _drawn(computed, prior, len(card["labels"]))) > DRAWN_TOLERANCE:
        raise UserError(f"codes drawn without TensorFlow differ by {drawn:.2g} of their deviation")
    return {"weights": storage, "levels_of_difference": found}


def check(found, kind):
    """Raises UserError where `differences` are too great."""
    if max(found.values()) > TOLERANCE:
        raise UserError(f"the {kind} files make pictures that differ from those of the networks, in levels of 255 by {found}")
