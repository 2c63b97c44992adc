"""An ONNX graph that grows, node by node.

Values keep the meaning of Keras, channels last. Convolutions work with channels first: a value is transposed once, where it is
needed, and element-wise operations stay in the layout of their inputs.
"""

import numpy as np

CHANNELS_FIRST, CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)
# weights that are stored in float16 are at least so many; small ones, such as biases, save nothing
HALVED = 256


class Graph:
    """An ONNX graph that grows. Values are names of tensors; those of rank 4 may exist in both layouts.

    half: whether large weights are stored in float16; they are float32 in computations.
    """

    def __init__(self, half):
        self.half = half
        self.nodes, self.constants, self.transposed = [], [], {}
        self.arrays = {}
        self.first = set()

    def add(self, kind, inputs, outputs=1, **attributes):
        """A node of the kind with these inputs; its output, or a list of them."""
        from onnx import helper

        names = [f"v{len(self.nodes)}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, values):
        """A constant with these values."""
        from onnx import numpy_helper

        values = np.asarray(values)
        values = values if values.dtype == np.int64 else values.astype("float32")
        halved = self.half and values.dtype == np.float32 and values.size >= HALVED
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values.astype("float16") if halved else values, name))
        value = self.add("Cast", [name], to=1) if halved else name
        self.arrays[value] = values
        return value

    def channels_first(self, value):
        """The value as (batch, channels, height, width); a constant as one that is broadcast to it as before."""
        if value in self.arrays:
            array = self.arrays[value]
            four = array.reshape((1,) * (4 - array.ndim) + array.shape)
            return self.constant(four.transpose(CHANNELS_FIRST)) if array.ndim else value
        return value if value in self.first else self._turned(value, CHANNELS_FIRST)

    def channels_last(self, value):
        """The value as Keras has it."""
        return self._turned(value, CHANNELS_LAST) if value in self.first else value

    def _turned(self, value, order):
        if value not in self.transposed:
            if order == CHANNELS_LAST:
                self.first.add(value)
            turned = self.add("Transpose", [value], perm=list(order))
            self.transposed |= {value: turned, turned: value}
            if order == CHANNELS_FIRST:
                self.first.add(turned)
        return self.transposed[value]

    def marked_first(self, value):
        """The value, known to have channels first."""
        self.first.add(value)
        return value

    def elementwise(self, kind, *values, **attributes):
        """An operation on each element, in the layout of the first value of rank 4 that has channels first."""
        if any(value in self.first for value in values):
            return self.marked_first(self.add(kind, [self.channels_first(value) for value in values], **attributes))
        return self.add(kind, values, **attributes)
