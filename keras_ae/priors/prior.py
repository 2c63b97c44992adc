"""What the densities over codes share: endless sequences of draws, and networks that learn them.

A prior is a dataclass of arrays and numbers with `fit(codes, seed, labels, classes, codebook, **arguments)`, `sample`, and
`pool(n, seed, label)`, which draws for training: many codes at once, and none of those of `sample`.
"""

import functools
import math
from typing import Annotated, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from annotated_types import Ge, Gt, Le, Lt
from numpy.typing import ArrayLike
from tqdm import trange

from keras_ae.priors.draws import BLOCK

Width = Annotated[int, Ge(8), Le(4096)]
Blocks = Annotated[int, Ge(1), Le(32)]
Steps = Annotated[int, Ge(1), Le(1_000_000)]
Rate = Annotated[float, Gt(0), Le(1)]
Decay = Annotated[float, Ge(0), Lt(1)]
Number: TypeAlias = float | tf.Tensor


def as_labels(label, n):
    """Class numbers (n,) from those, from one for all, or from None: zeros."""
    return tf.broadcast_to(tf.convert_to_tensor(0 if label is None else label, tf.int32), (n,))


class Prior:
    """A density over codes. A subclass has `_draw(n, seed, temperature, first, labels)` -> codes."""

    # of each image whose codes `fit` wants: the image itself, then images varied as in training
    views = 1

    def sample(
        self, n: Number, seed: Number = 0, temperature: Number = 1.0, first: Number = 0, label: ArrayLike | None = None
    ) -> tf.Tensor:
        """Draw codes `first` ... `first + n - 1` of the endless sequence of `seed`: a tensor (n, latent_dim), float32.

        Code i depends on (seed, i) and its label alone, so a long sequence can be drawn in pieces. Lower temperatures give more
        typical codes. label: of a conditional model, one or (n,). The arguments are numbers or TensorFlow tensors.
        """
        return self._draw(n, seed, temperature, first, as_labels(label, n))


class Learned(Prior):
    """A prior of trained networks: `weights` has all of their weights in one row, float16.

    A subclass has `drawing_network()`, and `draw_block(evaluate, seeds (BLOCK, 2), temperature, labels (BLOCK,))` -> codes
    (BLOCK, latent_dim), where `evaluate` calls that network with a list of inputs.
    """

    views = 4

    def load_weights(self, network: keras.Model) -> keras.Model:
        sizes = [math.prod(variable.shape) for variable in network.weights]
        parts = zip(np.split(self.weights.astype("float32"), np.cumsum(sizes)[:-1]), network.weights, strict=True)
        network.set_weights([part.reshape(variable.shape) for part, variable in parts])
        return network

    @functools.cached_property
    def _draw(self):
        # outside of a graph that draws: it would create the variables again in each
        with tf.init_scope():
            network = self.drawing_network()
            arrays = [variable.numpy().astype("float16") for variable in network.weights]
        number, real, numbers = tf.TensorSpec((), tf.int32), tf.TensorSpec((), tf.float32), tf.TensorSpec((None,), tf.int32)

        @tf.function(input_signature=[number, number, real, number, numbers])
        def draw(n, seed, temperature, first, labels):
            weights = [tf.cast(array, tf.float32) for array in arrays]
            begin = first // BLOCK
            blocks = (first + n - 1) // BLOCK - begin + 1
            before = first - begin * BLOCK
            labels = tf.pad(labels, [[before, blocks * BLOCK - before - n]])

            def evaluate(inputs):
                return network.stateless_call(weights, [], inputs[: len(network.inputs)])[0]

            def draw_block(index):
                numbers = (begin + index) * BLOCK + tf.range(BLOCK)
                seeds = tf.stack([tf.fill((BLOCK,), seed), numbers], axis=1)
                return self.draw_block(evaluate, seeds, temperature, tf.slice(labels, [index * BLOCK], [BLOCK]))

            spec = tf.TensorSpec((BLOCK, self.latent_dim), tf.float32)
            codes = tf.map_fn(draw_block, tf.range(blocks), fn_output_signature=spec)
            return tf.reshape(codes, (-1, self.latent_dim))[before : before + n]

        return draw


def minimize(network, loss, test, values, labels, batch, seed, steps, learning_rate, weight_decay):
    """The moving average of the network's weights with the least held-out loss, in one row; AdamW with cosine decay.

    values: (views, n, ...). labels: (n,), or None. loss: (values, labels, seed (2,)) of a training batch -> a scalar. test:
    (network, values, labels) of one view of a twentieth, which is held out, -> a scalar.
    """
    views, n = values.shape[:2]
    # the order of the digests of the images is random
    labels = np.zeros(n, "int32") if labels is None else np.asarray(labels, "int32")
    held_out = np.arange(n) % 20 == 0 if n >= 40 else np.zeros(n, bool)
    codes = tf.constant(values[:, ~held_out].reshape(-1, *values.shape[2:]))
    classes = tf.constant(np.tile(labels[~held_out], views))
    optimizer = keras.optimizers.AdamW(
        keras.optimizers.schedules.CosineDecay(learning_rate, steps), weight_decay=weight_decay, global_clipnorm=1.0
    )
    variables = network.trainable_variables
    optimizer.build(variables)
    average = keras.models.clone_model(network)
    average.set_weights(network.get_weights())

    @tf.function
    def train_step(index):
        numbers = tf.stack([seed, index])
        rows = tf.random.stateless_uniform((batch,), numbers, 0, len(codes), tf.int32)
        with tf.GradientTape() as tape:
            value = loss(tf.gather(codes, rows), tf.gather(classes, rows), numbers)
        optimizer.apply(tape.gradient(value, variables), variables)
        rate = tf.maximum(1 - 0.998, 1 / (tf.cast(index, tf.float32) + 1))
        for averaged, variable in zip(average.trainable_variables, variables, strict=True):
            averaged.assign_add(rate * (variable - averaged))

    test_step = tf.function(lambda: test(average, values[0, held_out], labels[held_out]))
    best, least = average.get_weights(), np.inf
    with trange(steps, desc="fitting the prior", unit="step", disable=None, leave=False) as bar:
        for index in bar:
            train_step(tf.constant(index))
            if index % 250 == 249 or index == steps - 1:
                # without held-out codes, the last weights
                value = float(test_step()) if held_out.any() else -index
                if value < least:
                    best, least = average.get_weights(), value
                bar.set_postfix_str(f"held-out loss {value:.4f}" if held_out.any() else "")
    return np.concatenate([np.ravel(array) for array in best]).astype("float16")
