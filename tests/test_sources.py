import hashlib
import os
import shutil
import sys
import types
import zipfile

import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_ae.data import builders, folders, pipeline, public_cats, sources
from keras_ae.data.arrays import load_data
from keras_ae.data.sets.cat_drawing import draw
from keras_ae.data.sets.cat_factors import sample_factors
from keras_ae.errors import UserError
from keras_ae.images import pictures


def cat(index, size=24):
    return draw(sample_factors(3, index), size)


def test_sub_folders_are_classes(tmp_path):
    for index in range(40):
        pictures.write_png(tmp_path / ("black" if index % 4 else "white") / f"{index}.png", cat(index))
    image_set = pipeline.load("folder", str(tmp_path), size=16)
    assert image_set.labels == ("black", "white")
    labels = np.concatenate([batch["label"] for side in ("train", "test") for batch in pipeline.batches(image_set, side, 8)])
    assert sorted(np.bincount(labels)) == [10, 30]


@pytest.mark.parametrize("names", [["a.png", "b.png"], ["x/a.png", "x/b.png"], ["x/a.png", "y/b.png", "c.png"]])
def test_one_sub_folder_or_files_outside_of_them_are_not_classes(tmp_path, names):
    for index, name in enumerate(names):
        pictures.write_png(tmp_path / name, cat(index))
    source = folders.folder(tmp_path)
    assert source.labels == ()
    assert {encoded.label for encoded in source.items()} == {0}


def test_classes_are_the_top_sub_folders_in_alphabetical_order(tmp_path):
    for index, name in enumerate(["y/deep/a.png", "x/a.png", "x/b.png"]):
        pictures.write_png(tmp_path / name, cat(index))
    source = folders.folder(tmp_path)
    assert source.labels == ("x", "y")
    assert {encoded.name: encoded.label for encoded in source.items()} == {"x/a.png": 0, "x/b.png": 0, "y/deep/a.png": 1}


def test_built_in_digits_need_no_files():
    source = sources.open_source("digits", None)
    assert (source.count, len(source.labels), source.size, source.channels) == (1797, 10, 8, 1)
    first = next(source.items())
    assert pictures.decode(first.data, source.size, source.channels).shape == (8, 8, 1)


def test_names_that_are_not_utf8_are_read(tmp_path, capsys):
    for index in range(30):
        pictures.write_png(tmp_path / f"{index}.png", cat(index))
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


def test_mnist_is_given_as_arrays(shared):
    (train, train_labels), (test, _) = load_data("mnist", str(shared / "tfds"))
    assert train.shape == (60_000, 28, 28, 1)
    assert test.shape == (10_000, 28, 28, 1)
    assert set(train_labels) == set(range(10))


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


@pytest.fixture
def kaggle(tmp_path, folder, monkeypatch):
    """A stand-in for kagglehub: the 150 pictures of `folder` are what is downloaded, and what is expected."""
    faces = tmp_path / "downloaded" / "cats" / "cats"
    shutil.copytree(folder, faces)
    shutil.copy(faces / "1.png", faces / "150.png")
    stand_in = types.ModuleType("kagglehub")
    stand_in.asked = []
    stand_in.dataset_download = lambda handle: stand_in.asked.append(handle) or str(tmp_path / "downloaded")
    monkeypatch.setitem(sys.modules, "kagglehub", stand_in)
    monkeypatch.setattr(public_cats, "FILES", 151)
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kaggle"))
    monkeypatch.setenv("KERAS_AE_CACHE", str(tmp_path / "cache"))
    known = {name: hashlib.sha256((faces / name).read_bytes()).hexdigest() for name in ("3.png", "9.png")}
    monkeypatch.setattr(public_cats, "DIGESTS", known)
    stand_in.faces = faces
    return stand_in


@pytest.mark.parametrize("name", ["cats", "cat_faces"])
def test_real_cats_come_by_name_and_their_copies_are_counted(kaggle, name):
    faces = pipeline.load(*pipeline.resolve("synthetic_cats", name), size=16)
    assert kaggle.asked == ["spandan2/cats-faces-64x64-for-generative-models"]
    assert faces.n_train + faces.n_test == 150
    assert "151 images - 1 byte-for-byte copies = 150 distinct images" in faces.summary[0]


