import numpy as np
import pytest

from keras_ae.priors.batches import batched

ROWS = np.arange(10.0)[:, None]


@pytest.mark.parametrize("batch", [1, 3, 10, 99])
def test_batches_are_joined_in_order_and_are_no_larger_than_asked(batch):
    sizes = []

    def double(rows):
        sizes.append(len(rows))
        return 2 * rows

    np.testing.assert_array_equal(batched(double, ROWS, batch), 2 * ROWS)
    assert max(sizes) <= batch
    assert sum(sizes) == 10


def test_dicts_are_joined_by_name():
    joined = batched(lambda rows: {"a": rows, "b": -rows}, ROWS, 4)
    np.testing.assert_array_equal(joined["b"], -ROWS)
    assert list(joined) == ["a", "b"]


def test_no_rows_give_no_rows():
    assert batched(lambda rows: rows, ROWS[:0]).shape == (0, 1)
