import keras
import numpy as np
import pytest

from keras_ae.models.optimizers import OPTIMIZERS, SCHEDULES, Muon

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(3, 3, 8, 16), (4, 4, 16, 8), (40, 30)])
def test_a_step_of_muon_is_the_gradient_with_its_singular_values_made_about_one(shape):
    gradient = RANDOM.normal(size=shape).astype("float32")
    even = np.asarray(Muon().zeropower_via_newtonschulz5(keras.ops.convert_to_tensor(gradient), 5)).reshape(-1, shape[-1])
    left, _, right = np.linalg.svd(gradient.reshape(-1, shape[-1]), full_matrices=False)
    # the singular vectors stay, and the five iterations bring every singular value between 0.6 and 1.3
    values = np.diag(left.T @ even @ right.T)
    assert 0.6 < values.min() <= values.max() < 1.3
    np.testing.assert_allclose(even, (left * values) @ right, atol=0.05)


def test_muon_sends_biases_and_kernels_of_few_channels_to_adam():
    optimizer = Muon()
    shapes = {(16,): True, (3, 3, 3, 8): False, (4, 4, 16, 3): True, (128, 64): False}
    for shape, adam in shapes.items():
        assert optimizer._should_use_adamw(keras.Variable(np.zeros(shape))) is adam, shape


def learning_rate(schedule, step):
    return float(schedule(step)) if callable(schedule) else schedule


def test_constant_and_halving_schedules():
    schedule, callbacks = SCHEDULES["constant"](10, 5, learning_rate=0.3)
    assert [learning_rate(schedule, step) for step in (0, 50)] == [0.3, 0.3] and not callbacks
    rate, (callback,) = SCHEDULES["halve_on_plateau"](10, 5, learning_rate=0.3, patience=4, factor=0.25)
    assert (rate, callback.monitor, callback.patience, callback.factor) == (0.3, "val_loss", 4, 0.25)
    # at the ends of epochs
    schedule, _ = SCHEDULES["halve_every"](10, 40, learning_rate=0.8, every=3, factor=0.5)
    rates = [learning_rate(schedule, step) for step in (0, 29, 30, 59, 60, 399)]
    assert rates == pytest.approx([0.8, 0.8, 0.4, 0.4, 0.2, 0.8 * 0.5**13])


def test_cosine_rises_to_its_learning_rate_and_ends_at_its_final_share():
    schedule, _ = SCHEDULES["cosine"](100, 10, learning_rate=0.5, warmup_steps=50, final=0.1)
    assert learning_rate(schedule, 0) == pytest.approx(0.005)
    assert learning_rate(schedule, 50) == pytest.approx(0.5)
    # half of the way down
    assert learning_rate(schedule, 525) == pytest.approx((0.5 + 0.05) / 2, rel=1e-3)
    assert learning_rate(schedule, 1000) == pytest.approx(0.05)
    without, _ = SCHEDULES["cosine"](100, 10, learning_rate=0.5, warmup_steps=0, final=0.0)
    assert [learning_rate(without, step) for step in (0, 1000)] == pytest.approx([0.5, 0.0])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_is_made_again_from_its_configuration_and_clips(name):
    optimizer = OPTIMIZERS[name](0.01, clip_norm=2.0)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(again) is type(optimizer)
    assert again.global_clipnorm == 2.0
    assert OPTIMIZERS[name](0.01).global_clipnorm is None


def _trained(optimizer):
    matrix = keras.Variable(RANDOM_MATRIX)
    optimizer.build([matrix])
    for step in range(1, 4):
        optimizer.apply([keras.ops.convert_to_tensor(np.sin(step * RANDOM_MATRIX))], [matrix])
    return np.asarray(matrix)


RANDOM_MATRIX = np.random.default_rng(1).normal(size=(12, 8)).astype("float32")


def test_steps_of_muon_are_those_of_keras_for_matrices():
    options = {"weight_decay": None, "adam_weight_decay": None, "global_clipnorm": 1.0}
    ours, keras_own = (_trained(make(0.1, **options)) for make in (Muon, keras.optimizers.Muon))
    np.testing.assert_allclose(ours, keras_own, atol=2e-4)
    assert np.abs(ours - RANDOM_MATRIX).max() > 0.05
