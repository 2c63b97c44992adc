"""Functional Keras models as ONNX files, one function for each kind of layer.

tf2onnx writes ONNX from TensorFlow's operations, and more of them: it turns normalization and activations into dozens of small
ones, transposes around each convolution, and cannot convert what draws random numbers.
"""

import keras
import numpy as np

from keras_ae.errors import UserError
from keras_ae.exports.graphs import Graph

OPSET = 17


def _activated(graph, value, function):
    name = getattr(function, "__name__", str(function))
    if name == "linear":
        return value
    if name in ("silu", "swish"):
        return graph.elementwise("Mul", value, graph.elementwise("Sigmoid", value))
    kinds = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "softplus": "Softplus", "elu": "Elu"}
    if name not in kinds:
        raise UserError(f"the activation {name} has no ONNX form here")
    return graph.elementwise(kinds[name], value)


def _around(totals):
    """So many pixels of padding down and across, as ONNX has them, the odd ones at the end."""
    return [total // 2 for total in totals] + [total - total // 2 for total in totals]


def _pads(layer, sides):
    """Padding of a convolution: TensorFlow's "same" puts the odd pixel at the end. sides: height and width of its input."""
    if layer.padding == "valid":
        return [0, 0, 0, 0]
    sizes = zip(sides, layer.kernel_size, layer.strides, layer.dilation_rate, strict=True)
    return _around([max((-(-side // step) - 1) * step + rate * (size - 1) + 1 - side, 0) for side, size, step, rate in sizes])


def _bias(graph, layer):
    return [graph.constant(layer.bias)] if layer.use_bias else []


def _conv(graph, layer, value, node):
    kernel = graph.constant(np.transpose(layer.kernel, (3, 2, 0, 1)))
    attributes = {"strides": list(layer.strides), "dilations": list(layer.dilation_rate), "group": layer.groups}
    inputs = [graph.channels_first(value), kernel, *_bias(graph, layer)]
    found = graph.add("Conv", inputs, pads=_pads(layer, node.input_tensors[0].shape[1:3]), **attributes)
    return _activated(graph, graph.marked_first(found), layer.activation)


def _conv_transpose(graph, layer, value, node):
    kernel = graph.constant(np.transpose(layer.kernel, (3, 2, 0, 1)))
    same = layer.padding == "same"
    pads = _around([max(size - step, 0) if same else 0 for size, step in zip(layer.kernel_size, layer.strides, strict=True)])
    inputs = [graph.channels_first(value), kernel, *_bias(graph, layer)]
    found = graph.add("ConvTranspose", inputs, strides=list(layer.strides), pads=pads)
    return _activated(graph, graph.marked_first(found), layer.activation)


def _dense(graph, layer, value, node=None):
    inputs, biases = [graph.channels_last(value), graph.constant(layer.kernel)], _bias(graph, layer)
    if node is None or len(node.input_tensors[0].shape) == 2:
        return _activated(graph, graph.add("Gemm", [*inputs, *biases]), layer.activation)
    found = graph.add("MatMul", inputs)
    found = graph.add("Add", [found, *biases]) if biases else found
    return _activated(graph, found, layer.activation)


def _reshape(graph, layer, value, node):
    shape = node.outputs[0].shape[1:]
    return graph.add("Reshape", [graph.channels_last(value), graph.constant(np.array([-1, *shape], "int64"))])


def _group_normalization(graph, layer, value, node):
    value = graph.channels_first(value)
    _, height, width, channels = node.input_tensors[0].shape
    grouped = graph.add("Reshape", [value, graph.constant(np.array([0, layer.groups, -1], "int64"))])
    ones, zeros = graph.constant(np.ones(layer.groups)), graph.constant(np.zeros(layer.groups))
    normal = graph.add("InstanceNormalization", [grouped, ones, zeros], epsilon=layer.epsilon)
    normal = graph.add("Reshape", [normal, graph.constant(np.array([-1, channels, height, width], "int64"))])
    for kind, weights in (("Mul", layer.gamma), ("Add", layer.beta)):
        if weights is not None:
            normal = graph.add(kind, [normal, graph.constant(np.reshape(weights, (1, channels, 1, 1)))])
    return graph.marked_first(normal)


def _batch_normalization(graph, layer, value, node):
    deviation = np.sqrt(np.asarray(layer.moving_variance) + layer.epsilon)
    scale = (1 if layer.gamma is None else np.asarray(layer.gamma)) / deviation
    shift = (0 if layer.beta is None else np.asarray(layer.beta)) - np.asarray(layer.moving_mean) * scale
    value = graph.channels_last(value)
    return graph.add("Add", [graph.add("Mul", [value, graph.constant(scale)]), graph.constant(shift)])


def _layer_normalization(graph, layer, value, node):
    size = node.input_tensors[0].shape[-1]
    scale, shift = (layer.gamma, layer.beta)
    inputs = [graph.constant(np.ones(size) if scale is None else scale)]
    inputs += [] if shift is None else [graph.constant(shift)]
    return graph.add("LayerNormalization", [graph.channels_last(value), *inputs], axis=-1, epsilon=layer.epsilon)


def _upsampling(graph, layer, value, node):
    # pixels at the centres of their squares, or each pixel repeated
    kinds = {
        "bilinear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
        "nearest": {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    }
    if layer.interpolation not in kinds:
        raise UserError(f"UpSampling2D with interpolation {layer.interpolation} has no ONNX form here")
    scales = graph.constant(np.array([1, 1, *layer.size], "float32"))
    inputs = [graph.channels_first(value), "", scales]
    return graph.marked_first(graph.add("Resize", inputs, **kinds[layer.interpolation]))


def _binary(kind):
    def write(graph, layer, values, node):
        given = [value if isinstance(value, str) else graph.constant(np.asarray(value, "float32")) for value in values]
        found = given[0]
        for other in given[1:]:
            found = graph.elementwise(kind, found, other)
        return found

    return write


def _concatenate(graph, layer, values, node):
    return graph.add("Concat", [graph.channels_last(value) for value in values], axis=layer.axis)


def _split(graph, layer, value, node):
    return graph.add("Split", [graph.channels_last(value)], len(node.outputs), axis=layer.axis)


def _one_hot(graph, layer, value, node):
    # (batch, 1) to (batch, classes)
    numbers = graph.add("Cast", [value], to=7)
    classes = graph.constant(np.arange(layer.num_tokens, dtype="int64"))
    return graph.add("Cast", [graph.add("Equal", [numbers, classes])], to=1)


def _repeat(graph, layer, value, node):
    middle = graph.add("Unsqueeze", [value, graph.constant(np.array([1], "int64"))])
    return graph.add("Expand", [middle, graph.constant(np.array([1, layer.n, 1], "int64"))])


def _point(graph, layer, value, node):
    return {"z_mean": _dense(graph, layer.project, value)}


def _gaussian(graph, layer, value, node):
    log_var = _dense(graph, layer.project_log_var, value)
    limits = [graph.constant(np.array(limit, "float32")) for limit in (-12, 6)]
    mean = _dense(graph, layer.project_mean, value)
    return {"z_mean": mean, "z_log_var": graph.add("Clip", [log_var, *limits])}


def _unary(kind):
    return lambda graph, layer, value, node: graph.elementwise(kind, value)


LAYERS = {
    "Conv2D": _conv,
    "Conv2DTranspose": _conv_transpose,
    "Dense": _dense,
    "Flatten": _reshape,
    "Reshape": _reshape,
    "Activation": lambda graph, layer, value, node: _activated(graph, value, layer.activation),
    "ReLU": _unary("Relu"),
    "LeakyReLU": lambda graph, layer, value, node: graph.elementwise("LeakyRelu", value, alpha=float(layer.negative_slope)),
    "Silu": lambda graph, layer, value, node: _activated(graph, value, "silu"),
    "Sin": _unary("Sin"),
    "Cos": _unary("Cos"),
    "Dropout": lambda graph, layer, value, node: value,
    "GroupNormalization": _group_normalization,
    "BatchNormalization": _batch_normalization,
    "LayerNormalization": _layer_normalization,
    "UpSampling2D": _upsampling,
    "Add": _binary("Add"),
    "Multiply": _binary("Mul"),
    "Concatenate": _concatenate,
    "Split": _split,
    "CategoryEncoding": _one_hot,
    "Embedding": lambda graph, layer, value, node: graph.add("Gather", [graph.constant(layer.embeddings), value]),
    "RepeatVector": _repeat,
    "Point": _point,
    "Gaussian": _gaussian,
    "Features": lambda graph, layer, value, node: {"z_mean": _reshape(graph, layer, value, node)},
}


def _walk(graph, model, values):
    """Add the layers of a functional model; values: of its inputs. Returns its outputs as Keras structures them."""
    known = {id(tensor): value for tensor, value in zip(model.inputs, values, strict=True)}

    def of(argument):
        if isinstance(argument, list | tuple):
            return [of(one) for one in argument]
        return known[id(argument)] if isinstance(argument, keras.KerasTensor) else np.asarray(argument)

    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            layer, kind = node.operation, type(node.operation).__name__
            if kind == "InputLayer":
                continue
            given = [of(argument) for argument in node.arguments.args]
            given = given[0] if len(given) == 1 else given
            if isinstance(layer, keras.Model):
                found = _walk(graph, layer, given if isinstance(given, list) else [given])
            elif kind in LAYERS:
                found = LAYERS[kind](graph, layer, given, node)
            else:
                raise UserError(f"the layer {layer.name} ({kind}) has no ONNX form here")
            # a dict is flattened in the order of its keys; what is drawn at random has no value
            names = [found[key] for key in sorted(found)] if isinstance(found, dict) else keras.tree.flatten(found)
            known |= {id(tensor): name for tensor, name in zip(node.outputs, names, strict=True) if name}
    return keras.tree.map_structure(lambda tensor: known.get(id(tensor)), model._outputs_struct)


def _to_pixels(graph, images, name):
    """Add the output `name`: images in [-1, 1] as uint8, rounded as the SavedModels round them."""
    from onnx import helper

    low, high = (graph.constant(np.array(limit, "float32")) for limit in (-1, 1))
    shifted = graph.add("Add", [graph.add("Clip", [images, low, high]), high])
    rounded = graph.add("Round", [graph.add("Mul", [shifted, graph.constant(np.array(127.5, "float32"))])])
    graph.nodes.append(helper.make_node("Cast", [rounded], [name], to=2))


def written(model, names, outputs, half, document, pixels=None):
    """A functional model as the bytes of an ONNX file.

    names: of its inputs, in their order. outputs: {name: function from what the model returns, as Keras structures it, to the
    output}. half: see `Graph`. document: {key: text} of metadata. pixels: name of a further output, the first one as uint8.
    Raises UserError where a layer has no ONNX form here.
    """
    from onnx import checker, helper

    graph = Graph(half)
    inputs = []
    for name, tensor in zip(names, model.inputs, strict=True):
        kind = {"float32": 1, "int32": 6}[tensor.dtype]
        inputs.append(helper.make_tensor_value_info(name, kind, ["batch", *tensor.shape[1:]]))
    found = _walk(graph, model, names)
    results = []
    for name, (choose, tensor) in outputs.items():
        graph.nodes.append(helper.make_node("Identity", [graph.channels_last(choose(found))], [name]))
        results.append(helper.make_tensor_value_info(name, 1, ["batch", *tensor.shape[1:]]))
    if pixels:
        (_, first), *_ = outputs.values()
        _to_pixels(graph, next(iter(outputs)), pixels)
        results.append(helper.make_tensor_value_info(pixels, 2, ["batch", *first.shape[1:]]))
    whole = helper.make_graph(graph.nodes, model.name, inputs, results, graph.constants)
    made = helper.make_model(whole, producer_name="keras_ae", opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    helper.set_model_props(made, document)
    checker.check_model(made)
    return made.SerializeToString()
