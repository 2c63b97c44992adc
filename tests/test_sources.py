import os
import shutil
import zipfile

import numpy as np
import pytest

from keras_ae.data import pipeline, sources
from keras_ae.data.sets.cat_drawing import draw
from keras_ae.data.sets.cat_factors import sample_factors
from keras_ae.errors import UserError
from keras_ae.media import images


def cat(index, size=24):
    return draw(sample_factors(3, index), size)


def test_sub_folders_are_classes(tmp_path):
    for index in range(40):
        images.write_png(tmp_path / ("black" if index % 4 else "white") / f"{index}.png", cat(index))
    image_set = pipeline.load("folder", str(tmp_path), size=16)
    assert image_set.labels == ("black", "white")
    labels = np.concatenate([batch["label"] for side in ("train", "test") for batch in pipeline.batches(image_set, side, 8)])
    assert sorted(np.bincount(labels)) == [10, 30]


@pytest.mark.parametrize("names", [["a.png", "b.png"], ["x/a.png", "x/b.png"], ["x/a.png", "y/b.png", "c.png"]])
def test_one_sub_folder_or_files_outside_of_them_are_not_classes(tmp_path, names):
    for index, name in enumerate(names):
        images.write_png(tmp_path / name, cat(index))
    source = sources.folder(tmp_path)
    assert source.labels == ()
    assert {encoded.label for encoded in source.items()} == {0}


def test_classes_are_the_top_sub_folders_in_alphabetical_order(tmp_path):
    for index, name in enumerate(["y/deep/a.png", "x/a.png", "x/b.png"]):
        images.write_png(tmp_path / name, cat(index))
    source = sources.folder(tmp_path)
    assert source.labels == ("x", "y")
    assert {encoded.name: encoded.label for encoded in source.items()} == {"x/a.png": 0, "x/b.png": 0, "y/deep/a.png": 1}


@pytest.mark.parametrize(
    ("name", "count", "classes", "shape"), [("digits", 1797, 10, (8, 8, 1)), ("melodies", 10_000, 0, (32, 32, 1))]
)
def test_built_in_digits_and_melodies_need_no_files(name, count, classes, shape):
    source = sources.open_source(name, None)
    assert (source.count, len(source.labels)) == (count, classes)
    assert (source.size, source.size, source.channels) == shape
    first = next(source.items())
    assert images.decode(first.data, source.size, source.channels).shape == shape


def test_names_that_are_not_utf8_are_read(tmp_path, capsys):
    for index in range(30):
        images.write_png(tmp_path / f"{index}.png", cat(index))
    (tmp_path / "0.png").rename(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    with open(os.fsencode(tmp_path) + b"/broken \xe9.png", "wb") as file:
        file.write(b"words")
    image_set = pipeline.load("folder", str(tmp_path), size=16)
    assert image_set.n_train + image_set.n_test == 30
    assert r"broken \xe9.png (not a picture file;" in capsys.readouterr().err


def test_unknown_data_sets_are_refused_with_the_nearest_name():
    with pytest.raises(UserError, match="unknown data set 'mnsit'; did you mean mnist"):
        pipeline.load("mnsit")


def test_mnist_keeps_its_size_its_sides_and_its_classes(shared):
    name, directory = pipeline.resolve("mnist", str(shared / "tfds"))
    assert name == "mnist"
    digits = pipeline.load(name, directory)
    assert digits.shape == (28, 28, 1)
    assert (digits.n_train, digits.n_test) == (60_000, 10_000)
    assert len(digits.labels) == 10
    batch = next(iter(pipeline.batches(digits, "test", 100)))
    assert len(set(batch["label"].numpy())) == 10


def test_cat_faces_follow_changes_of_their_files(tmp_path, folder):
    for place, count in (("some", 20), ("more", 30)):
        for path in sorted(folder.iterdir())[:count]:
            inside = tmp_path / place / "Cat-faces-dataset" / path.name
            inside.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, inside)
        faces = pipeline.load("cat_faces", str(tmp_path / place), size=16)
        assert faces.n_train + faces.n_test == count
    (tmp_path / "some" / "Cat-faces-dataset" / inside.name).write_bytes(inside.read_bytes())
    faces = pipeline.load("cat_faces", str(tmp_path / "some"), size=16)
    assert faces.n_train + faces.n_test == 21


def test_cat_faces_without_files_say_which_files_are_needed(tmp_path):
    with pytest.raises(UserError, match=r"put cats-faces-64x64-for-generative-models.zip or Cat-faces-dataset.zip there"):
        pipeline.load("cat_faces", str(tmp_path))
    with pytest.raises(UserError, match=r"no data.directory was given"):
        pipeline.load("cat_faces")


@pytest.mark.parametrize("packed", [True, False])
def test_cat_faces_come_from_a_zip_or_a_folder(tmp_path, folder, packed, monkeypatch):
    monkeypatch.setenv("KERAS_AE_CACHE", str(tmp_path / "cache"))
    manual = tmp_path / "manual"
    name = "cats-faces-64x64-for-generative-models"
    manual.mkdir()
    if packed:
        with zipfile.ZipFile(manual / f"{name}.zip", "w") as archive:
            for path in folder.iterdir():
                archive.write(path, f"cats/{path.name}")
    else:
        shutil.copytree(folder, manual / name)
    faces = pipeline.load("cat_faces", str(manual), size=16)
    assert faces.n_train + faces.n_test == 150
