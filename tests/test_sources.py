import hashlib
import os
import re
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from conftest import draw_cat
from PIL import Image

from keras_ae.data import pipeline, sources
from keras_ae.data.drawn_cats import draw, sample_factors
from keras_ae.errors import UserError
from keras_ae.images import pictures


def test_labels_are_those_of_the_files_and_names_need_not_be_utf8(tmp_path, capsys):
    for index in range(40):
        pictures.write_png(tmp_path / ("black" if index % 4 else "white") / f"{index}.png", draw_cat(index))
    (tmp_path / "white" / "0.png").rename(os.fsdecode(os.fsencode(tmp_path) + b"/white/caf\xe9.png"))
    with open(os.fsencode(tmp_path) + b"/black/broken \xe9.png", "wb") as file:
        file.write(b"words")
    image_set = pipeline.load("folder", str(tmp_path), size=16)
    assert r"broken \xe9.png (not a picture file;" in capsys.readouterr().err
    assert image_set.labels == ("black", "white")
    labels = np.concatenate([batch["label"] for side in ("train", "test") for batch in pipeline.batches(image_set, side, 8)])
    assert np.bincount(labels).tolist() == [30, 10]


@pytest.mark.parametrize(
    ("name", "directory", "message"),
    [
        ("folder", "s3://bucket/cats", "cannot read s3://bucket/cats: .* mount it as a folder, or copy it"),
        ("folder", None, "name it with `directory`"),
        ("folder", "/no/such", "no such folder"),
        ("mnsit", None, "unknown data set 'mnsit'; did you mean mnist"),
    ],
)
def test_what_cannot_be_read_is_one_line(name, directory, message):
    with pytest.raises(UserError, match=message):
        pipeline.load(name, directory)


def test_data_names_a_folder_or_a_data_set_and_folders_come_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sources.SOURCES, "mine", None)
    for directory, expected in {"cats": "cat_faces", "digits": "digits", "mine": "mine", "cifar10": "cifar10"}.items():
        assert pipeline.resolve("synthetic_cats", directory) == (expected, None)
    (tmp_path / "cats").mkdir()
    assert pipeline.resolve("synthetic_cats", "cats") == ("folder", "cats")
    assert pipeline.resolve("synthetic_cats", "/no/such") == ("folder", "/no/such")


def test_programs_add_sources(tmp_path, monkeypatch):
    encoded = [sources.Encoded(sources.encode_png(draw_cat(index)), index % 2) for index in range(20)]
    names = [str(index) for index in range(20)]
    source = sources.Source("mine", names, "1", lambda: iter(encoded), ("a", "b"), 24, 3)
    monkeypatch.setitem(sources.SOURCES, "mine", lambda directory: source)
    image_set = pipeline.load("mine")
    assert image_set.shape == (24, 24, 3)
    assert sum(np.bincount(image_set.classes[side], minlength=2) for side in ("train", "test")).tolist() == [10, 10]


@pytest.mark.parametrize(("name", "digest"), [("synthetic_cats", "1ab9222ed9381643"), ("simple_cats", "ba2a286eae3f1f07")])
def test_drawn_cats_are_a_data_set(name, digest, monkeypatch):
    """Their digests, and so the fingerprint, are those of the PNG files that tensorflow-datasets wrote."""
    monkeypatch.setattr(
        sources.drawn_cats,
        "draw_all",
        lambda cats, size: ((one, draw(one, size)) for one in (sample_factors(*cat) for cat in cats)),
    )
    source = sources.open_source(name, None)
    assert (len(source.names), source.names[-1]) == (9400, "test/999")
    assert (source.size, source.channels, source.labels[0]) == (64, 3, "solid")
    item = next(source.items())
    factors = sample_factors(0, 0, name == "simple_cats")
    assert (item.label, item.side) == (factors.pattern, "train")
    assert np.array_equal(pictures.decode(item.data, (64, 64, 3)), draw(factors, 64))
    assert hashlib.sha256(item.data).hexdigest().startswith(digest)
    # drawn as large as they are needed, not enlarged
    large = sources.open_source(name, None, 128)
    assert large.stamp != source.stamp
    assert np.array_equal(pictures.decode(next(large.items()).data, (128, 128, 3)), draw(factors, 128))


def test_mnist_keeps_its_size_its_sides_and_its_classes(shared):
    name, directory = pipeline.resolve("mnist", str(shared / "tfds"))
    assert name == "mnist"
    source = sources.open_source(name, directory)
    assert (len(source.names), source.size, source.channels, len(source.labels)) == (70_000, 28, 1, 10)
    assert source.names[59_999:60_001] == ["train/59999", "test/0"]
    item = next(source.items())
    assert item.side == "train" and pictures.decode(item.data, (28, 28, 1)).max() > 200


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
    monkeypatch.setattr(sources, "CAT_FILES", 151)
    monkeypatch.setenv("KERAS_AE_CACHE", str(tmp_path / "cache"))
    stand_in.faces = faces
    return stand_in


