import json
import os
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from keras_ae.data import copies, records
from keras_ae.data import pipeline as data
from keras_ae.data.sets.cat_drawing import draw, sample_factors
from keras_ae.errors import UserError
from keras_ae.media import images


def cat(index, size=24):
    return draw(sample_factors(3, index), size)


def index_of(pictures):
    return json.loads((pictures.train.parent / "index.json").read_text())


def digests(pictures, side):
    return {digest for _, digest in index_of(pictures)["files"][side]}


def sides_of_names(pictures):
    return {name: side for side, files in index_of(pictures)["files"].items() for name, _ in files}


@pytest.fixture
def pictures(folder):
    return data.load("folder", str(folder), size=16)


def test_a_folder_becomes_batches_in_range(pictures):
    assert pictures.shape == (16, 16, 3)
    assert pictures.n_train + pictures.n_test == 150
    batches = list(data.batches(pictures, "train", 32))
    assert sum(len(batch["image"]) for batch in batches) == pictures.n_train
    assert batches[0]["image"].shape == (32, 16, 16, 3)
    assert np.min(batches[0]["image"]) >= -1
    assert np.max(batches[0]["image"]) <= 1
    assert np.ptp(batches[0]["image"]) > 1


def test_pixels_survive_the_cache(pictures, folder):
    name, _ = index_of(pictures)["files"]["train"][0]
    np.testing.assert_array_equal(images.to_uint8(data.examples(pictures, "train", 1))[0], images.read(folder / name, 16))


def test_the_split_depends_on_contents_alone(tmp_path, folder, pictures):
    for path in folder.iterdir():
        shutil.copy(path, tmp_path / f"other-{200 - int(path.stem)}.png")
    renamed = data.load("folder", str(tmp_path), size=16)
    assert renamed.fingerprint == pictures.fingerprint
    assert digests(renamed, "test") == digests(pictures, "test")


def test_new_pictures_do_not_move_old_ones(tmp_path, folder, pictures):
    shutil.copytree(folder, tmp_path / "more")
    for index in range(1000, 1020):
        images.write_png(tmp_path / "more" / f"{index}.png", cat(index))
    more = data.load("folder", str(tmp_path / "more"), size=16)
    assert digests(pictures, "test") <= digests(more, "test")
    assert digests(pictures, "train") <= digests(more, "train")


def test_copies_are_used_once_and_near_copies_stay_on_one_side(tmp_path):
    for index in range(60):
        images.write_png(tmp_path / f"{index}.png", cat(index, 64))
    for index in range(20):
        shutil.copy(tmp_path / f"{index}.png", tmp_path / f"copy-{index}.png")
        image = Image.open(tmp_path / f"{index}.png")
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / f"mirror-{index}.png")
        image.save(tmp_path / f"encoded-{index}.jpg", quality=85)
    pictures = data.load("folder", str(tmp_path), size=32)
    assert pictures.n_train + pictures.n_test == 100
    assert "20 byte-for-byte copies" in pictures.summary[0]
    sides = sides_of_names(pictures)
    for index in range(20):
        names = {f"{index}.png", f"copy-{index}.png", f"mirror-{index}.png", f"encoded-{index}.jpg"}
        assert len({sides[name] for name in names & set(sides)}) == 1


def test_different_pictures_are_not_near_copies():
    thumbnails = np.stack([copies.thumbnail(cat(index, 64)) for index in range(200)])
    assert len(copies.near_pairs(thumbnails)) <= 2


def test_flat_pictures_are_not_one_group(tmp_path):
    flat = np.stack([copies.thumbnail(np.full((16, 16, 3), grey, "uint8")) for grey in range(200)])
    assert len(set(copies.groups(flat))) == 200


def test_a_crowd_of_look_alikes_is_not_one_group():
    random, frame = np.random.default_rng(0), cat(0, 32).astype(int)
    frames = [np.clip(frame + random.integers(-8, 9, frame.shape), 0, 255).astype("uint8") for _ in range(1500)]
    thumbnails = np.stack([copies.thumbnail(picture) for picture in [*frames, cat(1, 64), cat(1, 64)[:, ::-1]]])
    found = copies.groups(thumbnails)
    assert len(set(found[:1500])) == 1500
    assert found[1500] == found[1501]


