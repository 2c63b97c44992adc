"""Data sets of tensorflow-datasets that are streamed from their own files, and what lies in Google Cloud Storage."""

import os
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from etils.epath import gpath
from etils.epath.testing import mock_epath

from keras_ae import train
from keras_ae.data import pipeline, rows, sources
from keras_ae.data.sets.cat_drawing import draw
from keras_ae.data.sets.cat_factors import sample_factors
from keras_ae.errors import UserError

N, SHARDS = 90, 12
BUCKET = "gs://bucket"


def prepared(folder, name, splits, shards=SHARDS):
    """Have tensorflow-datasets prepare N drawn cats below `folder`, in many files, as its Beam pipelines do."""

    def features(self):
        described = {"image": tfds.features.Image(shape=(24, 24, 3)), "label": tfds.features.ClassLabel(names=["even", "odd"])}
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(described))

    def examples(self, split):
        for index in range(N):
            number = index + N * splits.index(split)
            yield number, {"image": draw(sample_factors(3, number), 24), "label": number % 2}

    methods = {"VERSION": tfds.core.Version("1.0.0"), "_info": features, "_generate_examples": examples}
    methods["_split_generators"] = lambda self, _: {split: self._generate_examples(split) for split in splits}
    # a name that is found by its files alone, as in another process
    with tfds.core.registered.skip_registration():
        kind = type(name, (tfds.core.GeneratorBasedBuilder,), methods | {"pkg_dir_path": folder, "name": name})
        builder = kind(data_dir=folder)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=shards))


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    prepared(folder, "one_split", ["train"])
    prepared(folder, "few_files", ["train"], 3)
    prepared(folder, "two_splits", ["train", "test"], 2)
    return folder


