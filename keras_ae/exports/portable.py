"""The portable files of an export, for programs without TensorFlow: onnx/ and litert/, written by Keras and then compared.

encoder.onnx and decoder.onnx have the names and shapes of the SavedModels; the decoder gives `images` and `images_uint8`.
resize.onnx makes images for the encoder of pictures of any size, as the signature `encode_uint8` does inside. prior.npz has the
arrays of the fitted prior, and velocity.onnx the network of a flow, or step.onnx a step of a transformer; `priors.draws` draws
codes from them. encoder.tflite and decoder.tflite are for phones and other small devices.
"""

import os
import shutil
import warnings
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from keras_ae import files
from keras_ae.errors import UserError, first_line
from keras_ae.exports import load
from keras_ae.images.pictures import place, scale, to_uint8
from keras_ae.priors import mixture
from keras_ae.priors.autoregressive import Autoregressive
from keras_ae.priors.flow import Flow

# of inputs that are no floats
TYPES = dict.fromkeys(("label", "token", "position"), "int32")


class _ChannelsFirst(layers.GroupNormalization):
    """GroupNormalization over adjacent values, which onnxruntime computes up to twice as fast as Keras' five dimensions."""

    def call(self, inputs):
        _, height, width, channels = inputs.shape
        x = ops.reshape(ops.transpose(inputs, (0, 3, 1, 2)), (-1, self.groups, height * width * channels // self.groups))
        x = x - ops.mean(x, axis=2, keepdims=True)
        scale = ops.rsqrt(ops.mean(ops.square(x), axis=2, keepdims=True) + self.epsilon)
        # one product with the large map instead of two
        gamma = ops.ones((channels,)) if self.gamma is None else self.gamma
        scale = ops.reshape(scale * ops.reshape(gamma, (self.groups, -1)), (-1, channels, 1, 1))
        x = ops.reshape(x, (-1, channels, height, width)) * scale
        x = x if self.beta is None else x + ops.reshape(self.beta, (1, channels, 1, 1))
        return ops.transpose(x, (0, 2, 3, 1))


def use_fast_layers(network):
    """The network with other layers of the same function where onnxruntime computes them faster."""

    def replace(layer):
        fast = type(layer) is layers.GroupNormalization and layer.axis == -1 and layer.input_spec.ndim == 4
        return (_ChannelsFirst if fast else type(layer)).from_config(layer.get_config())

    copy = keras.models.clone_model(network, clone_function=replace, recursive=True)
    copy.set_weights(network.get_weights())
    return copy


def name_network(network, names, choose):
    """The network as a model whose first inputs have these names. choose: from what it returns to {name: output}."""
    shapes = {name: given.shape[1:] for name, given in zip(names, network.inputs, strict=False)}
    inputs = [keras.Input(shape, dtype=TYPES.get(name, "float32"), name=name) for name, shape in shapes.items()]
    outputs = network(inputs if len(inputs) > 1 else inputs[0])
    return keras.Model(dict(zip(shapes, inputs, strict=True)), choose(outputs))


def name_networks(encoder, decoder, prior, encoder_outputs):
    """{file: model} with the names of the contract: encoder, decoder, and the network of a prior. "z" is the mean code."""

    def name_codes(codes):
        return {name: codes["z_mean" if name == "z" else name] for name in encoder_outputs}

    def name_images(images):
        pixels = ops.cast(ops.round((ops.clip(images, -1.0, 1.0) + 1.0) * 127.5), "uint8")
        return {"images": images, "images_uint8": pixels}

    models = {
        "encoder": name_network(encoder, ["images", "label"], name_codes),
        "decoder": name_network(decoder, ["z", "label"], name_images),
    }
    if isinstance(prior, Flow):
        models["velocity"] = name_network(prior.drawing_network(), ["x", "t", "label"], lambda velocity: {"velocity": velocity})
    if isinstance(prior, Autoregressive):
        step = prior.drawing_network()
        names = ["token", "position", "cache", "label"]
        models["step"] = name_network(step, names, lambda found: dict(zip(("logits", "kept"), found, strict=True)))
    return models


def write_onnx(model, path, half, document):
    """Write a functional model with named inputs and outputs as the ONNX file `path`, its batch dimension free.

    half: whether weights are stored in float16. document: {key: text} of metadata. UserError for what has no ONNX form.
    """
    import onnx
    from onnx import helper, numpy_helper

    specs = {name: tf.TensorSpec(given.shape, given.dtype, name) for name, given in model.input.items()}
    # tf2onnx sets the level of TensorFlow's messages for the whole process when it is imported
    with warnings.catch_warnings(), mock.patch.dict(os.environ):
        warnings.simplefilter("ignore")
        model.export(path, format="onnx", verbose=False, input_signature=[specs], opset_version=17)
    written = onnx.load(path)
    graph = written.graph
    # what tf2onnx does not know is still there, with TensorFlow's name
    if unknown := {node.op_type for node in graph.node if not onnx.defs.has(node.op_type)}:
        raise UserError(f"no ONNX form of {', '.join(sorted(unknown))}")
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    graph.output.sort(key=lambda value: [*model.output].index(value.name))
    casts = []
    for constant in graph.initializer:
        values = numpy_helper.to_array(constant)
        # small ones, such as biases, save nothing
        if half and values.dtype == np.float32 and values.size >= 256:
            casts.append(helper.make_node("Cast", [f"{constant.name}_half"], [constant.name], to=onnx.TensorProto.FLOAT))
            constant.CopyFrom(numpy_helper.from_array(values.astype("float16"), f"{constant.name}_half"))
    for cast in reversed(casts):
        graph.node.insert(0, cast)
    written.ir_version, written.producer_name = 8, "keras_ae"
    helper.set_model_props(written, document)
    onnx.save(written, path)


def resize(images, shape, fit="crop"):
    """uint8 tensors (batch, any, any, C) as float32 (batch, H, W, C) in [-1, 1], as `images.pictures.decode` makes them."""
    sides = tf.shape(images, tf.int64)[1:3]
    part, size = place(sides, shape, fit, tf.minimum, tf.maximum)
    top, left = tf.unstack((sides - part) // 2)
    middle = tf.cast(images[:, top : top + part[0], left : left + part[1]], tf.float32)
    pixels = tf.image.resize(middle, tf.cast(size, tf.int32), method="bicubic", antialias=True)
    pixels = tf.clip_by_value(tf.round(pixels), 0.0, 255.0)
    before = (shape[:2] - size) // 2
    margins = tf.pad(tf.stack([before, shape[:2] - size - before], axis=1), [[1, 1], [0, 0]])
    return scale(tf.ensure_shape(tf.pad(pixels, margins), (None, *shape)))


def write_resize(path, shape, fit, document):
    """Write `resize` as the ONNX file `path`, from `images` to `resized`."""
    import onnx

    height, width, channels = shape
    # tf2onnx has no form of antialiasing
    values = {"height": height, "width": width, "channels": channels, "scale": repr(1 / 127.5), "fit": fit}
    graph = onnx.parser.parse_model(files.render(__package__, "resize.onnxtxt", **values))
    onnx.helper.set_model_props(graph, document)
    onnx.save(graph, path)


class LiteRT:
    """The files of the folder litert/, with the method of `load.Onnx` that `differences` calls."""

    def __init__(self, folder, card):
        self.folder = folder / "litert"

    def run(self, name, **arrays):
        """The outputs of a network, a dict of arrays."""
        with warnings.catch_warnings():
            # the interpreter inside TensorFlow, on its way into a package of its own, is enough for a comparison
            warnings.simplefilter("ignore")
            return tf.lite.Interpreter(str(self.folder / f"{name}.tflite")).get_signature_runner()(**arrays)


def differences(runtime, models, prior, card, n=32):
    """The greatest differences of n pictures from those of the networks, of 255: {"decoder", "encoder"}.

    runtime: has the method `run` of `load.Onnx`. models: of `name_networks`. Pictures are decoded from codes of the prior; an
    encoder is compared by what the decoder makes of its codes, where it takes pictures of that size.
    """
    labels = {"label": np.arange(n, dtype="int32") % len(card["labels"])} if card["labels"] else {}
    # a value between two entries of a codebook may become either: one picture is left out
    place = -2 if "codebook" in card else -1

    def decode(z):
        return np.asarray(models["decoder"]({"z": z, **labels}, training=False)["images"])

    def greatest(values, expected):
        return np.sort(np.abs(values - expected).reshape(n, -1).max(axis=1))[place]

    def levels(images, expected):
        return int(greatest(to_uint8(images).astype(int), to_uint8(expected)))

    z = np.asarray(prior.sample(n, 0, 1.0, 0, *labels.values()))
    images = decode(z)
    found = {"decoder": levels(runtime.run("decoder", z=z, **labels)["images"], images)}
    if models["encoder"].input["images"].shape == models["decoder"].output["images"].shape:
        ours = np.asarray(models["encoder"]({"images": images, **labels}, training=False)["z"])
        found["encoder"] = levels(decode(runtime.run("encoder", images=images, **labels)["z"]), decode(ours))
    if isinstance(runtime, load.Onnx):
        drawn = greatest(runtime.draw("fitted", 0, n, 0, 1.0, labels.get("label"))["z"], z) / max(z.std(), 1e-12)
        if drawn > 1e-3:
            raise UserError(f"codes drawn without TensorFlow differ by {drawn:.2g} of their deviation")
    return found


def write_onnx_files(folder, models, prior, card, half):
    """Write the folder onnx/. models: of `name_networks`."""
    document = {key: str(card[key]) for key in ("experiment", "image_range") if key in card}
    document |= {"keras_ae": files.versions()["keras_ae"]}
    for name, model in models.items():
        # the weights of priors are float16 anyway
        write_onnx(use_fast_layers(model), folder / f"{name}.onnx", half or name in ("velocity", "step"), document)
    write_resize(folder / "resize.onnx", card["input_shape"], card["fit"], document)
    if "velocity" in models:
        np.savez(folder / "prior.npz", prior="flow", mean=prior.mean, scale=prior.scale)
    elif "step" in models:
        cache = models["step"].input["cache"].shape[1:]
        np.savez(folder / "prior.npz", prior="autoregressive", codebook=prior.codebook, cache=cache)
    else:
        mixture.save_prior(prior, folder / "prior.npz")


def write_litert_files(folder, models, prior, card, half):
    """Write the folder litert/, without the prior."""
    target = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]} | ({"supported_types": [tf.float16]} if half else {})
    options = {"target_spec": target, "optimizations": [tf.lite.Optimize.DEFAULT] if half else []}
    for name in ("encoder", "decoder"):
        outputs = {key: output for key, output in models[name].output.items() if key != "images_uint8"}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = keras.Model(models[name].input, outputs)
            model.export(folder / f"{name}.tflite", format="litert", verbose=False, **options)


def write(folder, models, prior, card):
    """Write the folders onnx/ and litert/ into `folder`; what the card says of them, {"onnx", "litert"}.

    Weights are float16 where pictures stay within one level of 255. Files that cannot be written, do not run or make other
    pictures are left out, and the card says why.
    """
    about = {}
    for kind, write_files, runtime in (("onnx", write_onnx_files, load.Onnx), ("litert", write_litert_files, LiteRT)):
        (folder / kind).mkdir()
        try:
            for storage in ("float16", "float32"):
                write_files(folder / kind, models, prior, card, storage == "float16")
                # a GPU would round in another way
                with tf.device("CPU:0"):
                    found = differences(runtime(folder, card), models, prior, card)
                if max(found.values()) <= 1:
                    break
            else:
                raise UserError(f"pictures differ from those of the networks, in levels of 255 by {found}")
            about[kind] = {"weights": storage, "levels_of_difference": found}
        except Exception as error:
            # converters and runtimes raise errors of many kinds for what they do not know
            shutil.rmtree(folder / kind)
            about[kind] = {"missing": first_line(error)}
    return about
