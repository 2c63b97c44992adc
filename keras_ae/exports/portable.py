"""The portable files of an export, in its folder onnx/: for programs without TensorFlow.

encoder.onnx and decoder.onnx have the names and shapes of the SavedModels; the decoder gives `images` and `images_uint8`.
prior.npz has the arrays of the fitted prior, and velocity.onnx the network of a flow; `codes.drawn` draws codes from them.
"""

import importlib.util

import numpy as np

from keras_ae import versions
from keras_ae.codes import priors
from keras_ae.errors import UserError
from keras_ae.exports import converting, runtimes
from keras_ae.media.images import to_uint8
from keras_ae.models import networks

CHECKED = 32
# of 255: how much a picture may differ from that of the networks
TOLERANCE = 1


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
    priors.save(prior, folder / "prior.npz")
    if isinstance(prior, priors.Flow):
        arrays = {name: values for name, values in prior.arrays().items() if name in ("mean", "scale")}
        with open(folder / "prior.npz", "wb") as file:
            np.savez(file, prior="flow", **arrays)
        velocity = prior.velocity()
        names = ["x", "t", "label"][: len(velocity.inputs)]
        graph = converting.written(velocity, names, {"velocity": (lambda found: found, velocity.output)}, True, document)
        (folder / "velocity.onnx").write_bytes(graph)


def _labels(network, labels):
    return np.arange(CHECKED, dtype="int32") % len(labels) if networks.is_conditional(network) else None


def _differences(onnx, encoder, decoder, prior, labels):
    """The greatest differences of pictures from those of the networks, of 255: {"decoder", "encoder", "prior"}."""
    label = _labels(decoder, labels)

    def pictures(z):
        return to_uint8(np.asarray(networks.apply(decoder, z=z, label=label))).astype(int)

    z = np.asarray(prior.sample(CHECKED, 0, 1.0, 0, 0 if label is None else label))
    images = np.asarray(networks.apply(decoder, z=z, label=label))
    expected = to_uint8(images).astype(int)
    found = onnx.draw("fitted", 0, CHECKED, 0, 1.0, label)
    pixels = onnx._computed(onnx._decoder, ["images_uint8"], label, z=z)["images_uint8"]
    difference = {"decoder": np.abs(pixels - expected).max(), "prior": np.abs(pictures(found["z"]) - expected).max()}
    if encoder.inputs[0].shape[1:] == decoder.output.shape[1:]:
        ours = networks.apply(encoder, images=images, label=label)["z_mean"]
        theirs = onnx.encode(images, label)["z"]
        difference["encoder"] = np.abs(pictures(np.asarray(ours)) - pictures(theirs)).max()
    return {name: int(value) for name, value in difference.items()}


def missing():
    """Why portable files cannot be written, or ""."""
    absent = [name for name in ("onnx", "onnxruntime") if not importlib.util.find_spec(name)]
    return f"pip install {' '.join(absent)} to write them" if absent else ""


def write(place, encoder, decoder, prior, card):
    """Write onnx/ into the folder `place`, and compare it with the networks; what the card says of it.

    Weights are stored in float16 where pictures stay within one level of 255, else in float32. Where a layer has no ONNX form,
    or a package is not installed, nothing is written, and the card says why. Raises UserError if pictures differ.
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
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
            return {"missing": str(error)}
        found = {key: card[key] for key in ("image_shape", "input_shape", "latent_dim")}
        differences = _differences(runtimes.Onnx(place, place, found), encoder, decoder, prior, card["labels"])
        if max(differences.values()) <= TOLERANCE:
            return {"weights": storage, "levels_of_difference": differences}
    raise UserError(f"the ONNX files differ from the networks by {max(differences.values())} levels of 255: {differences}")
