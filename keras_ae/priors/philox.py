"""Codes drawn from priors without TensorFlow, equal to those of its generator but for rounding.

Philox 4x32-10 (Salmon et al. 2011) with the scrambling of seeds, the uniform numbers and the Box-Muller transform that
`tf.random.stateless_normal` and `tf.random.stateless_categorical` use on CPUs. Seeds are whole numbers (n, 2).

A prior is a function (n, seed, temperature, first, label) -> codes `first` ... `first + n - 1` of the seed's sequence, float32
(n, latent_dim).
"""

import numpy as np

LOW, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
# a flow draws whole blocks of codes, so that each is computed in the same way, whichever part of a sequence is asked for
BLOCK = 16
# steps of Heun's method, each with two calls of the velocity
STEPS = 10


def philox(counters, keys):
    """Four random words for each counter (..., 4) and key (..., 2); all are uint64 arrays of 32-bit words."""
    first, second, third, fourth = np.moveaxis(counters, -1, 0)
    multipliers, weyl = np.array([[0xD2511F53, 0xCD9E8D57], [0x9E3779B9, 0xBB67AE85]], "uint64")
    for _ in range(10):
        left, right = multipliers[0] * first, multipliers[1] * third
        first, second = (right >> HALF) ^ second ^ keys[..., 0], right & LOW
        third, fourth = (left >> HALF) ^ fourth ^ keys[..., 1], left & LOW
        keys = (keys + weyl) & LOW
    return np.stack([first, second, third, fourth], axis=-1)


def _words(seeds, count):
    """The first `count` groups of four random words of each seed, (n, count, 4)."""
    # a negative 32-bit seed becomes 64 bits, as in TensorFlow
    seeds = np.asarray(seeds, "int64").astype("uint64")
    halves = np.stack([seeds & LOW, seeds >> HALF], axis=-1).reshape(len(seeds), 4)
    mixed = philox(halves, np.array([[0x3EC8F720, 0x02461E29]], "uint64"))
    counters = np.zeros((len(seeds), count, 4), "uint64")
    counters[..., 0] = np.arange(count)
    counters[..., 2:] = mixed[:, None, 2:]
    return philox(counters, mixed[:, None, :2])


def uniforms(seeds, size):
    """`size` uniform numbers in [0, 1) of each seed, as `tf.random.stateless_uniform` draws them, float32 (n, size)."""
    words = _words(seeds, -(-size // 4)).astype("uint32").reshape(len(seeds), -1)[:, :size]
    # the lowest 23 bits are the mantissa of a number in [1, 2)
    return ((words & np.uint32(0x7FFFFF)) | np.uint32(127 << 23)).view("float32") - np.float32(1)


def gumbel(uniform, library):
    """Gumbel noise from uniform numbers, with the functions of NumPy or `tf.math`: the greatest logit plus noise is a draw."""
    return -library.log(-library.log(library.maximum(uniform, 1e-7)))


def normals(seeds, size):
    """`size` standard normal numbers of each seed, float32 (n, size)."""
    uniform = uniforms(seeds, -(-size // 4) * 4).reshape(len(seeds), -1, 2)
    radius = np.sqrt(np.float32(-2) * np.log(np.maximum(uniform[..., 0], np.float32(1e-7))))
    angle = np.float32(2 * np.pi) * uniform[..., 1]
    pairs = np.stack([np.sin(angle) * radius, np.cos(angle) * radius], axis=-1)
    return pairs.reshape(len(uniform), -1)[:, :size]


def cumulate(logits):
    """Cumulative sums of exp(logits), float64, the greatest of which is 1 before they are summed."""
    logits = np.asarray(logits, "float32").astype("float64")
    return np.cumsum(np.exp(logits - logits.max()))


def choices(seeds, logits):
    """One index of each seed, int64 (n,), drawn with probabilities that are proportional to exp(logits)."""
    words = _words(seeds, 1)[:, 0]
    mantissa = ((words[:, 0] & np.uint64(0xFFFFF)) << HALF) | words[:, 1]
    uniform = (mantissa | np.uint64(1023 << 52)).view("float64") - 1
    sums = cumulate(logits)
    return np.searchsorted(sums, uniform * sums[-1], side="right")


def _pairs(seed, numbers):
    return np.stack([np.full(len(numbers), seed), numbers], axis=1)


def normal_sampler(latent_dim):
    """The prior N(0, I)."""

    def sample(n, seed, temperature, first, label):
        # the even numbers of the sequence choose the only component
        return np.float32(temperature) * normals(_pairs(seed, 2 * (first + np.arange(n)) + 1), latent_dim)

    return sample


def mixture_sampler(arrays):
    """The prior `mixture.Mixture` of these arrays."""
    logits = np.log(arrays["weights"])
    draw_noise = normal_sampler(arrays["means"].shape[1])

    def sample(n, seed, temperature, first, label):
        components = choices(_pairs(seed, 2 * (first + np.arange(n))), logits)
        shifts = np.einsum("nij,nj->ni", arrays["scales"][components], draw_noise(n, seed, 1, first, label))
        return (arrays["means"][components] + np.float32(temperature) * shifts).astype("float32")

    return sample


def normal_velocity(x, t):
    """The velocity of a flow at x and time t if codes are N(0, I)."""
    return x * (2 * t - 1) / (t * t + (1 - t) * (1 - t))


def advance(velocity, x, step):
    """A point after the step of this number of Heun's method along `velocity(x, t)`; tensors or arrays."""
    length = 1 / STEPS
    time = step * length
    first = velocity(x, time)
    return x + length / 2 * (first + velocity(x + length * first, time + length))


def in_blocks(draw_block):
    """The prior that draws whole blocks with a function (seeds (BLOCK, 2), temperature, labels (BLOCK,)) -> codes."""

    def sample(n, seed, temperature, first, label):
        before = first % BLOCK
        blocks = -(-(before + n) // BLOCK)
        labels = np.zeros(blocks * BLOCK, "int32")
        labels[before : before + n] = 0 if label is None else label
        seeds = _pairs(seed, first - before + np.arange(len(labels)))
        temperature = np.float32(temperature)
        parts = zip(np.split(seeds, blocks), np.split(labels, blocks), strict=True)
        codes = [draw_block(own, temperature, classes) for own, classes in parts]
        return np.concatenate(codes)[before : before + n].astype("float32")

    return sample


class FlowSampler:
    """The prior `flow.Flow` with these arrays and its network, (x, t, labels) -> what it adds to `normal_velocity`."""

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

    def __call__(self, n, seed, temperature, first, label):
        """Codes as all priors draw them, see above."""

        def draw_block(seeds, temperature, labels):
            return self.follow(temperature * normals(seeds, len(self._mean)), labels)

        return in_blocks(draw_block)(n, seed, temperature, first, label)


def autoregressive_sampler(arrays, step):
    """The prior `autoregressive.Autoregressive` of these arrays and its network, which draws one cell after another.

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

    return in_blocks(draw_block)
