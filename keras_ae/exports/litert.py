"""encoder.tflite and decoder.tflite of an export, in its folder litert/: for phones and other small devices.

LiteRT, once TensorFlow Lite, runs them; weights are stored as those of onnx/. Signature, inputs and outputs have the names of
the SavedModels.
"""

import warnings

import tensorflow as tf

from keras_ae import commandline, files
from keras_ae.errors import first_line
from keras_ae.exports import portable


class Interpreted:
    """Files of LiteRT with the methods of `exports.runtimes` that `portable.differences` calls."""

    def __init__(self, folder):
        with warnings.catch_warnings():
            # the interpreter inside TensorFlow, on its way into a package of its own, is enough for a comparison
            warnings.simplefilter("ignore")
            models = (tf.lite.Interpreter(str(folder / f"{name}.tflite")) for name in ("encoder", "decoder"))
            self._encode, self._decode = (model.get_signature_runner("serving_default") for model in models)

    def encode(self, images, label):
        return self._encode(images=images, **({} if label is None else {"label": label}))

    def decode(self, z, label):
        return self._decode(z=z, **({} if label is None else {"label": label}))


def _converted(folder, half):
    """The first signature of a SavedModel as the bytes of a LiteRT file. half: whether weights are stored in float16."""
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=["serving_default"])
    if half:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    return converter.convert()


def write(place, encoder, decoder, prior, classes):
    """Write litert/ beside the SavedModels in `place`, and compare it with the networks; what the card says of it.

    Weights are stored in float16 where pictures stay within one level of 255, else in float32. Where LiteRT lacks an operation,
    nothing is written, and the card says why. Raises UserError if pictures differ.
    """
    folder = place / "litert"
    for storage in ("float16", "float32"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                converted = {name: _converted(place / name, storage == "float16") for name in ("encoder", "decoder")}
        except Exception as error:
            # the converter raises whatever its compiler does; what is there of float16 differs from the networks
            files.remove(folder)
            return {"missing": first_line(error)}
        folder.mkdir(exist_ok=True)
        for name, content in converted.items():
            (folder / f"{name}.tflite").write_bytes(content)
        # the interpreter says that it makes a delegate
        with commandline.native_lines_hidden():
            found = portable.differences(Interpreted(folder), encoder, decoder, prior, classes)
        if max(found.values()) <= portable.TOLERANCE:
            break
    portable.check(found, "LiteRT")
    return {"weights": storage, "levels_of_difference": found}