def test_the_second_time_nobody_asks_kaggle_unless_the_files_are_damaged(kaggle, monkeypatch):
    first = pipeline.load("cat_faces", size=16)
    with monkeypatch.context() as offline:
        offline.setitem(sys.modules, "kagglehub", None)
        assert pipeline.load("cat_faces", size=16).summary == first.summary
    damaged = kaggle.faces / "9.png"
    damaged.write_bytes(b"")
    with pytest.raises(UserError, match="9.png is missing or not the file"):
        pipeline.load("cat_faces", size=16)
    assert len(kaggle.asked) == 2


def test_a_folder_called_cats_is_a_folder(tmp_path, monkeypatch):
    (tmp_path / "cats").mkdir()
    monkeypatch.chdir(tmp_path)
    assert pipeline.resolve("synthetic_cats", "cats") == ("folder", "cats")


def test_a_download_that_is_not_what_was_expected_says_what_to_do(kaggle):
    ways = r"download https://www.kaggle.com/\S+ in a browser, unpack it, and name its folder with --data FOLDER"
    (kaggle.faces / "9.png").write_bytes((kaggle.faces / "3.png").read_bytes())
    with pytest.raises(UserError, match=rf"9.png is missing or not the file that was expected; {ways}"):
        pipeline.load("cat_faces")
    (kaggle.faces / "9.png").unlink()
    with pytest.raises(UserError, match=rf"150 pictures came, 151 were expected; {ways}"):
        pipeline.load("cat_faces")


def test_no_network_and_no_kagglehub_are_one_line(kaggle, monkeypatch):
    def offline(handle):
        raise ConnectionError("no route to www.kaggle.com\nsecond line")

    kaggle.dataset_download = offline
    with pytest.raises(UserError, match=r"^cannot download the cat faces: no route to www.kaggle.com; download https"):
        pipeline.load("cat_faces")
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(UserError, match=r"pip install 'keras_ae\[cats\]'"):
        pipeline.load("cat_faces")


def test_the_expected_digests_are_those_of_the_public_files(shared):
    present = {name: digest for name, digest in public_cats.DIGESTS.items() if (shared / "cat_faces" / name).exists()}
    assert len(present) >= 3
    for name, digest in present.items():
        assert hashlib.sha256((shared / "cat_faces" / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize(
    ("name", "picture", "shape", "classes"),
    [
        ("cifar10", (32, 32, 3), (32, 32, 3), 10),
        ("fashion_mnist", (28, 28, 1), (28, 28, 1), 10),
        ("celeb_a", (218, 178, 3), (64, 64, 3), 0),
        ("oxford_iiit_pet", (90, 120, 3), (64, 64, 3), 37),
    ],
)
def test_data_sets_by_name_have_sensible_sizes(name, picture, shape, classes, monkeypatch):
    """The real builders of tensorflow-datasets with pictures of noise."""
    rng = np.random.default_rng(0)

    class Listed(list):
        def skip(self, count):
            return self[count:]

    def streamed(builder, split, **_):
        pixels = [rng.integers(0, 256, picture, "uint8") for _ in range(4)]
        return Listed(
            {"image": builders.encoded(each), "label": number % max(1, classes)} for number, each in enumerate(pixels)
        )

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", lambda builder, **_: None)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "as_dataset", streamed)
    monkeypatch.setattr(tfds, "as_numpy", lambda dataset: dataset)
    splits = {side: types.SimpleNamespace(num_examples=4, filepaths=[], shard_lengths=[]) for side in ("train", "test")}
    monkeypatch.setattr(tfds.core.DatasetInfo, "splits", property(lambda info: splits))
    images_of = pipeline.load(*pipeline.resolve("synthetic_cats", name))
    assert images_of.shape == shape
    assert len(images_of.labels) == classes
    assert images_of.n_train == 4


def test_faces_are_cropped_around_their_middle():
    picture = np.zeros((218, 178, 3), "uint8")
    picture[35:183, 15:163] = 200
    assert (pictures.decode(builders._middle(builders.encoded(picture), 148), 148, 3) == 200).all()


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
