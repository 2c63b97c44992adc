"""How a data set is prepared: decoded, split, interrupted, damaged, replaced."""

import hashlib
import os
import shutil
import signal
import subprocess

import numpy as np
import pytest
from conftest import draw_cat, process
from PIL import Image

from keras_ae.data import cache, copies, pipeline, sources
from keras_ae.errors import UserError
from keras_ae.images import pictures

# of the folder `drawn`, as the first version of the cache had them: by size; and of images and labels in their order
FINGERPRINTS = {
    16: "5b6e570763cf01bed830ae30451c6d9712913e7edecc3aad5030da58851d7960",
    24: "82ea94e4acbacce0dcb95c10897e411e7ffcb69e1e13d89cf966c954f68f3701",
}
CONTENTS = "821f547080fda952860e5ea95256e76cb5976a0baec534c16d80ecb425de373c"


def save_cats(folder, indices):
    for index in indices:
        pictures.write_png(folder / f"{index}.png", draw_cat(index))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """173 files in two classes, 160 of them different pictures: BMP, whose bytes are the same with every version of Pillow."""
    folder = tmp_path_factory.mktemp("data") / "pictures"
    for name in "ab":
        (folder / name).mkdir(parents=True)
    for index in range(120):
        picture, place = Image.fromarray(draw_cat(index)), folder / "ab"[index % 2]
        picture.save(place / f"{index}.bmp")
        if index % 3 == 0:
            picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "b" / f"mirror-{index}.bmp")
        if index % 10 == 0:
            shutil.copy(place / f"{index}.bmp", folder / "a" / f"copy-{index}.bmp")
    (folder / "a" / "words.jpg").write_text("words")
    return folder


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_AE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def load(folder, size=24):
    return pipeline.load("folder", str(folder), size=size)


def name_sides(image_set):
    """{file name: "train" or "test"}."""
    with np.load(image_set.folder / "index.npz") as columns:
        names = columns["names"].tobytes().decode().split("\0")
        return dict(zip(names, np.where(columns["test"], "test", "train").tolist(), strict=True))


def read_digests(image_set, side):
    with np.load(image_set.folder / "index.npz") as columns:
        return {digest.tobytes() for digest in columns["digest"][columns["test"] == (side == "test")]}


def files_in(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def assert_as_the_first_version(image_set):
    """Split, order, pixels and labels are those of the first version of the package."""
    assert image_set.fingerprint == FINGERPRINTS[24]
    batches = [batch for side in ("train", "test") for batch in pipeline.batches(image_set, side, 50)]
    contents = b"".join(batch["images"].numpy().tobytes() + batch["label"].numpy().tobytes() for batch in batches)
    assert hashlib.sha256(contents).hexdigest() == CONTENTS


def test_split_order_and_pixels_never_change(drawn, empty_cache):
    assert load(drawn, 16).fingerprint == FINGERPRINTS[16]
    image_set = load(drawn)
    assert_as_the_first_version(image_set)
    assert "173 images - 1 damaged - 12 byte-for-byte copies = 160 distinct images" in image_set.summary[0]


def test_the_index_says_which_file_each_image_is(drawn, empty_cache):
    image_set = load(drawn)
    with np.load(image_set.folder / "index.npz") as columns:
        names, test, digests = columns["names"].tobytes().decode().split("\0"), columns["test"], columns["digest"]
    for side in ("train", "test"):
        for row, index in enumerate(np.flatnonzero(test == (side == "test"))):
            data = (drawn / names[index]).read_bytes()
            assert digests[index].tobytes() == hashlib.sha256(data).digest()
            assert np.array_equal(image_set.images[side][row], pictures.decode(data, (24, 24, 3)))
            assert image_set.classes[side][row] == "ab".index(names[index][0])


def test_the_split_depends_on_contents_alone_and_new_images_do_not_move_old_ones(tmp_path, folder):
    before = load(folder, 16)
    for path in folder.iterdir():
        (tmp_path / "more").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "more" / f"other-{200 - int(path.stem)}.png")
    assert load(tmp_path / "more", 16).fingerprint == before.fingerprint
    save_cats(tmp_path / "more", range(1000, 1020))
    more = load(tmp_path / "more", 16)
    assert more.n_train + more.n_test == before.n_train + before.n_test + 20
    for side in ("train", "test"):
        assert read_digests(before, side) <= read_digests(more, side)


