import dataclasses

import numpy as np
import pytest

from course import factors
from keras_ae.data.drawn_cats import CLASSES, RANGES, SIMPLE, sample_factors

RANDOM = np.random.default_rng(0)
KNOWN = dict(zip("ab", RANDOM.integers(0, 10, (2, 20_000)), strict=True))
APART = np.stack([KNOWN["a"], KNOWN["b"], RANDOM.normal(size=20_000)], axis=1)
# both numbers have a half of each factor
TURNED = np.stack([KNOWN["a"] + KNOWN["b"], KNOWN["a"] - KNOWN["b"]], axis=1) + RANDOM.normal(size=(20_000, 2))


def test_the_gap_is_large_for_separate_codes_and_closes_when_two_codes_share_a_factor():
    mig, gaps = factors.mutual_information_gap(APART, KNOWN)
    assert mig > 0.95
    assert set(gaps) == {"a", "b"}
    shared = np.stack([KNOWN["a"] + 0.01 * KNOWN["b"], KNOWN["a"] - 0.01 * KNOWN["b"]], axis=1)
    assert factors.mutual_information_gap(shared, {"a": KNOWN["a"]})[0] < 0.1


@pytest.mark.parametrize("classes", [(), ("a", "b")])
def test_numbers_of_one_factor_each_are_disentangled_and_turned_ones_are_not(classes):
    some = {name: values[:2000] for name, values in KNOWN.items()}
    importance = factors.importances(APART[:2000], some, classes)
    np.testing.assert_allclose(importance.sum(axis=0), 1)
    assert importance[0, 0] > 0.9 < importance[1, 1]
    assert factors.disentanglement(importance) > 0.9
    assert factors.disentanglement(factors.importances(TURNED[:2000], some, classes)) < 0.3


def test_disentanglement_of_known_importances():
    assert factors.disentanglement(np.eye(3)) == pytest.approx(1)
    assert factors.disentanglement(np.ones((4, 3)) / 4) == pytest.approx(0)
    # a number that matters to nothing counts for nothing
    assert factors.disentanglement(np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])) == pytest.approx(1)


def test_visibility_is_the_share_of_the_variance_that_a_factor_makes():
    @dataclasses.dataclass(frozen=True)
    class Two:
        bright: float
        hidden: float

    random = np.random.default_rng(1)
    cats = [Two(*random.normal(size=2)) for _ in range(3000)]

    def draw(one):
        return np.array([3 * one.bright, one.hidden])

    shares = factors.visibility(draw, cats, ["bright", "hidden"])
    assert shares == pytest.approx({"bright": 0.9, "hidden": 0.1}, abs=0.02)


def test_simple_cats_differ_in_position_size_and_hue_alone():
    cats = [sample_factors(0, index, simple=True) for index in range(50)]
    varied = {name for name in (*CLASSES, *RANGES, "texture") if len({getattr(one, name) for one in cats}) > 1}
    assert varied == set(SIMPLE)
    for name, (low, high) in SIMPLE.items():
        assert low <= min(getattr(one, name) for one in cats) < max(getattr(one, name) for one in cats) <= high


def test_of_a_code_of_one_number_the_gap_is_all_that_it_says_of_a_factor():
    values = np.arange(400) % 4
    gap, gaps = factors.mutual_information_gap(values[:, None].astype(float), {"kind": values})
    assert gap == gaps["kind"] == pytest.approx(1)