def test_about_a_tenth_is_held_out():
    random = np.random.default_rng(0)
    sides = [records.held_out(random.bytes(32).hex()) for _ in range(20_000)]
    assert 0.09 < np.mean(sides) < 0.11


def test_the_cache_is_reused_until_the_folder_changes(tmp_path, monkeypatch):
    for index in range(30):
        images.write_png(tmp_path / f"{index}.png", cat(index))
    first = data.load("folder", str(tmp_path), size=16)
    written = first.train.stat().st_mtime_ns
    assert data.load("folder", str(tmp_path), size=16).train.stat().st_mtime_ns == written
    (tmp_path / "0.png").unlink()
    changed = data.load("folder", str(tmp_path), size=16)
    assert changed.n_train + changed.n_test == 29
    assert changed.fingerprint != first.fingerprint


def test_sub_folders_are_classes(tmp_path):
    for index in range(40):
        images.write_png(tmp_path / ("black" if index % 4 else "white") / f"{index}.png", cat(index))
    pictures = data.load("folder", str(tmp_path), size=16)
    assert pictures.labels == ("black", "white")
    labels = np.concatenate([batch["label"] for side in ("train", "test") for batch in data.batches(pictures, side, 8)])
    assert sorted(np.bincount(labels)) == [10, 30]


def epochs_of(pictures, first_epoch, n, seed=0):
    steps = pictures.n_train // 32
    stream = iter(data.training(pictures, 32, seed, first_epoch=first_epoch, flip=True))
    return [np.stack([next(stream)["image"] for _ in range(steps)]) for _ in range(n)]


def test_epochs_differ_and_a_resumed_run_sees_the_same_ones(pictures):
    whole = epochs_of(pictures, 0, 3)
    resumed = epochs_of(pictures, 2, 1)
    assert np.array_equal(whole[2], resumed[0])
    assert not np.array_equal(whole[0], whole[1])
    assert not np.array_equal(whole[0], epochs_of(pictures, 0, 1, seed=1)[0])


def test_shifts_move_whole_batches_by_few_pixels_and_repeat_themselves(pictures):
    plain, one, other = (
        [batch["image"].numpy() for batch in data.training(pictures, 32, 0, shift=shift).take(12)] for shift in (0, 2, 2)
    )
    assert all(np.array_equal(first, second) for first, second in zip(one, other, strict=True))
    found = set()
    for whole, moved in zip(plain, one, strict=True):
        inside = moved[:, 2:-2, 2:-2]
        offsets = [(y, x) for y in range(5) for x in range(5) if np.array_equal(whole[:, y : y + 12, x : x + 12], inside)]
        assert len(offsets) == 1
        found.update(offsets)
    assert len(found) > 3


def test_an_epoch_shows_each_picture_at_most_once_and_half_of_them_mirrored(pictures):
    originals = np.concatenate([batch["image"] for batch in data.batches(pictures, "train", 32)])
    seen = np.concatenate(epochs_of(pictures, 0, 1)[0])
    same = [int(np.argmin(np.abs(originals - image).max(axis=(1, 2, 3)))) for image in seen]
    mirrored = [int(np.argmin(np.abs(originals[:, :, ::-1] - image).max(axis=(1, 2, 3)))) for image in seen]
    as_they_are = [np.array_equal(originals[index], image) for index, image in zip(same, seen, strict=True)]
    found = [first if plain else second for first, second, plain in zip(same, mirrored, as_they_are, strict=True)]
    assert len(set(found)) == len(seen)
    assert sum(as_they_are) == len(seen) // 2


def test_a_few_damaged_files_are_skipped_and_named(tmp_path, capsys):
    for index in range(60):
        images.write_png(tmp_path / f"{index}.png", cat(index))
    (tmp_path / "words.jpg").write_text("words")
    pictures = data.load("folder", str(tmp_path), size=16)
    assert pictures.n_train + pictures.n_test == 60
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    assert len(warnings) == 1
    assert "1 damaged of 61" in warnings[0]
    assert "words.jpg (not a picture)" in warnings[0]


def test_too_many_damaged_files_stop(tmp_path):
    for index in range(10):
        images.write_png(tmp_path / f"{index}.png", cat(index))
    (tmp_path / "words.jpg").write_text("words")
    with pytest.raises(UserError, match=r"1 of 11 pictures .* damaged, more than 5 %: words.jpg"):
        data.load("folder", str(tmp_path), size=16)


