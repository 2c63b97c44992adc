import json
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_ae.data import copies, pipeline, records
from keras_ae.data.drawn_cats import draw
from keras_ae.data.drawn_cats import sample_factors
from keras_ae.data.thumbnails import thumbnail
from keras_ae.data.tasks import Variation, _warped
from keras_ae.errors import UserError
from keras_ae.files import locked
from keras_ae.images import pictures

ROOT = Path(__file__).parents[1]


def cat(index, size=24):
    return draw(sample_factors(3, index), size)


def files_of(image_set, side):
    """Names and digests of the files of a side, in the order of the records."""
    with np.load(image_set.train[0].parent / "index.npz") as columns:
        names, ends = columns["names"].tobytes(), columns["name"]
        return [
            (names[ends[i] : ends[i + 1]].decode(), columns["digest"][i].tobytes().hex())
            for i in np.flatnonzero(columns["test"] == (side == "test"))
        ]


def digests(image_set, side):
    return {digest for _, digest in files_of(image_set, side)}


def sides_of_names(image_set):
    return {name: side for side in ("train", "test") for name, _ in files_of(image_set, side)}


@pytest.fixture
def image_set(folder):
    return pipeline.load("folder", str(folder), size=16)


def test_a_folder_becomes_batches_in_range(image_set):
    assert image_set.shape == (16, 16, 3)
    assert image_set.n_train + image_set.n_test == 150
    batches = list(pipeline.batches(image_set, "train", 32))
    assert sum(len(batch["images"]) for batch in batches) == image_set.n_train
    assert batches[0]["images"].shape == (32, 16, 16, 3)
    assert np.min(batches[0]["images"]) >= -1
    assert np.max(batches[0]["images"]) <= 1
    assert np.ptp(batches[0]["images"]) > 1


def test_pixels_survive_the_cache(image_set, folder):
    name, _ = files_of(image_set, "train")[0]
    np.testing.assert_array_equal(
        pictures.to_uint8(pipeline.examples(image_set, "train", 1))[0], pictures.read(folder / name, 16)
    )


def test_the_split_depends_on_contents_alone(tmp_path, folder, image_set):
    for path in folder.iterdir():
        shutil.copy(path, tmp_path / f"other-{200 - int(path.stem)}.png")
    renamed = pipeline.load("folder", str(tmp_path), size=16)
    assert renamed.fingerprint == image_set.fingerprint
    assert digests(renamed, "test") == digests(image_set, "test")


def test_new_images_do_not_move_old_ones(tmp_path, folder, image_set):
    shutil.copytree(folder, tmp_path / "more")
    for index in range(1000, 1020):
        pictures.write_png(tmp_path / "more" / f"{index}.png", cat(index))
    more = pipeline.load("folder", str(tmp_path / "more"), size=16)
    assert digests(image_set, "test") <= digests(more, "test")
    assert digests(image_set, "train") <= digests(more, "train")


def test_copies_are_used_once_and_near_copies_are_on_one_side(tmp_path):
    for index in range(60):
        pictures.write_png(tmp_path / f"{index}.png", cat(index, 64))
    for index in range(20):
        shutil.copy(tmp_path / f"{index}.png", tmp_path / f"copy-{index}.png")
        image = Image.open(tmp_path / f"{index}.png")
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / f"mirror-{index}.png")
        image.save(tmp_path / f"encoded-{index}.jpg", quality=85)
    image_set = pipeline.load("folder", str(tmp_path), size=32)
    assert image_set.n_train + image_set.n_test == 100
    assert "120 images - 20 byte-for-byte copies = 100 distinct images; " in image_set.summary[0]
    sides = sides_of_names(image_set)
    for index in range(20):
        names = {f"{index}.png", f"copy-{index}.png", f"mirror-{index}.png", f"encoded-{index}.jpg"}
        assert len({sides[name] for name in names & set(sides)}) == 1


def test_about_a_tenth_is_held_out():
    random = np.random.default_rng(0)
    sides = [records.held_out(random.bytes(32).hex()) for _ in range(20_000)]
    assert 0.09 < np.mean(sides) < 0.11


