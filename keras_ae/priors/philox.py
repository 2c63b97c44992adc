"""The random numbers of TensorFlow without TensorFlow: Philox 4x32-10 (Salmon et al. 2011).

With the scrambling of seeds, the uniform numbers and the Box-Muller transform that `tf.random.stateless_normal` and
`tf.random.stateless_categorical` use on CPUs. Seeds are whole numbers (n, 2).
"""

import numpy as np

LOW, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


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
