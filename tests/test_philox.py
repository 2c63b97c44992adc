import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from keras_ae.priors import draws, philox
from keras_ae.priors.autoregressive import Autoregressive, transformer
from keras_ae.priors.flow import Flow, velocity_network
from keras_ae.priors.mixture import Mixture, Normal

RANDOM = np.random.default_rng(0)
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


def test_uniform_numbers_and_choices_are_those_of_tensorflow():
    expected = np.stack([tf.random.stateless_uniform((3, 5), seed) for seed in SEEDS])
    np.testing.assert_array_equal(philox.uniforms(SEEDS, 15).reshape(-1, 3, 5), expected)
    seeds = [(seed, 2 * index) for seed in (0, 3) for index in range(300)]
    for logits in (np.log([0.2, 0.5, 0.3]), np.zeros(1), np.linspace(-3, 2, 20)):
        logits = logits.astype("float32")
        expected = [int(tf.random.stateless_categorical(logits[None], 1, seed)[0, 0]) for seed in seeds]
        assert philox.choices(seeds, logits).tolist() == expected


def _flow(classes):
    network = velocity_network(4, 8, 1, classes)
    size = sum(np.size(array) for array in network.get_weights())
    prior = Flow(RANDOM.normal(size=4).astype("float32"), np.eye(4, dtype="float32"), 8, 1, classes, np.zeros(size, "float16"))
    return dataclasses.replace(prior, weights=RANDOM.normal(size=size, scale=0.3).astype("float16"))


def _autoregressive(classes):
    whole, _ = transformer(2, 9, 8, 2, classes)
    weights = RANDOM.normal(size=whole.count_params(), scale=0.3).astype("float16")
    return Autoregressive(RANDOM.normal(size=(9, 2)).astype("float32"), 2, 8, 2, classes, weights)


@pytest.mark.parametrize("name", ["mixture", "normal", "flow", "conditional flow", "autoregressive"])
def test_every_prior_draws_the_same_codes_in_numpy(name):
    labels = None
    if name == "mixture":
        prior = Mixture.fit(RANDOM.normal(size=(200, 4)), components=[3])
        sample = draws.mixture_sampler(dataclasses.asdict(prior))
    elif name == "normal":
        prior, sample = Normal(4), draws.normal_sampler(4)
    elif name == "autoregressive":
        prior, labels = _autoregressive(3), np.arange(50, dtype="int32") % 3
        step = prior.drawing_network()
        arrays = {"codebook": prior.codebook, "cache": np.array(step.inputs[2].shape[1:])}
        sample = draws.autoregressive_sampler(
            arrays, lambda *inputs: [array.numpy() for array in step(inputs[: len(step.inputs)])]
        )
    else:
        prior = _flow(3 if name == "conditional flow" else 0)
        labels = np.arange(50, dtype="int32") % 3 if prior.classes else None
        network = prior.drawing_network()
        sample = draws.FlowSampler(
            {"mean": prior.mean, "scale": prior.scale}, lambda *inputs: network(inputs[: len(network.inputs)]).numpy()
        )
    expected = prior.sample(50, 9, 0.7, 30, labels).numpy()
    np.testing.assert_allclose(sample(50, 9, 0.7, 30, labels), expected, atol=2e-5)
    later = sample(7, 9, 0.7, 73, None if labels is None else labels[43:])
    np.testing.assert_array_equal(later, sample(50, 9, 0.7, 30, labels)[43:])


def test_codes_are_traced_back_to_the_noise_that_flows_to_them():
    prior = _flow(3)
    network, labels = prior.drawing_network(), np.arange(20, dtype="int32") % 3
    flow = draws.FlowSampler({"mean": prior.mean, "scale": 2 * prior.scale}, lambda *inputs: network(inputs).numpy())
    noise = RANDOM.normal(size=(20, 4))
    np.testing.assert_allclose(flow.trace(flow.follow(noise, labels), labels), noise, atol=1e-4)
