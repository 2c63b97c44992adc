"""Batches: their order, what is random in them, tasks, and whole data sets as arrays."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

from keras_ae.data import pipeline, tasks
from keras_ae.data.pipeline import load_data
from keras_ae.data.tasks import Variation
from keras_ae.errors import UserError
from keras_ae.images import pictures

IMAGES = np.random.default_rng(0).uniform(-1, 1, (3, 16, 16, 1)).astype("float32")


@pytest.fixture(scope="module")
def image_set(folder):
    return pipeline.load("folder", str(folder), size=16)


def test_a_folder_becomes_batches_in_range(image_set):
    assert image_set.shape == (16, 16, 3)
    assert image_set.n_train + image_set.n_test == 150
    assert image_set.summary[0].startswith(f"cats: 150 images; {image_set.n_train} training + {image_set.n_test} held out")
    batches = list(pipeline.batches(image_set, "train", 32))
    assert [len(batch["images"]) for batch in batches] == [32] * (image_set.n_train // 32) + [image_set.n_train % 32]
    images = np.concatenate([batch["images"] for batch in batches])
    np.testing.assert_array_equal(images, pictures.to_float(image_set.images["train"]))
    np.testing.assert_array_equal(images[:5], pipeline.examples(image_set, "train", 5))
    assert -1 <= images.min() < 0 < images.max() <= 1


def epoch_orders(image_set, first, n, batch=16, seed=0):
    """Numbers of the images in the order of n epochs."""
    numbers = {image.tobytes(): number for number, image in enumerate(pictures.to_float(image_set.images["train"]))}
    steps = image_set.n_train // batch
    stream = iter(pipeline.training(image_set, batch, seed, first))
    return [[numbers[image.numpy().tobytes()] for _ in range(steps) for image in next(stream)["images"]] for _ in range(n)]


def test_epochs_are_permutations_and_a_function_of_seed_and_epoch(image_set, monkeypatch):
    # memory is given back, as with many images
    monkeypatch.setattr(pipeline, "LARGE", 0)
    found = epoch_orders(image_set, 0, 4)
    for order in found:
        assert len(set(order)) == len(order) == image_set.n_train // 16 * 16
        assert abs(np.corrcoef(order, np.arange(len(order)))[0, 1]) < 0.5
    assert len({tuple(order) for order in found}) == 4
    assert epoch_orders(image_set, 2, 2) == found[2:]
    assert epoch_orders(image_set, 0, 1, seed=1)[0] != found[0]


def test_a_resumed_run_gets_the_same_variation_and_noise(image_set):
    def take(first, n):
        stream = pipeline.training(image_set, 32, 5, first, Variation(flip=True, shift=1, rotation=3), tasks.add_noise)
        return [batch["inputs"].numpy() for batch in stream.take(n * (image_set.n_train // 32))]

    whole, resumed = take(0, 3), take(2, 1)
    assert all(np.array_equal(one, other) for one, other in zip(whole[-len(resumed) :], resumed, strict=True))


@pytest.mark.parametrize("batch", [1, 32])
def test_half_of_the_images_are_mirrored_also_in_odd_batches(image_set, batch):
    plain, mirrored = (pipeline.training(image_set, batch, 0, 0, Variation(flip=flip)).take(40) for flip in (False, True))
    pairs = [(a["images"].numpy(), b["images"].numpy()) for a, b in zip(plain, mirrored, strict=True)]
    same = [np.array_equal(one, other) for a, b in pairs for one, other in zip(a, b, strict=True)]
    turned = [np.array_equal(one[:, ::-1], other) for a, b in pairs for one, other in zip(a, b, strict=True)]
    assert len(same) == 40 * batch
    assert sum(same) == sum(turned) == 20 * batch


def varied(image_set, **variation):
    return [batch["images"].numpy() for batch in pipeline.training(image_set, 32, 0, 0, Variation(**variation)).take(12)]


def test_shifts_move_whole_batches_by_few_pixels_and_are_reproducible(image_set):
    plain, one, other = (varied(image_set, shift=shift) for shift in (0, 2, 2))
    assert all(np.array_equal(first, second) for first, second in zip(one, other, strict=True))
    found = set()
    for whole, moved in zip(plain, one, strict=True):
        inside = moved[:, 2:-2, 2:-2]
        offsets = [(y, x) for y in range(5) for x in range(5) if np.array_equal(whole[:, y : y + 12, x : x + 12], inside)]
        assert len(offsets) == 1
        found.update(offsets)
    assert len(found) > 3


def test_each_image_is_moved_enlarged_and_turned_by_its_own_amounts(image_set):
    plain, one, again = (varied(image_set, **how) for how in ({}, *[{"shift": 1.5, "scale": 0.1, "rotation": 10}] * 2))
    assert all(np.array_equal(first, second) for first, second in zip(one, again, strict=True))
    differences = np.abs(np.concatenate(plain) - np.concatenate(one)).mean(axis=(1, 2, 3))
    assert (differences > 0).all()
    assert differences.max() > 3 * differences.min()
    assert np.abs(np.concatenate(one)).max() <= 1


def test_a_warp_turns_and_enlarges_around_the_centre():
    images = np.zeros((1, 17, 17, 1), "uint8")
    images[0, 8, 8] = 200
    turned = tasks.move(images, Variation(rotation=180, scale=0.5), [0, 0])
    assert np.unravel_index(np.argmax(turned[0, ..., 0]), (17, 17)) == (8, 8)
    # a point keeps its distance from the centre
    images[0, 8, 8], images[0, 8, 14] = 0, 200
    turned = tasks.move(images, Variation(rotation=180), [3, 4])
    row, column = np.unravel_index(np.argmax(turned[0, ..., 0]), (17, 17))
    assert np.hypot(row - 8, column - 8) == pytest.approx(6, abs=0.8)
    assert (row, column) != (8, 14)


def test_views_of_the_training_images_are_mirrored_and_moved(image_set):
    def view(number, **variation):
        found = pipeline.batches(image_set, "train", 32, None, number, Variation(**variation))
        return np.concatenate([batch["images"] for batch in found])

    plain = view(0, flip=True, shift=1)
    assert np.array_equal(view(1, flip=True, shift=1), plain[:, :, ::-1])
    assert not np.array_equal(view(2, flip=True, shift=1), plain)
    assert np.array_equal(view(3, flip=True, shift=1), view(3, flip=True, shift=1))
    assert np.array_equal(plain, view(2))
    assert [Variation(**how).views(4) for how in ({}, {"flip": True}, {"scale": 0.1})] == [1, 2, 4]


@pytest.mark.parametrize("name", tasks.TASKS)
def test_every_task_keeps_the_range_and_is_reproducible_by_seed(name):
    first, second, other = (np.asarray(tasks.TASKS[name](tf.constant(IMAGES), seed)) for seed in ((1, 2), (1, 2), (1, 3)))
    assert np.abs(first).max() <= 1
    np.testing.assert_array_equal(first, second)
    assert (name == "add_noise") == np.any(first != other)


@pytest.mark.parametrize(("mean", "deviation"), [(0.1, 0.2), (-0.3, 0.1)])
def test_noise_has_the_given_mean_and_deviation(mean, deviation):
    noisy = np.asarray(tasks.add_noise(tf.zeros((4, 64, 64, 1)), (0, 0), mean=mean, deviation=deviation))
    assert noisy.mean() == pytest.approx(mean, abs=0.01)
    assert noisy.std() == pytest.approx(deviation, abs=0.01)


def test_bicubic_enlargement_restores_a_smooth_image_that_was_downscaled():
    y, x = np.mgrid[:32, :32] / 32
    smooth = (0.5 * np.sin(3 * x + 2 * y))[None, ..., None].astype("float32")
    small = tasks.downscale(tf.constant(smooth), (0, 0), factor=4)
    assert small.shape == (1, 8, 8, 1)
    back = np.asarray(tasks.enlarge(small, (32, 32, 1)))
    assert np.abs(back - smooth)[:, 6:-6, 6:-6].max() < 0.02
    assert tasks.enlarge(IMAGES, (16, 16, 1)) is IMAGES


def test_load_data_gives_the_digits_of_scikit_learn():
    (train, train_labels), (test, test_labels) = load_data("digits")
    assert train.dtype == test.dtype == "float32"
    assert train_labels.dtype == test_labels.dtype == "int32"
    assert train.shape[1:] == (8, 8, 1)
    assert (train.min(), train.max()) == (-1, 1)
    # the same digits with the same labels, in another order; equal digits are used once
    original = load_digits()
    expected = {(*values, label) for values, label in zip(original.data, original.target, strict=True)}
    loaded = np.rint((np.concatenate([train, test]) + 1) * 8).reshape(-1, 64)
    found = [(*values, label) for values, label in zip(loaded, np.concatenate([train_labels, test_labels]), strict=True)]
    assert len(found) == len(expected)
    assert set(found) == expected


def test_load_data_reads_a_path(folder, image_set):
    for path in (folder, str(folder)):
        (train, labels), (test, _) = load_data(path, size=16)
        np.testing.assert_array_equal(train, pictures.to_float(image_set.images["train"]))
        assert len(test) == image_set.n_test
        assert not labels.any()


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("./digits", 16, "no such folder"),
        ("digit", 16, "did you mean digits"),
        ("digits", 10, "multiples of 4, and from 64 on of 8. Received: 10x10; nearest 8x8 or 12x12"),
        ("digits", (65, 96), r"Received: 65x96; nearest 64x96 or 72x96 \(data.size\)"),
        *(("digits", size, "one whole number from 8 to 256, or ") for size in (7, 512, 0, 8.5, "8", (16,), (16, 8, 3))),
    ],
)
def test_unknown_names_missing_folders_and_impossible_sizes_are_user_errors(name, size, message):
    with pytest.raises(UserError, match=message):
        load_data(name, size=size)