def test_copies_are_used_once_near_copies_are_on_one_side_and_damaged_files_are_named(tmp_path, capsys):
    save_cats(tmp_path, range(20))
    for index in range(10):
        shutil.copy(tmp_path / f"{index}.png", tmp_path / f"copy-{index}.png")
        image = Image.open(tmp_path / f"{index}.png")
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / f"mirror-{index}.png")
        image.save(tmp_path / f"encoded-{index}.jpg", quality=85)
    # the copy of a damaged file is damaged, too
    for name in ("words.jpg", "same words.jpg"):
        (tmp_path / name).write_text("words")
    for _ in range(2):
        image_set = load(tmp_path)
        warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
        assert len(warnings) == 1
        assert "skipped 2 damaged of 52 files: " in warnings[0] and "words.jpg (not a picture file;" in warnings[0]
    summary = "52 images - 2 damaged - 10 byte-for-byte copies = 40 distinct images; "
    assert f"{summary}{image_set.n_train} training + {image_set.n_test} held out" in image_set.summary[0]
    assert image_set.n_train + image_set.n_test == 40
    sides = name_sides(image_set)
    for index in range(10):
        names = {f"{index}.png", f"copy-{index}.png", f"mirror-{index}.png", f"encoded-{index}.jpg"}
        assert len({sides[name] for name in names & set(sides)}) == 1


def test_about_a_tenth_is_held_out_and_never_nothing():
    digests = np.random.default_rng(0).integers(0, 256, (20_000, 32), "uint8")
    digests = np.sort(digests.view("S32"), axis=0).view("uint8")
    assert [digest.tobytes() for digest in digests[:50]] == sorted(digest.tobytes() for digest in digests[:50])
    flat = np.zeros((20_000, copies.SIDE**2), "float16")
    test, near = cache._split(digests, flat)
    assert 0.09 < test.mean() < 0.11
    assert near == 0
    test, _ = cache._split(digests[~test][:3], flat[:3])
    assert test.tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("usable", "broken", "message"),
    [
        (10, 1, r"1 of 11 files .* damaged, more than 5 %: 0.jpg"),
        (10, 10, "10 of 20 files"),
        (1, 0, "1 distinct usable images"),
    ],
)
def test_too_many_damaged_files_or_too_few_images_stop(tmp_path, empty_cache, usable, broken, message):
    save_cats(tmp_path / "cats", range(usable))
    for index in range(broken):
        # copies of each other, which all count
        (tmp_path / "cats" / f"{index}.jpg").touch()
    with pytest.raises(UserError, match=message):
        load(tmp_path / "cats", 16)
    assert not [path for path in (empty_cache / "images").iterdir() if path.suffix != ".lock"]


def test_the_cache_is_read_again_until_the_folder_changes(tmp_path, empty_cache, monkeypatch):
    save_cats(tmp_path / "cats", range(30))
    locked, lock = [], cache.files.lock
    monkeypatch.setattr(cache.files, "lock", lambda *how, **more: locked.append((*how, more)) or lock(*how, **more))
    first = load(tmp_path / "cats", 16)
    assert [one[1:] for one in locked] == [("waiting: another process is preparing cats", {"wait": True})]
    written = (first.folder / "train.npy").stat().st_mtime_ns
    assert load(tmp_path / "cats", 16) == first
    assert (first.folder / "train.npy").stat().st_mtime_ns == written
    before, batch = first.images["train"][:].copy(), pipeline.examples(first, "train", 8)
    (tmp_path / "cats" / "0.png").unlink()
    # what was left of another state of the folder
    (left := first.folder.with_name(f".{first.folder.name}.preparing")).mkdir()
    changed = load(tmp_path / "cats", 16)
    assert not left.exists()
    assert changed.n_train + changed.n_test == 29
    assert changed.fingerprint != first.fingerprint
    # the old cache is gone, and a training that has opened it goes on
    assert not first.folder.exists()
    assert np.array_equal(first.images["train"], before)
    assert np.array_equal(next(iter(pipeline.batches(first, "train", 8)))["images"], batch)


