"""Codes drawn from the fitted priors of an export in NumPy, equal to those of its TensorFlow generator but for rounding.

A prior is (n, seed, temperature, first, label) -> codes `first` ... `first + n - 1` of the seed's sequence, float32 (n, d).
"""

import numpy as np

from keras_ae.priors import philox

# a flow draws whole blocks of codes, so that each is computed in the same way, whichever part of a sequence is asked for
BLOCK = 16
# of Heun's method, each with two calls of the velocity
STEPS = 10


def of_normal(x, t):
    """The velocity of a flow at x and time t if codes are N(0, I)."""
    return x * (2 * t - 1) / (t * t + (1 - t) * (1 - t))


def advanced(velocity, x, index):
    """A point after the step `index` of Heun's method along `velocity(x, t)`; tensors or arrays."""
    step = 1 / STEPS
    time = index * step
    first = velocity(x, time)
    return x + step / 2 * (first + velocity(x + step * first, time + step))


def _seeds(seed, numbers):
    return np.stack([np.full(len(numbers), seed), numbers], axis=1)


def mixture(arrays):
    """The prior `codes.priors.Mixture` of these arrays."""
    logits = np.log(arrays["weights"])

    def sample(n, seed, temperature, first, label):
        numbers = first + np.arange(n)
        components = philox.choices(_seeds(seed, 2 * numbers), logits)
        epsilon = philox.normals(_seeds(seed, 2 * numbers + 1), arrays["means"].shape[1])
        shifts = np.einsum("nij,nj->ni", arrays["scales"][components], epsilon)
        return (arrays["means"][components] + np.float32(temperature) * shifts).astype("float32")

    return sample


def normal(latent_dim):
    """The prior N(0, I)."""

    def sample(n, seed, temperature, first, label):
        # the even numbers of the sequence choose the only component
        return np.float32(temperature) * philox.normals(_seeds(seed, 2 * (first + np.arange(n)) + 1), latent_dim)

    return sample


def flow(arrays, velocity):
    """The prior `codes.flow.Flow` with these arrays and its network, (x, t, labels) -> what it adds to `of_normal`."""
    scale = arrays["scale"].T

    def block(begin, seed, temperature, labels):
        x = np.float32(temperature) * philox.normals(_seeds(seed, begin + np.arange(BLOCK)), len(scale))

        def whole(x, t):
            x, times = x.astype("float32"), np.full((BLOCK, 1), t, "float32")
            return of_normal(x, np.float32(t)) + velocity(x, times, labels)

        for index in range(STEPS):
            x = advanced(whole, x, index)
        return arrays["mean"] + x.astype("float32") @ scale

    def sample(n, seed, temperature, first, label):
        start = first // BLOCK * BLOCK
        end = -(-(first + n) // BLOCK) * BLOCK
        labels = np.zeros(end - start, "int32")
        labels[first - start : first - start + n] = 0 if label is None else label
        begins = range(start, end, BLOCK)
        blocks = [block(begin, seed, temperature, labels[begin - start : begin - start + BLOCK]) for begin in begins]
        return np.concatenate(blocks)[first - start : first - start + n].astype("float32")

    return sample
