"""ONNX files as programs for the page: lists of operations, and the numbers of their constants.

A program is {"inputs": [name], "outputs": [name], "steps": [[operation, [inputs], [outputs], {attributes}]], "constants": []}.
A constant is {"name", "shape", "list"} with whole numbers, or {"name", "shape", "type", "at"}: its numbers are in the bytes of
a `Store`, float16 or float32, `at` bytes from the start.
"""

import numpy as np

from keras_ae.errors import UserError

# what assets/engine.js computes
OPERATIONS = frozenset(
    "Add Cast Clip Concat Conv ConvTranspose Cos Elu Equal Expand Gather Gemm Identity InstanceNormalization "
    "LayerNormalization LeakyRelu Mul Relu Reshape Resize Sigmoid Sin Softplus Split Tanh Transpose Unsqueeze".split()
)
# both are what an attribute may be in JSON; ONNX has text as bytes
_PLAIN = (int, float, list)


class Store:
    """Numbers of constants, one after another."""

    def __init__(self):
        self.parts, self.size = [], 0

    def add(self, name, values):
        """The constant `name` with these floats."""
        values = np.asarray(values)
        kind = "float16" if values.dtype == np.float16 else "float32"
        at, _ = self.add_bytes(values.astype(f"<f{4 if kind == 'float32' else 2}").tobytes())
        return {"name": name, "shape": list(values.shape), "type": kind, "at": at}

    def add_bytes(self, data):
        """Bytes of any kind: where they begin, and how many they are."""
        at = self.size
        self.parts.append(data + bytes(-len(data) % 4))
        self.size += len(self.parts[-1])
        return at, len(data)

    def joined(self):
        """All bytes."""
        return b"".join(self.parts)


def _attribute(value):
    if isinstance(value, bytes):
        return value.decode()
    return value if isinstance(value, _PLAIN) else list(value)


def _needed(nodes, outputs):
    """The nodes that the outputs depend on, in their order."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= set(node.input)
            kept.append(node)
    return kept[::-1]


def program(file, outputs, store, path):
    """The program of an ONNX file that export wrote; messages call it `path`. outputs: names of those that the page uses.

    Raises UserError if the file is none, or the page has no operation of a name.
    """
    import onnx
    from onnx import helper, numpy_helper

    try:
        graph = onnx.load(file).graph
    except Exception as error:
        # a damaged protocol buffer raises almost anything
        raise UserError(f"{path} is not an ONNX file that loads; export the model again") from error
    made = {name for node in graph.node for name in node.output}
    if absent := set(outputs) - made:
        raise UserError(f"{path} has no output {', '.join(sorted(absent))}; export the model again")
    values = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    steps, constants = [], {}
    for node in _needed(list(graph.node), outputs):
        if node.op_type not in OPERATIONS:
            raise UserError(f"the page cannot compute the operation {node.op_type} of {path}")
        if node.op_type == "Cast" and node.input[0] in values:
            # weights that are stored in float16
            values[node.output[0]] = values[node.input[0]]
            continue
        for name in set(node.input) & set(values) - set(constants):
            if values[name].dtype == np.int64:
                shape = list(values[name].shape)
                constants[name] = {"name": name, "shape": shape, "list": values[name].ravel().tolist()}
            else:
                constants[name] = store.add(name, values[name])
        attributes = {one.name: _attribute(helper.get_attribute_value(one)) for one in node.attribute}
        steps.append([node.op_type, list(node.input), list(node.output), attributes])
    used = {name for _, names, _, _ in steps for name in names}
    inputs = [one.name for one in graph.input if one.name in used]
    return {"inputs": inputs, "outputs": list(outputs), "steps": steps, "constants": list(constants.values())}
