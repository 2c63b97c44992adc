"""TensorFlow's stateless random numbers, repeated in NumPy for programs without TensorFlow.

Philox 4x32-10 (Salmon et al. 2011) with the scrambling of seeds, the uniform numbers and the Box-Muller transform that
`tf.random.stateless_normal` and `tf.random.stateless_categorical` use on CPUs. Seeds are whole numbers (n, 2).
"""

import numpy as np

ROUNDS = 10
MULTIPLIERS = np.array([0xD2511F53, 0xCD9E8D57], "uint64")
WEYL = np.array([0x9E3779B9, 0xBB67AE85], "uint64")
SCRAMBLING = np.array([0x3EC8F720, 0x02461E29], "uint64")
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)


def philox(counters, keys):
    """Four random words for each counter (..., 4) and key (..., 2); all are uint64 arrays of 32-bit words."""
    first, second, third, fourth = np.moveaxis(counters, -1, 0)
    key = keys
    for _ in range(ROUNDS):
        left, right = MULTIPLIERS[0] * first, MULTIPLIERS[1] * third
        first, second, third, fourth = (
            (right >> HALF) ^ second ^ key[..., 0],
            right & LOW,
            (left >> HALF) ^ fourth ^ key[..., 1],
            left & LOW,
        )
        key = (key + WEYL) & LOW
    return np.stack([first, second, third, fourth], axis=-1)


def _words(seeds, count):
    """The first `count` groups of four random words of each seed, (n, count, 4)."""
    # a negative 32-bit seed becomes 64 bits, as in TensorFlow
    seeds = np.asarray(seeds, "int64").astype("uint64")
    halves = np.stack([seeds & LOW, seeds >> HALF], axis=-1).reshape(len(seeds), 4)
    mixed = philox(halves, np.broadcast_to(SCRAMBLING, (len(seeds), 2)))
    counters = np.zeros((len(seeds), count, 4), "uint64")
    counters[..., 0] = np.arange(count, dtype="uint64")
    counters[..., 2:] = mixed[:, None, 2:]
    return philox(counters, np.broadcast_to(mixed[:, None, :2], (len(seeds), count, 2)))


def _unit_floats(words):
    """Words as float32 in [0, 1): their lowest 23 bits are the mantissa."""
    bits = (words.astype("uint32") & np.uint32(0x7FFFFF)) | np.uint32(127 << 23)
    return bits.view("float32") - np.float32(1)


def normals(seeds, size):
    """`size` standard normal numbers of each seed, float32 (n, size)."""
    words = _words(seeds, -(-size // 4))
    uniform = _unit_floats(words.reshape(len(words), -1, 2))
    radius = np.sqrt(np.float32(-2) * np.log(np.maximum(uniform[..., 0], np.float32(1e-7))))
    angle = np.float32(2 * np.pi) * uniform[..., 1]
    pairs = np.stack([np.sin(angle) * radius, np.cos(angle) * radius], axis=-1)
    return pairs.reshape(len(words), -1)[:, :size]


def cumulative(logits):
    """Cumulative sums of exp(logits), float64, the greatest of which is 1 before they are summed."""
    logits = np.asarray(logits, "float32").astype("float64")
    return np.cumsum(np.exp(logits - logits.max()))


def choices(seeds, logits):
    """One index of each seed, int64 (n,), drawn with probabilities that are proportional to exp(logits)."""
    words = _words(seeds, 1)[:, 0]
    mantissa = ((words[:, 0] & np.uint64(0xFFFFF)) << HALF) | words[:, 1]
    uniform = (mantissa | np.uint64(1023 << 52)).view("float64") - 1
    sums = cumulative(logits)
    return np.searchsorted(sums, uniform * sums[-1], side="right")