@pytest.fixture
def streaming(monkeypatch, tmp_path):
    """Every data set is large."""
    monkeypatch.setenv("KERAS_AE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(pipeline, "STREAMED", 0)
    return tmp_path / "cache"


def contents(image_set, side):
    """(image as uint8, label) of each image of a side, in its order."""
    found = []
    for batch in pipeline.batches(image_set, side, 16):
        found += list(zip(np.rint((batch["images"] + 1) * 127.5).astype("uint8"), batch["label"].numpy(), strict=True))
    return found


def by_bytes(found):
    return sorted((image.tobytes(), label) for image, label in found)


@pytest.mark.parametrize("name", ["one_split", "two_splits"])
def test_a_streamed_set_has_the_images_of_one_that_is_copied(data_dir, streaming, monkeypatch, name):
    assert pipeline.resolve(name, str(data_dir)) == (name, str(data_dir))
    streamed = pipeline.load(name, str(data_dir))
    assert streamed.streamed
    assert not streaming.exists()
    assert "streamed as they are; copies are not looked for" in streamed.summary[0]
    found = {side: contents(streamed, side) for side in ("train", "test")}
    assert (len(found["train"]), len(found["test"])) == (streamed.n_train, streamed.n_test)
    assert streamed.labels == ("even", "odd")
    monkeypatch.setattr(pipeline, "STREAMED", 10**10)
    copied = pipeline.load(name, str(data_dir))
    assert not copied.streamed
    assert copied.fingerprint != streamed.fingerprint
    everything = {side: contents(copied, side) for side in ("train", "test")}
    if name == "two_splits":
        assert {side: by_bytes(images) for side, images in found.items()} == {
            side: by_bytes(images) for side, images in everything.items()
        }
    else:
        assert 0.05 < streamed.n_test / N < 0.25
        assert by_bytes(found["train"] + found["test"]) == by_bytes(everything["train"] + everything["test"])


def test_a_set_of_few_files_without_a_test_split_is_copied(data_dir, streaming):
    assert not pipeline.load("few_files", str(data_dir)).streamed


def test_streamed_images_are_resized_as_files_are(data_dir, streaming, monkeypatch):
    streamed = pipeline.load("two_splits", str(data_dir), 16, 3)
    monkeypatch.setattr(pipeline, "STREAMED", 10**10)
    copied = contents(pipeline.load("two_splits", str(data_dir), 16, 3), "test")
    for image, _ in contents(streamed, "test"):
        differences = [np.abs(image.astype(int) - other) for other, _ in copied]
        nearest = min(differences, key=np.mean)
        # Pillow rounds and clips between the two directions
        assert nearest.mean() < 0.5
        assert nearest.max() < 8


def test_epochs_of_a_streamed_set_are_shuffled_and_resumed(data_dir, streaming):
    streamed = pipeline.load("one_split", str(data_dir))
    steps = streamed.n_train // 16

    def epochs(first, n):
        stream = iter(pipeline.training(streamed, 16, 0, first))
        return [np.concatenate([next(stream)["images"] for _ in range(steps)]) for _ in range(n)]

    whole = epochs(0, 3)
    assert np.array_equal(epochs(2, 1)[0], whole[2])
    assert not np.array_equal(whole[0], whole[1])
    assert len({image.tobytes() for image in whole[0]}) == steps * 16


def test_replicas_share_the_rows_of_a_streamed_set(data_dir, streaming):
    streamed = pipeline.load("two_splits", str(data_dir))
    whole = [batch["images"].numpy() for batch in pipeline.batches(streamed, "test", 89)]
    # the last batch has no row for the second replica
    parts = [list(pipeline.batches(streamed, "test", 89, share=rows.Share(replica, 1, 2))) for replica in range(2)]
    for number, images in enumerate(whole):
        for replica in range(2):
            assert np.array_equal(parts[replica][number]["images"], images[replica::2])


def test_a_streamed_set_trains(data_dir, streaming, tiny, tmp_path, capsys):
    run, few = tmp_path / "run", ["--set", "training.epochs=1"]
    train.main([str(tiny), "--set", "data.name=one_split", "--data", str(data_dir), "--out", str(run), *few])
    assert (run / "metrics.json").exists()
    assert "streamed as they are" in capsys.readouterr().out


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    """A folder that stands in for gs://bucket."""
    # with TensorFlow, epath reads buckets through it, past the stand-in
    monkeypatch.setattr(gpath, "_is_tf_installed", lambda: False)
    root = tmp_path / "bucket"
    root.mkdir()

    def local(path):
        return str(path).replace(BUCKET, str(root))

    def at(function, path, *arguments, **options):
        return function(local(path), *arguments, **options)

    def back(paths):
        return [str(path).replace(str(root), BUCKET) for path in paths]

    def walk(function, path, **options):
        for folder, folders, files in function(local(path), **options):
            yield back([folder])[0], folders, files

    names = ("open", "exists", "isdir", "listdir", "stat")
    with mock_epath(**dict.fromkeys(names, at), glob=lambda function, path: back(function(local(path))), walk=walk):
        yield root


def test_a_folder_of_a_bucket_is_read_as_a_local_one(bucket, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_AE_CACHE", str(tmp_path / "cache"))
    for number, path in enumerate(sorted(folder.iterdir())):
        (bucket / "cats" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, bucket / "cats" / "ab"[number % 2])
    (bucket / "cats" / ".hidden").mkdir()
    shutil.copy(path, bucket / "cats" / ".hidden")
    (bucket / "cats" / "words.txt").write_text("words")
    assert pipeline.resolve("synthetic_cats", f"{BUCKET}/cats") == ("folder", f"{BUCKET}/cats")
    remote = pipeline.load("folder", f"{BUCKET}/cats", 16)
    local = pipeline.load("folder", str(bucket / "cats"), 16)
    assert remote.fingerprint == local.fingerprint
    assert remote.summary == local.summary
    assert remote.labels == ("a", "b")
    assert [source.name for source in sources.open_source("folder", f"{BUCKET}/cats/").items(148)] == [
        source.name for source in sources.open_source("folder", bucket / "cats").items(148)
    ]


def test_a_changed_bucket_is_prepared_again(bucket, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_AE_CACHE", str(tmp_path / "cache"))
    paths = sorted(folder.iterdir())
    for path in paths[:20]:
        shutil.copy(path, bucket)
    assert sum(vars(pipeline.load("folder", BUCKET, 16))[name] for name in ("n_train", "n_test")) == 20
    shutil.copy(paths[20], bucket)
    assert sum(vars(pipeline.load("folder", BUCKET, 16))[name] for name in ("n_train", "n_test")) == 21


def test_a_bucket_without_pictures_is_one_line(bucket):
    with pytest.raises(UserError, match=f"no picture files in {BUCKET}"):
        pipeline.load("folder", BUCKET, 16)


def test_a_bucket_that_cannot_be_read_is_one_line(bucket, tiny, fails, tmp_path):
    shutil.rmtree(bucket)
    with pytest.raises(UserError, match=f"cannot read {BUCKET}: .*No such file"):
        pipeline.load("folder", BUCKET, 16)


def test_a_prepared_set_in_a_bucket_is_found(bucket, data_dir):
    shutil.copytree(data_dir / "two_splits", bucket / "tfds" / "two_splits")
    assert pipeline.resolve("two_splits", f"{BUCKET}/tfds") == ("two_splits", f"{BUCKET}/tfds")
    source = sources.open_source("two_splits", f"{BUCKET}/tfds")
    assert source.count == 2 * N
    assert all(path.startswith(f"{BUCKET}/tfds/two_splits/1.0.0/") for path, _ in source.files["train"])


@pytest.mark.parametrize("place", ["s3://bucket/cats", "az://bucket/cats", "https://example.org/cats"])
def test_other_remote_places_are_one_line(tiny, fails, tmp_path, place):
    line = fails(train.main, tiny, "--data", place, "--out", tmp_path / "run")
    assert f"cannot read {place}: local folders and gs:// work; mount it as a folder, or copy it" in line


@pytest.mark.parametrize("place", ["s3://bucket/run", f"{BUCKET}/run"])
def test_runs_are_local(tiny, folder, fails, place):
    assert "local" in fails(train.main, tiny, "--data", folder, "--out", place)
    assert not os.path.exists(place.partition("//")[0])


def test_a_bucket_is_no_local_folder_of_pictures_for_other_commands():
    from keras_ae.images import pictures

    with pytest.raises(UserError, match="it is not a local folder; mount it as a folder, or copy it"):
        pictures.find(f"{BUCKET}/cats")
