"""Pictures of any size as the encoder takes them: the central square, bicubic with antialiasing, rounded, in [-1, 1].

As images.pictures.decode has it; without antialiasing, whiskers turn into noise.
"""

import numpy as np
import tensorflow as tf

from keras_ae.errors import UserError
from keras_ae.images.pictures import scaled

# Resize has antialiasing since then
OPSET = 18
NAME = "resize.onnx"


def resized(images, shape):
    """uint8 tensors (batch, any, any, C) as float32 (batch, H, W, C) in [-1, 1], for shape (H, W, C)."""
    size = tf.shape(images)
    side = tf.minimum(size[1], size[2])
    top, left = (size[1] - side) // 2, (size[2] - side) // 2
    square = tf.cast(images[:, top : top + side, left : left + side], tf.float32)
    pixels = tf.image.resize(square, shape[:2], method="bicubic", antialias=True)
    return scaled(tf.ensure_shape(tf.clip_by_value(tf.round(pixels), 0.0, 255.0), (None, *shape)))


def graph(shape, document):
    """`resized` as the bytes of an ONNX file: from `images` to `resized`. document: {key: text} of metadata."""
    from onnx import checker, helper, numpy_helper

    height, width, channels = shape
    numbers = {"two": np.int64(2), "axes": np.array([1, 2]), "size": np.array([height, width])}
    numbers |= {name: np.float32(value) for name, value in (("low", 0), ("high", 255), ("scale", 1 / 127.5), ("one", 1))}
    node = helper.make_node
    nodes = [
        node("Shape", ["images"], ["sides"], start=1, end=3),
        node("ReduceMin", ["sides"], ["side"], keepdims=1),
        node("Sub", ["sides", "side"], ["margins"]),
        node("Div", ["margins", "two"], ["first"]),
        node("Add", ["first", "side"], ["last"]),
        node("Slice", ["images", "first", "last", "axes"], ["square"]),
        node("Cast", ["square"], ["floats"], to=1),
        node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        node("Shape", ["planes"], ["before"], start=0, end=2),
        node("Concat", ["before", "size"], ["after"], axis=0),
        # the kernel of Keys 1981, as in TensorFlow
        node(
            "Resize", ["planes", "", "", "after"], ["small"], mode="cubic", cubic_coeff_a=-0.5, antialias=1, exclude_outside=1
        ),
        node("Round", ["small"], ["whole"]),
        node("Clip", ["whole", "low", "high"], ["pixels"]),
        node("Transpose", ["pixels"], ["images_last"], perm=[0, 2, 3, 1]),
        node("Mul", ["images_last", "scale"], ["shifted"]),
        node("Sub", ["shifted", "one"], ["resized"]),
    ]
    inputs = [helper.make_tensor_value_info("images", 2, ["batch", "height", "width", channels])]
    outputs = [helper.make_tensor_value_info("resized", 1, ["batch", height, width, channels])]
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in numbers.items()]
    whole = helper.make_graph(nodes, "resize", inputs, outputs, constants)
    made = helper.make_model(whole, producer_name="keras_ae", opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    helper.set_model_props(made, document)
    checker.check_model(made)
    return made.SerializeToString()


def write(folder, shape, document):
    """Write resize.onnx into `folder`. Raises UserError if it resizes otherwise than `resized` does."""
    import onnxruntime

    (folder / NAME).write_bytes(graph(shape, document))
    session = onnxruntime.InferenceSession(folder / NAME, providers=["CPUExecutionProvider"])
    height, width, channels = shape
    pixels = np.random.default_rng(0).integers(0, 256, (2, 2 * height + 3, 3 * width, channels), "uint8")
    found = session.run(["resized"], {"images": pixels})[0]
    levels = 127.5 * np.abs(found - resized(tf.constant(pixels), shape).numpy()).max()
    if levels > 1.001:
        raise UserError(f"{NAME} makes pictures that differ from those of encode_uint8 by {levels:.0f} levels of 255")