def test_damaged_files_that_are_copies_of_each_other_all_count(tmp_path):
    for index in range(10):
        images.write_png(tmp_path / f"{index}.png", cat(index))
        (tmp_path / f"empty-{index}.png").touch()
    with pytest.raises(UserError, match="10 of 20 pictures"):
        data.load("folder", str(tmp_path), size=16)


def test_names_that_are_not_utf8_are_read(tmp_path, capsys):
    for index in range(30):
        images.write_png(tmp_path / f"{index}.png", cat(index))
    (tmp_path / "0.png").rename(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    with open(os.fsencode(tmp_path) + b"/broken \xe9.png", "wb") as file:
        file.write(b"words")
    pictures = data.load("folder", str(tmp_path), size=16)
    assert pictures.n_train + pictures.n_test == 30
    assert r"broken \xe9.png (not a picture)" in capsys.readouterr().err


def test_what_a_killed_process_left_is_removed(tmp_path, folder, monkeypatch):
    monkeypatch.setenv("KERAS_AE_CACHE", str(tmp_path))
    made = data.load("folder", str(folder), size=16).train.parent
    left = made.with_name(f".{made.name}.partial-1")
    made.rename(left)
    data.load("folder", str(folder), size=16)
    assert made.exists()
    assert not left.exists()


@pytest.mark.parametrize("size", [10, 7, 62, 96, 512, 4])
def test_impossible_sizes_are_refused(folder, size):
    with pytest.raises(UserError, match="not supported; set data.size to a power of two"):
        data.load("folder", str(folder), size=size)


def test_unknown_data_sets_are_refused_with_the_nearest_name():
    with pytest.raises(UserError, match="unknown data set 'mnsit'; did you mean mnist"):
        data.load("mnsit")


def test_mnist_keeps_its_size_its_sides_and_its_classes(shared):
    name, directory = data.resolve("mnist", str(shared / "tfds"))
    assert name == "mnist"
    digits = data.load(name, directory)
    assert digits.shape == (28, 28, 1)
    assert (digits.n_train, digits.n_test) == (60_000, 10_000)
    assert len(digits.labels) == 10
    batch = next(iter(data.batches(digits, "test", 100)))
    assert len(set(batch["label"].numpy())) == 10


def test_cat_faces_follow_the_files_they_are_asked_for(tmp_path, folder):
    for place, count in (("some", 20), ("more", 30)):
        for path in sorted(folder.iterdir())[:count]:
            inside = tmp_path / place / "Cat-faces-dataset" / path.name
            inside.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, inside)
        faces = data.load("cat_faces", str(tmp_path / place), size=16)
        assert faces.n_train + faces.n_test == count
    (tmp_path / "some" / "Cat-faces-dataset" / inside.name).write_bytes(inside.read_bytes())
    faces = data.load("cat_faces", str(tmp_path / "some"), size=16)
    assert faces.n_train + faces.n_test == 21


def test_cat_faces_without_files_say_what_to_put_where(tmp_path):
    with pytest.raises(UserError, match=r"put cats-faces-64x64-for-generative-models.zip or Cat-faces-dataset.zip there"):
        data.load("cat_faces", str(tmp_path))
    with pytest.raises(UserError, match=r"no data.directory was given"):
        data.load("cat_faces")


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
    faces = data.load("cat_faces", str(manual), size=16)
    assert faces.n_train + faces.n_test == 150


def test_the_real_cat_faces_do_not_leak(shared):
    faces = data.load("folder", str(shared / "cat_faces"))
    assert not digests(faces, "train") & digests(faces, "test")
    assert 0.08 < faces.n_test / (faces.n_train + faces.n_test) < 0.12
    assert "5,819 byte-for-byte copies" in faces.summary[0]

    def thumbnails(side):
        pixels = [images.to_uint8(batch["image"]) for batch in data.batches(faces, side, 256)]
        return np.stack([copies.thumbnail(picture) for picture in np.concatenate(pixels)])

    train, test = thumbnails("train"), thumbnails("test")
    across = [(a, b) for a, b in copies.near_pairs(np.concatenate([train, test])) if a < len(train) <= b]
    assert across == []