@pytest.mark.parametrize(
    ("name", "part"), [("index.json", None), ("index.json", 0.5), ("index.npz", 0), ("index.npz", 0.5), ("train.npy", 0.5)]
)
def test_a_damaged_cache_is_built_again_with_one_line(empty_cache, folder, capsys, name, part):
    before = load(folder, 16)
    path = before.folder / name
    contents = path.read_bytes()
    path.unlink() if part is None else path.write_bytes(contents[: int(part * len(contents))])
    capsys.readouterr()
    assert load(folder, 16) == before
    assert path.read_bytes() == contents
    lines = [line for line in capsys.readouterr().err.splitlines() if "decoding" not in line and line.strip()]
    assert lines == [f"the cache of {folder.name} is damaged; it is built again"]


class Stopped(BaseException):
    """An end that nothing catches, as that of a process that is killed."""


def stop_at(monkeypatch, module, name, call):
    """Have the call number `call` of a function stop."""
    original, calls = getattr(module, name), []

    def stopping(*arguments, **options):
        calls.append(1)
        if len(calls) == call:
            raise Stopped
        return original(*arguments, **options)

    monkeypatch.setattr(module, name, stopping)


@pytest.mark.parametrize(
    ("module", "name", "call", "again"),
    [(cache, "decode_piece", 1, 173), (cache, "decode_piece", 3, 45), (copies, "groups", 1, 0)] + [(os, "replace", 1, 0)],
)
def test_an_interrupted_preparation_goes_on(drawn, empty_cache, monkeypatch, capsys, module, name, call, again):
    expected = files_in(load(drawn).folder)
    shutil.rmtree(empty_cache)
    # entries are written after each piece
    monkeypatch.setattr(cache, "ROUND", 1)
    monkeypatch.setattr("joblib.cpu_count", lambda: 1)
    with monkeypatch.context() as patched:
        stop_at(patched, module, name, call)
        with pytest.raises(Stopped):
            load(drawn)
    decoded, original = [], cache.decode_piece

    def counting(folder, first, items, *more):
        decoded.extend(items)
        return original(folder, first, items, *more)

    monkeypatch.setattr(cache, "decode_piece", counting)
    capsys.readouterr()
    assert files_in(load(drawn).folder) == expected
    assert len(decoded) == again
    assert ("decoded before" in capsys.readouterr().err) == (again != 173)
    assert not list((empty_cache / "images").glob(".*preparing*"))


KILLED = """
import os, signal, sys
from keras_ae.data import cache, sources
from pathlib import Path
cache.FEW, cache.ROUND = 0, 1
update, calls = cache.tqdm.update, []
def killing(*arguments):
    calls.append(1)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return update(*arguments)
cache.tqdm.update = killing
cache.prepare(sources.folder(sys.argv[1]), f"folder {Path(sys.argv[1]).resolve()}", (24, 24, 3))
"""


def test_a_preparation_that_was_killed_goes_on(drawn, empty_cache, capsys):
    # no pipes: the processes that decode outlive it, and would keep them open
    killed = process("-c", KILLED, drawn, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert killed.returncode == -signal.SIGKILL
    image_set = load(drawn)
    assert "pictures: 128 of 173 images were decoded before" in capsys.readouterr().err
    assert_as_the_first_version(image_set)


def test_a_file_that_vanishes_is_an_error_of_one_process_and_of_many(tmp_path, empty_cache, monkeypatch):
    source = sources.Source("gone", ["a.png"] * 2, "", lambda: [sources.Encoded(str(tmp_path / "a.png"))] * 2)
    for few in (10, 0):
        monkeypatch.setattr(cache, "FEW", few)
        with pytest.raises(FileNotFoundError, match=r"a\.png"):
            cache.prepare(source, "gone", (16, 16, 3))


def test_a_program_without_a_main_guard_prepares_on_all_cores(drawn, empty_cache, tmp_path):
    # processes of multiprocessing would run the program again, without end
    program = tmp_path / "program.py"
    program.write_text(
        "from keras_ae.data import cache, sources\n"
        "cache.FEW = 0\n"
        f"print(cache.prepare(sources.folder({str(drawn)!r}), '', (24, 24, 3)).fingerprint)\n"
    )
    done = process(program, timeout=300)
    assert done.stdout == f"{FINGERPRINTS[24]}\n", done.stderr
