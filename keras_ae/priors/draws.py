"""Codes drawn from priors without TensorFlow, equal to those of `Prior.sample` but for rounding.

A sampler is called with (n, seed, temperature, first, label), as `Prior.sample`, and returns codes float32 (n, latent_dim).
"""

import functools

import numpy as np

from keras_ae.priors.philox import choices, normals, uniforms

# learned priors draw whole blocks of codes, so that each is computed in the same way, whichever part of a sequence is asked for
BLOCK = 16
# steps of Heun's method, each with two calls of the velocity
STEPS = 10


def normal_velocity(x, t):
    """The velocity of a flow at x and time t if codes are N(0, I)."""
    return x * (2 * t - 1) / (t * t + (1 - t) * (1 - t))


def advance(velocity, x, step):
    """A point after the step of this number of Heun's method along `velocity(x, t)`; tensors or arrays."""
    length = 1 / STEPS
    time = step * length
    first = velocity(x, time)
    return x + length / 2 * (first + velocity(x + length * first, time + length))


def gumbel(uniform, library):
    """Gumbel noise from uniform numbers, with the functions of NumPy or `tf.math`: the greatest logit plus noise is a draw."""
    return -library.log(-library.log(library.maximum(uniform, 1e-7)))


def _seeds(seed, numbers):
    return np.stack([np.full(len(numbers), seed), numbers], axis=1)


def normal_sampler(latent_dim):
    """The sampler of N(0, I)."""

    def sample(n, seed, temperature, first, label):
        # the even numbers of the sequence choose the only component
        return np.float32(temperature) * normals(_seeds(seed, 2 * (first + np.arange(n)) + 1), latent_dim)

    return sample


def mixture_sampler(arrays):
    """The sampler of the `mixture.Mixture` of these arrays."""
    logits, draw_noise = np.log(arrays["weights"]), normal_sampler(arrays["means"].shape[1])

    def sample(n, seed, temperature, first, label):
        components = choices(_seeds(seed, 2 * (first + np.arange(n))), logits)
        shifts = np.einsum("nij,nj->ni", arrays["scales"][components], draw_noise(n, seed, 1, first, label))
        return (arrays["means"][components] + np.float32(temperature) * shifts).astype("float32")

    return sample


def _draw_blocks(draw_block, n, seed, temperature, first, label):
    """Codes of a sampler that draws whole blocks: (seeds (BLOCK, 2), temperature, labels (BLOCK,)) -> codes."""
    before = first % BLOCK
    blocks = -(-(before + n) // BLOCK)
    labels = np.zeros(blocks * BLOCK, "int32")
    labels[before : before + n] = 0 if label is None else label
    seeds = _seeds(seed, first - before + np.arange(len(labels)))
    parts = zip(np.split(seeds, blocks), np.split(labels, blocks), strict=True)
    codes = [draw_block(own, np.float32(temperature), classes) for own, classes in parts]
    return np.concatenate(codes)[before : before + n].astype("float32")


class FlowSampler:
    """The sampler of the `flow.Flow` with these arrays and its network, (x, t, labels) -> what it adds to `normal_velocity`."""

    def __init__(self, arrays, velocity):
        self._mean, self._scale, self._velocity = arrays["mean"], arrays["scale"], velocity

    def _advance(self, x, step, labels):
        def velocity(x, t):
            x, times = x.astype("float32"), np.full((len(x), 1), t, "float32")
            return normal_velocity(x, np.float32(t)) + self._velocity(x, times, labels)

        return advance(velocity, x, step)

    def follow(self, noise, labels=None):
        """The codes (n, latent_dim) to which noise (n, latent_dim) flows; labels: (n,) of a conditional model."""
        for step in range(STEPS):
            noise = self._advance(noise, step, labels)
        return self._mean + noise.astype("float32") @ self._scale.T

    def trace(self, codes, labels=None):
        """The noise (n, latent_dim) that flows to codes (n, latent_dim), of pictures, too: the steps are undone one by one."""
        x = np.linalg.solve(self._scale.astype("float64"), (codes - self._mean).T).T
        for step in reversed(range(STEPS)):
            after = x
            # a step moves points by little, so that the iteration converges
            for _ in range(16):
                x = x + after - self._advance(x, step, labels)
        return x

    def _draw_block(self, seeds, temperature, labels):
        return self.follow(temperature * normals(seeds, len(self._mean)), labels)

    def __call__(self, *numbers):
        return _draw_blocks(self._draw_block, *numbers)


def autoregressive_sampler(arrays, step):
    """The sampler of an `autoregressive.Autoregressive` and its network, which draws one cell after another.

    arrays: "codebook", and "cache", the shape of the cache without the batch. step: (token, position, cache, labels) -> logits
    and cache.
    """
    codebook, shape = arrays["codebook"], arrays["cache"].astype(int)

    def draw_block(seeds, temperature, labels):
        cells, entries = shape[1], len(codebook)
        noise = gumbel(uniforms(seeds, cells * entries), np).reshape(BLOCK, cells, entries)
        token, cache, tokens = np.full(BLOCK, entries, "int32"), np.zeros((BLOCK, *shape), "float32"), []
        for cell in range(cells):
            logits, cache = step(token, np.full(BLOCK, cell, "int32"), cache, labels)
            token = np.argmax(logits + temperature * noise[:, cell], axis=1).astype("int32")
            tokens.append(token)
        return codebook[np.stack(tokens, axis=1)].reshape(BLOCK, -1)

    return functools.partial(_draw_blocks, draw_block)