def test_the_cache_is_reused_until_the_folder_changes(tmp_path, monkeypatch):
    for index in range(30):
        pictures.write_png(tmp_path / f"{index}.png", cat(index))
    first = pipeline.load("folder", str(tmp_path), size=16)
    written = first.train[0].stat().st_mtime_ns
    assert pipeline.load("folder", str(tmp_path), size=16).train[0].stat().st_mtime_ns == written
    (tmp_path / "0.png").unlink()
    changed = pipeline.load("folder", str(tmp_path), size=16)
    assert changed.n_train + changed.n_test == 29
    assert changed.fingerprint != first.fingerprint


def test_a_cache_that_a_process_uses_stays_when_the_folder_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_AE_CACHE", str(tmp_path / "cache"))
    for index in range(30):
        pictures.write_png(tmp_path / "cats" / f"{index}.png", cat(index))
    load = "import sys; from keras_ae.data.pipeline import load; print(load('folder', sys.argv[1], 16).train[0], flush=True)"
    words = [sys.executable, "-c", f"{load}; sys.stdin.read()", str(tmp_path / "cats")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        used = Path(process.stdout.readline().strip())
        for index in range(2):
            (tmp_path / "cats" / f"{index}.png").unlink()
            changed = subprocess.run([*words[:2], load, words[3]], capture_output=True, text=True, check=True).stdout.strip()
            assert changed != str(used)
            assert used.exists()
        # the first of the two changed caches is used by nobody
        assert len(list(used.parent.parent.glob("[!.]*"))) == 2
        process.communicate()
    (tmp_path / "cats" / "2.png").unlink()
    pipeline.load("folder", str(tmp_path / "cats"), 16)
    assert not used.exists()


def epochs_of(image_set, first_epoch, n, seed=0):
    steps = image_set.n_train // 32
    stream = iter(pipeline.training(image_set, 32, seed, first_epoch, Variation(flip=True)))
    return [np.stack([next(stream)["images"] for _ in range(steps)]) for _ in range(n)]


def test_epochs_differ_and_a_resumed_run_gets_the_same_ones(image_set):
    whole = epochs_of(image_set, 0, 3)
    resumed = epochs_of(image_set, 2, 1)
    assert np.array_equal(whole[2], resumed[0])
    assert not np.array_equal(whole[0], whole[1])
    assert not np.array_equal(whole[0], epochs_of(image_set, 0, 1, seed=1)[0])


@pytest.mark.parametrize("batch", [1, 3])
def test_half_of_the_images_of_odd_batches_are_mirrored_too(image_set, batch):
    plain, mirrored = (pipeline.training(image_set, batch, 0, 0, Variation(flip=flip)).take(40) for flip in (False, True))
    pairs = [(a["images"].numpy(), b["images"].numpy()) for a, b in zip(plain, mirrored, strict=True)]
    same = [np.array_equal(one, other) for a, b in pairs for one, other in zip(a, b, strict=True)]
    assert len(same) == 40 * batch
    assert sum(same) == 20 * batch


def test_shifts_move_whole_batches_by_few_pixels_and_are_reproducible(image_set):
    plain, one, other = (
        [batch["images"].numpy() for batch in pipeline.training(image_set, 32, 0, 0, Variation(shift=shift)).take(12)]
        for shift in (0, 2, 2)
    )
    assert all(np.array_equal(first, second) for first, second in zip(one, other, strict=True))
    found = set()
    for whole, moved in zip(plain, one, strict=True):
        inside = moved[:, 2:-2, 2:-2]
        offsets = [(y, x) for y in range(5) for x in range(5) if np.array_equal(whole[:, y : y + 12, x : x + 12], inside)]
        assert len(offsets) == 1
        found.update(offsets)
    assert len(found) > 3


def varied(image_set, **variation):
    return [batch["images"].numpy() for batch in pipeline.training(image_set, 32, 0, 0, Variation(**variation)).take(4)]


def test_each_image_is_moved_enlarged_and_turned_by_its_own_amounts(image_set):
    plain, one, again = (varied(image_set, **how) for how in ({}, *[{"shift": 1.5, "scale": 0.1, "rotation": 10}] * 2))
    assert all(np.array_equal(first, second) for first, second in zip(one, again, strict=True))
    differences = np.abs(np.concatenate(plain) - np.concatenate(one)).mean(axis=(1, 2, 3))
    assert (differences > 0).all()
    assert differences.max() > 3 * differences.min()
    assert np.concatenate(one).min() >= -1
    assert np.concatenate(one).max() <= 1


def test_a_warp_turns_and_enlarges_around_the_centre():
    side = 17
    images = np.zeros((1, side, side, 1), "uint8")
    images[0, 8, 8] = 200
    turned = _warped(images, Variation(rotation=180, scale=0.5), [0, 0])
    assert np.unravel_index(np.argmax(turned[0, ..., 0]), (side, side)) == (8, 8)
    # a line through the centre, seen at the end of its turn, keeps the distance of its points from the centre
    images[0, 8, 8], images[0, 8, 14] = 0, 200
    seed = [3, 4]
    turned = _warped(images, Variation(rotation=180), seed)
    row, column = np.unravel_index(np.argmax(turned[0, ..., 0]), (side, side))
    assert np.hypot(row - 8, column - 8) == pytest.approx(6, abs=0.8)
    assert (row, column) != (8, 14)


def test_a_shift_of_part_of_a_pixel_interpolates(image_set):
    whole, part = (np.concatenate(varied(image_set, shift=shift)) for shift in (1, 0.5))
    assert len(np.unique(np.round((whole + 1) * 127.5, 3))) <= 256 < len(np.unique(np.round((part + 1) * 127.5, 3)))


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


def test_an_epoch_contains_each_image_at_most_once_and_half_of_them_mirrored(image_set):
    originals = np.concatenate([batch["images"] for batch in pipeline.batches(image_set, "train", 32)])
    seen = np.concatenate(epochs_of(image_set, 0, 1)[0])
    same = [int(np.argmin(np.abs(originals - image).max(axis=(1, 2, 3)))) for image in seen]
    mirrored = [int(np.argmin(np.abs(originals[:, :, ::-1] - image).max(axis=(1, 2, 3)))) for image in seen]
    as_they_are = [np.array_equal(originals[index], image) for index, image in zip(same, seen, strict=True)]
    found = [first if plain else second for first, second, plain in zip(same, mirrored, as_they_are, strict=True)]
    assert len(set(found)) == len(seen)
    assert sum(as_they_are) == len(seen) // 2


def test_a_few_damaged_files_are_skipped_and_named(tmp_path, capsys):
    for index in range(60):
        pictures.write_png(tmp_path / f"{index}.png", cat(index))
    (tmp_path / "words.jpg").write_text("words")
    image_set = pipeline.load("folder", str(tmp_path), size=16)
    assert image_set.n_train + image_set.n_test == 60
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    assert len(warnings) == 1
    assert "1 damaged of 61" in warnings[0]
    assert "words.jpg (not a picture file;" in warnings[0]


def test_the_numbers_of_the_summary_add_up(tmp_path):
    for index in range(60):
        pictures.write_png(tmp_path / f"{index}.png", cat(index))
    for index in range(7):
        shutil.copy(tmp_path / f"{index}.png", tmp_path / f"copy-{index}.png")
    # the copy of a damaged file is damaged, too
    for name in ("words.jpg", "same words.jpg", "other words.jpg"):
        (tmp_path / name).write_text(name[:5])
    image_set = pipeline.load("folder", str(tmp_path), size=16)
    removed, used = r"(\d+) images - (\d+) damaged - (\d+) byte-for-byte copies", r"(\d+) training \+ (\d+) held out"
    match = re.match(rf".*: {removed} = (\d+) distinct images; {used}", image_set.summary[0])
    files, damaged, repeated, distinct, train, test = map(int, match.groups())
    assert (files, damaged, repeated, distinct) == (70, 3, 7, 60)
    assert files - damaged - repeated == distinct == train + test
    assert (train, test) == (image_set.n_train, image_set.n_test)


def test_the_summary_of_a_clean_data_set_is_short(image_set):
    expected = f"cats: 150 images; {image_set.n_train} training + {image_set.n_test} held out"
    assert image_set.summary[0].startswith(expected)


def test_too_many_damaged_files_stop(tmp_path):
    for index in range(10):
        pictures.write_png(tmp_path / f"{index}.png", cat(index))
    (tmp_path / "words.jpg").write_text("words")
    with pytest.raises(UserError, match=r"1 of 11 files .* damaged, more than 5 %: words.jpg"):
        pipeline.load("folder", str(tmp_path), size=16)


def test_damaged_files_that_are_copies_of_each_other_all_count(tmp_path):
    for index in range(10):
        pictures.write_png(tmp_path / f"{index}.png", cat(index))
        (tmp_path / f"empty-{index}.png").touch()
    with pytest.raises(UserError, match="10 of 20 files"):
        pipeline.load("folder", str(tmp_path), size=16)


def test_partial_folders_of_killed_processes_are_removed(tmp_path, folder, monkeypatch):
    monkeypatch.setenv("KERAS_AE_CACHE", str(tmp_path))
    made = pipeline.load("folder", str(folder), size=16).train[0].parent
    left = made.with_name(f".{made.name}.partial-1")
    made.rename(left)
    pipeline.load("folder", str(folder), size=16)
    assert made.exists()
    assert not left.exists()


def test_a_cache_that_another_process_prepares_is_waited_for(tmp_path, folder, monkeypatch, capsys):
    monkeypatch.setenv("KERAS_AE_CACHE", str(tmp_path))
    made = pipeline.load("folder", str(folder), size=16).train[0].parent
    shutil.rmtree(made)
    ready = threading.Event()

    def other():
        with locked(made.with_name(f".{made.name.rpartition('-')[0]}.lock"), "busy"):
            ready.set()
            time.sleep(0.3)

    thread = threading.Thread(target=other)
    thread.start()
    assert ready.wait(30)
    pipeline.load("folder", str(folder), size=16)
    thread.join()
    assert capsys.readouterr().err.count("waiting: another process is preparing cats\n") == 1


@pytest.mark.parametrize("name", ["index.json", "index.npz", "stamp", "train-000-of-001.tfrecord", "test-000-of-001.tfrecord"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "changed"])
def test_a_damaged_cache_is_built_again_with_one_line(tmp_path, folder, monkeypatch, capsys, name, damage):
    monkeypatch.setenv("KERAS_AE_CACHE", str(tmp_path))
    before = pipeline.load("folder", folder, size=16)
    path = before.train[0].parent / name
    contents = path.read_bytes()
    flipped = contents[:-3] + bytes([contents[-3] ^ 1]) + contents[-2:]
    changed = {"empty": b"", "cut": contents[: len(contents) // 2], "changed": flipped}
    path.unlink() if damage == "missing" else path.write_bytes(changed[damage])
    capsys.readouterr()
    after = pipeline.load("folder", folder, size=16)
    assert after == before
    assert path.read_bytes() == contents
    lines = [line for line in capsys.readouterr().err.splitlines() if "decoding" not in line and line.strip()]
    assert lines == [f"the cache of {folder.name} is damaged; it is built again"]


def test_a_cache_of_an_earlier_version_is_built_again_with_one_line(tmp_path, folder, monkeypatch, capsys):
    monkeypatch.setenv("KERAS_AE_CACHE", str(tmp_path))
    before = pipeline.load("folder", folder, size=16)
    stamp = before.train[0].parent / "stamp"
    current = stamp.read_text()
    stamp.write_text(f"5 {current.partition(' ')[2]}")
    capsys.readouterr()
    assert pipeline.load("folder", folder, size=16) == before
    assert stamp.read_text() == current
    lines = [line for line in capsys.readouterr().err.splitlines() if "decoding" not in line and line.strip()]
    assert lines == [f"the cache of {folder.name} is of an earlier version; it is built again"]
    files = sorted(path.name for path in stamp.parent.glob("[!.]*"))
    assert files == ["index.json", "index.npz", "stamp", "test-000-of-001.tfrecord", "train-000-of-001.tfrecord"]


@pytest.mark.parametrize("size", [10, 7, 62, 96, 512, 4])
def test_impossible_sizes_are_refused(folder, size):
    with pytest.raises(UserError, match="not supported; set data.size to a power of two"):
        pipeline.load("folder", str(folder), size=size)


def test_the_real_cat_faces_do_not_leak(shared):
    faces = pipeline.load("folder", str(shared / "cat_faces"))
    assert not digests(faces, "train") & digests(faces, "test")
    assert 0.08 < faces.n_test / (faces.n_train + faces.n_test) < 0.12
    assert "14,208 images - 5,819 byte-for-byte copies = 8,389 distinct images" in faces.summary[0]
    card = json.loads((ROOT / "exported" / "cats" / "card.json").read_text())
    assert faces.fingerprint == card["data"]["fingerprint"]

    def thumbnails(side):
        pixels = [pictures.to_uint8(batch["images"]) for batch in pipeline.batches(faces, side, 256)]
        return np.stack([thumbnail(image) for image in np.concatenate(pixels)])

    train, test = thumbnails("train"), thumbnails("test")
    across = [(a, b) for a, b in copies.near_pairs(np.concatenate([train, test])) if a < len(train) <= b]
    assert across == []
