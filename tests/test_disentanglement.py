import numpy as np

from keras_ae.studies.disentanglement import mutual_information_gap

RANDOM = np.random.default_rng(0)


def test_the_gap_is_large_for_separate_codes_and_closes_when_two_codes_share_a_factor():
    factors = RANDOM.integers(0, 10, (2, 20_000))
    apart = np.stack([factors[0], factors[1], RANDOM.normal(size=20_000)], axis=1)
    mig, gaps = mutual_information_gap(apart, {"a": factors[0], "b": factors[1]})
    assert mig > 0.95
    assert set(gaps) == {"a", "b"}
    shared = np.stack([factors[0] + 0.01 * factors[1], factors[0] - 0.01 * factors[1]], axis=1)
    assert mutual_information_gap(shared, {"a": factors[0]})[0] < 0.1