def test_real_cats_come_by_name_once_and_their_copies_are_counted(kaggle, monkeypatch):
    faces = pipeline.load(*pipeline.resolve("synthetic_cats", "cats"), size=16)
    assert kaggle.asked == ["spandan2/cats-faces-64x64-for-generative-models"]
    assert "cat_faces: 151 images - 1 byte-for-byte copies = 150 distinct images" in faces.summary[0]
    with monkeypatch.context() as offline:
        offline.setitem(sys.modules, "kagglehub", None)
        assert pipeline.load("cat_faces", size=16) == faces
    shutil.rmtree(kaggle.faces.parents[1])
    with pytest.raises(UserError, match="cannot download the cat faces: cannot read pictures from"):
        pipeline.load("cat_faces", size=16)
    assert len(kaggle.asked) == 2


def test_a_download_that_fails_or_is_not_what_was_expected_says_what_to_do(kaggle, monkeypatch):
    ways = r"download https://www.kaggle.com/\S+ in a browser, unpack it, and name its folder with `data`"
    (kaggle.faces / "150.png").unlink()
    with pytest.raises(UserError, match=rf"150 pictures came instead of 151; {ways}"):
        pipeline.load("cat_faces")

    def offline(handle):
        raise ConnectionError("no route to www.kaggle.com\nsecond line")

    kaggle.dataset_download = offline
    with pytest.raises(UserError, match=r"^cannot download the cat faces: no route to www.kaggle.com; download https"):
        pipeline.load("cat_faces")
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(UserError, match=r"pip install 'keras_ae\[cats\]'"):
        pipeline.load("cat_faces")


@pytest.mark.parametrize(
    ("name", "picture", "shape", "classes"),
    [("cifar10", (32, 32, 3), (32, 32, 3), 10), ("celeb_a", (218, 178, 3), (64, 64, 3), 0)],
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
            {"image": sources.encode_png(each), "label": number % max(1, classes)} for number, each in enumerate(pixels)
        )

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", lambda builder, **_: None)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "as_dataset", streamed)
    monkeypatch.setattr(tfds, "as_numpy", lambda dataset: dataset)
    splits = {side: types.SimpleNamespace(num_examples=4) for side in ("train", "test")}
    monkeypatch.setattr(tfds.core.DatasetInfo, "splits", property(lambda info: splits))
    images_of = pipeline.load(*pipeline.resolve("synthetic_cats", name))
    assert images_of.shape == shape
    assert len(images_of.labels) == classes
    assert images_of.n_train == 4


def test_faces_are_cropped_around_their_middle():
    picture = np.zeros((218, 178, 3), "uint8")
    picture[35:183, 15:163] = 200
    assert (pictures.decode(sources._encode(picture, 148), (148, 148, 3)) == 200).all()


def make_files(folder, names):
    """A picture for each name, such as "a/0.png"; of names with "=", the one after it; other files of other suffixes."""
    for index, name in enumerate(names):
        name, _, same = name.partition("=")
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if same:
            shutil.copy(folder / same, path)
        elif path.suffix in (".png", ".jpg"):
            pictures.write_png(path, draw_cat(index))
        else:
            path.write_text("words")


def numbered(folder, n):
    return [f"{folder}/{index}.png" for index in range(n)]


CLASSES = [*numbered("a", 20), *numbered("b", 20)]


@pytest.mark.parametrize(
    ("names", "labels", "said", "warnings"),
    [
        (["a.png", "b.png", "x.HEIC", "y.heic", "z.txt", "README"], (), "; not read: 2 .heic, 1 without a suffix, 1 .txt", []),
        (["a.png", "Thumbs.db", ".DS_Store", "desktop.ini", "__MACOSX/a.png", "@eaDir/a.png", ".cache/a.txt"], (), "", []),
        (["x/a.png", "x/b.png"], (), "", []),
        (
            ["c.png", "x/a.png", "y/b.png"],
            (),
            "",
            ["the sub-folders x, y are no classes, because of images beside them: c.png"],
        ),
        (["x/a.png", "x/b.png", "y/deep/a.png"], ("x", "y"), "", []),
        (["x/a.png", "y/a.png", "z/0.heic"], ("x", "y"), "; not read: 1 .heic", []),
        (["10/a.png", "9/a.png", "-1/a.png"], ("-1", "9", "10"), "", []),
        (["10/a.png", "9/a.png", "x/a.png"], ("10", "9", "x"), "", []),
        (["train/0.png", "val/0.png", "train/a.txt"], (), "; split as given by train/ and val/; not read: 1 .txt", []),
        (
            ["train/a/0.png", "train/b/0.png", "test/0.png", "Validation/b/0.png"],
            (),
            "; split as given by train/ and Validation/ and test/",
            ["the sub-folders a, b are no classes, because of images beside them: test/0.png"],
        ),
        (["train2017/a/0.png", "val2017/b/0.png"], ("a", "b"), "; split as given by train2017/ and val2017/", []),
        (
            ["train/0.png", "val/0.png", "x/0.png"],
            (),
            "; split as given by train/ and val/",
            ["images outside of train/ and val/ are left out: 1 (x/0.png)"],
        ),
        (["train/0.png", "other/0.png"], ("other", "train"), "", []),
    ],
)
def test_classes_and_the_split_of_a_folder_and_what_is_said_of_it(tmp_path, names, labels, said, warnings):
    make_files(tmp_path, names)
    source = sources.folder(tmp_path)
    assert (source.labels, source.said, list(source.warnings)) == (labels, said, warnings)
    for name, item in zip(source.names, source.items(), strict=True):
        assert item.data == str(tmp_path / name)
        assert not labels or labels[item.label] in Path(name).parts
        assert (item.side is None) == ("split" not in said)


