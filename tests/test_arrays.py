import numpy as np
import pytest
from sklearn.datasets import load_digits

from keras_ae.data import pipeline
from keras_ae.data.pipeline import load_data
from keras_ae.errors import UserError
from keras_ae.images import pictures


def test_digits_are_those_of_scikit_learn():
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


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_a_path_is_a_folder_of_picture_files(folder, kind):
    (train, train_labels), (test, _) = load_data(kind(folder), size=16, channels=1)
    image_set = pipeline.load("folder", str(folder), size=16, channels=1)
    assert train.shape == (image_set.n_train, 16, 16, 1)
    assert test.shape == (image_set.n_test, 16, 16, 1)
    assert not train_labels.any()
    np.testing.assert_array_equal(train[:5], pipeline.examples(image_set, "train", 5))


def test_sub_folders_are_labels(tmp_path, folder, monkeypatch):
    for index, path in enumerate(sorted(folder.iterdir())[:20]):
        pictures.write_png(tmp_path / "mine" / "ab"[index % 2] / path.name, pictures.read(path, 16))
    monkeypatch.chdir(tmp_path)
    (_, train_labels), (_, test_labels) = load_data("mine", size=16)
    assert sorted(np.concatenate([train_labels, test_labels])) == [0] * 10 + [1] * 10


def test_built_in_names_have_priority_over_folders_of_that_name(tmp_path, monkeypatch):
    (tmp_path / "digits").mkdir()
    monkeypatch.chdir(tmp_path)
    assert len(load_data("digits")[0][0]) > 1000
    with pytest.raises(UserError, match="no picture files in"):
        load_data("./digits")


def test_missing_folders_unknown_names_and_sizes_are_user_errors(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        load_data(tmp_path / "nothing")
    with pytest.raises(UserError, match="did you mean digits"):
        load_data("digit")
    with pytest.raises(UserError, match="images of 10x10 pixels are not supported"):
        load_data("digits", size=10)
