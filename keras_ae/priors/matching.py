"""Flow matching: how the velocity of a flow is learned.

Lipman et al. 2023 (arXiv:2210.02747), Liu et al. 2023 (arXiv:2209.03003).
"""

import keras
import numpy as np
import tensorflow as tf
from tqdm import trange

from keras_ae.priors.drawn import of_normal

BATCH = 512
# every so many steps, the loss of codes that are held out is measured; one code in HELD_OUT is
EVERY = 250
HELD_OUT = 20
# decay of the moving average of the weights, per step
AVERAGE = 0.998


def trained(network, whitened, labels, seed, steps, learning_rate, weight_decay):
    """The moving average of the network's weights with the least held-out loss, a list of arrays.

    network: of `velocities.velocity_network`; it is trained. whitened: codes (views, n, latent_dim) of about N(0, I). labels:
    (n,), or None.
    """
    views, n, latent_dim = whitened.shape
    labels = np.zeros(n, "int32") if labels is None else labels
    # codes come in the order of their images' digests, which is random
    held_out = np.arange(n) % HELD_OUT == 0 if n >= 2 * HELD_OUT else np.zeros(n, bool)
    known = tf.constant(whitened[:, ~held_out].reshape(-1, latent_dim))
    classes = tf.constant(np.tile(labels[~held_out], views))
    inputs = len(network.inputs)
    decay = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    optimizer = keras.optimizers.AdamW(decay, weight_decay=weight_decay, global_clipnorm=1.0)
    variables = network.trainable_variables
    optimizer.build(variables)
    averages = [tf.Variable(variable) for variable in variables]

    def loss(function, codes, labels, noise, time):
        x = (1 - time) * noise + time * codes
        return tf.reduce_mean(tf.square(codes - noise - of_normal(x, time) - function([x, time, labels][:inputs])))

    @tf.function
    def step(index):
        numbers = tf.stack([seed, index])
        rows = tf.random.stateless_uniform((BATCH,), numbers, 0, len(known), tf.int32)
        noise = tf.random.stateless_normal((BATCH, latent_dim), numbers + [1, 0])
        # more often in the middle of the way: Esser et al. 2024 (arXiv:2403.03206)
        time = tf.sigmoid(tf.random.stateless_normal((BATCH, 1), numbers + [2, 0]))
        with tf.GradientTape() as tape:
            value = loss(lambda x: network(x, training=True), tf.gather(known, rows), tf.gather(classes, rows), noise, time)
        optimizer.apply(tape.gradient(value, variables), variables)
        rate = tf.maximum(1 - AVERAGE, 1 / (tf.cast(index, tf.float32) + 1))
        for average, variable in zip(averages, variables, strict=True):
            average.assign_add(rate * (variable.value - average))

    others = whitened[0, held_out]
    random = np.random.default_rng(seed)
    repeats = max(1, -(-4096 // max(1, len(others))))
    fixed = [np.repeat(others, repeats, axis=0), np.repeat(labels[held_out], repeats)]
    fixed += [random.normal(size=fixed[0].shape).astype("float32"), random.uniform(size=(len(fixed[0]), 1)).astype("float32")]

    @tf.function
    def measured():
        return loss(lambda x: network.stateless_call(averages, network.non_trainable_variables, x)[0], *map(tf.constant, fixed))

    best, least = [np.asarray(average) for average in averages], np.inf
    with trange(steps, desc="fitting the prior", unit="step", disable=None, leave=False) as bar:
        for index in bar:
            step(tf.constant(index))
            if index % EVERY == EVERY - 1 or index == steps - 1:
                # without held-out codes, the last weights
                value = float(measured()) if len(others) else -index
                if value < least:
                    best, least = [np.asarray(average) for average in averages], value
                if len(others):
                    bar.set_postfix_str(f"held-out loss {value:.4f}")
    return best
