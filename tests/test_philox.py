import numpy as np
import pytest
import tensorflow as tf

from keras_ae.priors import philox

SEEDS = [(0, 0), (1, 2), (2**31 - 1, 7), (5, -3), (-1, 2**30)]


def test_the_words_are_those_of_the_reference_implementation():
    # known answers of Random123: philox4x32 with 10 rounds
    full = np.uint64(0xFFFFFFFF)
    zeros = philox.philox(np.zeros(4, "uint64"), np.zeros(2, "uint64"))
    assert [f"{word:08x}" for word in zeros] == ["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]
    ones = philox.philox(np.full(4, full), np.full(2, full))
    assert [f"{word:08x}" for word in ones] == ["408f276d", "41c83b0e", "a20bc7c6", "6d5451fd"]


@pytest.mark.parametrize("size", [1, 4, 6, 128])
def test_normals_are_those_of_tensorflow(size):
    expected = np.stack([tf.random.stateless_normal((size,), seed) for seed in SEEDS])
    # libraries round sine and logarithm differently in the last place
    np.testing.assert_allclose(philox.normals(SEEDS, size), expected, rtol=2e-6, atol=2e-6)


def test_choices_are_those_of_tensorflow():
    seeds = [(seed, 2 * index) for seed in (0, 3) for index in range(300)]
    for logits in (np.log([0.2, 0.5, 0.3]), np.zeros(1), np.linspace(-3, 2, 20)):
        logits = logits.astype("float32")
        expected = [int(tf.random.stateless_categorical(logits[None], 1, seed)[0, 0]) for seed in seeds]
        assert philox.choices(seeds, logits).tolist() == expected