@pytest.mark.parametrize(
    ("names", "sizes", "warning"),
    [
        (numbered("train", 30) + ["val/x.png=train/3.png", "test/0.png"], (30, 2), r"the sides: 1 \(train/3.png = val/x.png\)"),
        ([*CLASSES, "b/x.png=a/3.png"], None, r"several classes, of which the first counts: 1 \(a/3.png = b/x.png\)"),
    ],
)
def test_copies_across_sides_or_classes_are_warned_of(tmp_path, capsys, names, sizes, warning):
    make_files(tmp_path / "mine", names)
    image_set = pipeline.load("folder", str(tmp_path / "mine"), size=16)
    assert sizes in (None, (image_set.n_train, image_set.n_test))
    assert re.search(warning, capsys.readouterr().err)


def test_links_are_named(tmp_path, capsys):
    make_files(tmp_path / "mine", numbered(".", 40))
    (tmp_path / "mine" / "folder").symlink_to(tmp_path)
    (tmp_path / "mine" / "broken.png").symlink_to("nowhere.png")
    image_set = pipeline.load("folder", str(tmp_path / "mine"), size=16)
    assert image_set.summary[0].endswith("; not read: 1 linked folder folder")
    assert "skipped 1 damaged of 41 files: broken.png (a link to nothing)" in capsys.readouterr().err


def test_load_data_says_what_it_took(tmp_path, capsys, monkeypatch):
    make_files(tmp_path / "mnist", [*numbered("10", 5), *numbered("9", 5)])
    make_files(tmp_path, ["digits/0.png"])
    monkeypatch.chdir(tmp_path)
    (_, train_labels), (_, test_labels) = pipeline.load_data("mnist", size=16)
    assert sorted([*train_labels, *test_labels]) == [0] * 5 + [1] * 5
    lines = capsys.readouterr().err
    assert "the folder ./mnist is read, not a data set of that name" in lines and "; classes 9, 10\n" in lines
    assert len(pipeline.load_data("digits")[0][0]) > 1000
    assert capsys.readouterr().err.startswith("the data set digits is read, not the folder ./digits\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert pipeline.load("folder", "~/mnist", 16).n_test == pipeline.load("folder", "mnist", 16).n_test
    monkeypatch.setenv("KERAS_AE_CACHE", "~/cache")
    assert sources.cache_root() == tmp_path / "cache"
    (tmp_path / "cache").write_text("no folder")
    with pytest.raises(UserError, match=r"cannot write the cache .* name another folder in .* KERAS_AE_CACHE"):
        pipeline.load("folder", "mnist", 16)


def test_dark_files_of_16_bits_are_warned_of_and_scaled_and_files_of_8_bits_stay_as_they_are(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name in ("deep", "flat"):
        (tmp_path / name).mkdir()
        for index in range(20):
            values = rng.integers(0, 4096, (16, 16)).astype("uint16")
            Image.fromarray(values if name == "deep" else (values // 16).astype("uint8")).save(tmp_path / name / f"{index}.png")
    both = [(name, white) for name in ("deep", "flat") for white in (65535, 4095)]
    sets = {(name, white): pipeline.load("folder", tmp_path / name, 16, 1, white) for name, white in both}
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert re.match(r"warning: the brightest value of 16-bit files is 40\d\d of 65535, .* data.white = 4095 \(", lines[0])
    assert [int(image_set.images["train"].max() // 16) for image_set in sets.values()] == [1, 15, 15, 15]
    assert len({image_set.fingerprint for image_set in sets.values()}) == 3
    assert sets["flat", 65535].fingerprint == sets["flat", 4095].fingerprint
    pipeline.load("folder", tmp_path / "deep", 16, 1, 1023)
    assert "of 1023, so that they are too bright" in capsys.readouterr().err
    for white in (0, 65536, 0.5):
        with pytest.raises(UserError, match=r"`white` is the brightest value .* from 1 to 65535. Received: "):
            pipeline.load("folder", tmp_path / "deep", 16, 1, white)
