"""How a data set is prepared: in processes, in shards, interrupted."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_ae import processes
from keras_ae.data import arrivals, decoders, pipeline, records, sources
from keras_ae.data.known import Known
from keras_ae.data.drawn_cats import draw
from keras_ae.data.drawn_cats import sample_factors
from keras_ae.errors import UserError
from keras_ae.images.pictures import read

ROOT = Path(__file__).parents[1]
# of the folder `pictures`, as the first version of the cache had them: by size
FINGERPRINTS = {
    16: "5b6e570763cf01bed830ae30451c6d9712913e7edecc3aad5030da58851d7960",
    24: "82ea94e4acbacce0dcb95c10897e411e7ffcb69e1e13d89cf966c954f68f3701",
}
CONTENTS = "821f547080fda952860e5ea95256e76cb5976a0baec534c16d80ecb425de373c"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """173 files in two classes, 160 of them different pictures: BMP, whose bytes are the same with every version of Pillow."""
    folder = tmp_path_factory.mktemp("data") / "pictures"
    for name in "ab":
        (folder / name).mkdir(parents=True)
    for index in range(120):
        picture, place = Image.fromarray(draw(sample_factors(3, index), 24)), folder / "ab"[index % 2]
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


@pytest.fixture
def sharded(monkeypatch):
    """Small sets have several shards, and a shuffle buffer that holds a part of them."""
    monkeypatch.setattr(records, "SHARD", 40_000)
    monkeypatch.setattr(pipeline, "BUFFER", 24 * 24 * 3 * 20)


def load(folder, size=24):
    return pipeline.load("folder", str(folder), size=size)


def everything(image_set):
    """The batches of both sides, as bytes of images and labels."""
    batches = [batch for side in ("train", "test") for batch in pipeline.batches(image_set, side, 50)]
    return b"".join(batch["images"].numpy().tobytes() + batch["label"].numpy().tobytes() for batch in batches)


def files_in(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.suffix != ".lock"}


def cache_of(image_set):
    return files_in(image_set.train[0].parent)


@pytest.mark.parametrize("size", FINGERPRINTS)
def test_sides_order_and_pixels_are_those_of_the_first_version(pictures, empty_cache, size):
    image_set = load(pictures, size)
    assert image_set.fingerprint == FINGERPRINTS[size]
    assert "173 images - 1 damaged - 12 byte-for-byte copies = 160 distinct images" in image_set.summary[0]
    if size == 24:
        assert hashlib.sha256(everything(image_set)).hexdigest() == CONTENTS


def test_shards_hold_the_same_images_in_the_same_order(pictures, empty_cache, sharded):
    image_set = load(pictures)
    assert len(image_set.train) == len(image_set.test) == 64
    assert image_set.fingerprint == FINGERPRINTS[24]
    assert hashlib.sha256(everything(image_set)).hexdigest() == CONTENTS


def test_the_columns_of_the_index_say_where_each_image_is(pictures, empty_cache, sharded):
    image_set = load(pictures)
    folder = image_set.train[0].parent
    with np.load(folder / "index.npz") as saved:
        columns = dict(saved)
    names, ends = columns["names"].tobytes(), columns["name"]
    counts = json.loads((folder / "index.json").read_text())["shards"]
    for index in range(0, 160, 9):
        name = names[ends[index] : ends[index + 1]].decode()
        side = "test" if columns["test"][index] else "train"
        shard, row = int(columns["shard"][index]), int(columns["row"][index])
        record = 16 + 4 + 24 * 24 * 3
        stored = records.files_of(folder, side, 64)[shard].read_bytes()
        assert len(stored) == record * counts[side][shard]
        contents = stored[record * row :][12 : record - 4]
        assert contents[4:] == read(pictures / name, 24).tobytes()
        assert contents[:4] == bytes([columns["label"][index], 0, 0, 0]) == bytes(["ab".index(name[0]), 0, 0, 0])
        assert columns["digest"][index].tobytes() == hashlib.sha256((pictures / name).read_bytes()).digest()


@pytest.mark.parametrize(("count", "shards"), [(2, 1), (20_000, 1), (22_000, 64), (10**6, 64), (2 * 10**6, 128), (10**8, 256)])
def test_small_sets_have_one_shard_and_large_ones_up_to_256(count, shards):
    assert records.shards_for(count, (64, 64, 3)) == shards


def test_processes_decode_as_threads_do(pictures, empty_cache, monkeypatch):
    in_threads = load(pictures)
    made = cache_of(in_threads)
    shutil.rmtree(in_threads.train[0].parent)
    monkeypatch.setattr(decoders, "FEW", 0)
    assert load(pictures) == in_threads
    assert cache_of(in_threads) == made


def test_a_file_that_vanishes_is_an_error_of_threads_and_of_processes(tmp_path, monkeypatch):
    item = sources.Encoded("a.png", str(tmp_path / "a.png"))
    for few in (10, 0):
        monkeypatch.setattr(decoders, "FEW", few)
        with pytest.raises(FileNotFoundError, match=r"a\.png"):
            list(decoders.decoded([item], 1, (16, 16, 3), ()))


def test_a_process_that_ends_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(decoders, "FEW", 0)
    # no shape: the process ends with a traceback of its own
    monkeypatch.setattr(processes.sys, "executable", shutil.which("false"))
    with pytest.raises(UserError, match="a process that decoded pictures ended with status 1"):
        list(decoders.decoded([sources.Encoded("a.png", b"data")], 1, (16, 16, 3), ()))


def test_a_process_ends_with_its_standard_input():
    command = [sys.executable, "-m", "keras_ae.data.decoders"]
    ended = subprocess.run(command, input=b"", capture_output=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


def test_known_digests_are_exact_and_shared(tmp_path):
    random = np.random.default_rng(0)
    digests = [random.bytes(32) for _ in range(2000)]
    # the same place in the table, another digest
    digests += [digest[:8] + random.bytes(24) for digest in digests[:20]]
    known = Known.empty(tmp_path / "known", 1000)
    other = Known(tmp_path / "known")
    assert all(known.add(digest) for digest in digests)
    assert not any(known.add(digest) for digest in digests)
    assert all(digest in other for digest in digests)
    assert not any(random.bytes(32) in other for _ in range(2000))


class Stopped(BaseException):
    """An end that nothing catches, as that of a process that is killed."""


def stop_at(monkeypatch, module, name, call):
    """Have the call number `call` of a function stop, after half of what it does where it writes a list of parts."""
    original, calls = getattr(module, name), []

    def stopping(*arguments, **options):
        calls.append(1)
        if len(calls) == call:
            if name == "_append":
                path, parts = arguments
                whole = b"".join(parts)
                original(path, [whole[: len(whole) // 2]])
            raise Stopped
        return original(*arguments, **options)

    monkeypatch.setattr(module, name, stopping)


@pytest.mark.parametrize(
    ("module", "name", "call"),
    # names, pixels, thumbnails and entries of a piece; the search; shards; columns; the end
    [(arrivals, "_append", call) for call in (1, 30, *range(200, 210))]
    + [(records.copies, "groups", 1), (records, "_write", 1), (records, "_write", 5), (records, "_write_columns", 1)]
    + [(records, "_summary", 1), (records.outputs, "complete", 1), (np, "savez", 1)],
)
def test_an_interrupted_preparation_goes_on(pictures, empty_cache, sharded, monkeypatch, capsys, module, name, call):
    uninterrupted = load(pictures)
    expected = cache_of(uninterrupted)
    shutil.rmtree(empty_cache)
    read, decoded = decoders.read, []
    monkeypatch.setattr(decoders, "read", lambda data, *rest: decoded.append(data) or read(data, *rest))
    with monkeypatch.context() as patched:
        stop_at(patched, module, name, call)
        with pytest.raises(Stopped):
            load(pictures)
    before = len(decoded)
    capsys.readouterr()
    assert load(pictures) == uninterrupted
    assert cache_of(uninterrupted) == expected
    arrived = [line for line in capsys.readouterr().err.splitlines() if "decoded before" in line]
    if name == "_append" and call > 1:
        assert len(arrived) == 1
        assert 173 <= len(decoded) < 173 + before
    if name != "_append":
        assert len(decoded) == 173
    assert not list((empty_cache / "records").glob(".*preparing*"))


KILLED = """
import os, signal, sys
from keras_ae import commandline
commandline.import_tensorflow()
from keras_ae.data import arrivals, decoders, pipeline, records
module, name, call, folder = {"arrivals": arrivals, "records": records}[sys.argv[1]], sys.argv[2], int(sys.argv[3]), sys.argv[4]
decoders.FEW, records.SHARD = 0, 40_000
original, calls = getattr(module, name), []
def killing(*arguments):
    calls.append(1)
    if len(calls) == call:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments)
setattr(module, name, killing)
pipeline.load("folder", folder, size=24)
"""


@pytest.mark.parametrize(("module", "name", "call"), [("arrivals", "_append", 205), ("records", "_write", 4)])
def test_a_preparation_that_was_killed_goes_on(pictures, empty_cache, sharded, capsys, module, name, call):
    command = [sys.executable, "-c", KILLED, module, name, str(call), str(pictures)]
    killed = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    image_set = load(pictures)
    assert ("decoded before" in capsys.readouterr().err) == (module == "arrivals")
    assert image_set.fingerprint == FINGERPRINTS[24]
    assert hashlib.sha256(everything(image_set)).hexdigest() == CONTENTS


def test_a_preparation_of_other_files_begins_again(pictures, empty_cache, tmp_path, monkeypatch, capsys):
    shutil.copytree(pictures, tmp_path / "pictures")
    with monkeypatch.context() as patched:
        stop_at(patched, records.copies, "groups", 1)
        with pytest.raises(Stopped):
            load(tmp_path / "pictures")
    (tmp_path / "pictures" / "a" / "words.jpg").unlink()
    capsys.readouterr()
    assert load(tmp_path / "pictures").fingerprint == FINGERPRINTS[24]
    assert "decoded before" not in capsys.readouterr().err


def epochs(image_set, first, n, seed=0):
    """Numbers of the images in the order of n epochs."""
    stored = np.concatenate([batch["images"] for batch in pipeline.batches(image_set, "train", 50)])
    numbers = {image.tobytes(): number for number, image in enumerate(stored)}
    steps = image_set.n_train // 16
    stream = iter(pipeline.training(image_set, 16, seed, first))
    return [[numbers[image.numpy().tobytes()] for _ in range(steps) for image in next(stream)["images"]] for _ in range(n)]


def test_epochs_of_shards_are_shuffled_and_a_function_of_seed_and_epoch(pictures, empty_cache, sharded):
    image_set = load(pictures)
    found = epochs(image_set, 0, 4)
    for order in found:
        assert len(set(order)) == len(order) == image_set.n_train // 16 * 16
        # neither in the order of the files, nor in that of the epoch before
        assert abs(np.corrcoef(order, np.arange(len(order)))[0, 1]) < 0.5
        assert np.mean(np.abs(np.diff(order)) == 1) < 0.1
    both = set(found[0]) & set(found[1])
    places = np.array([[order.index(number) for number in both] for order in found[:2]])
    assert abs(np.corrcoef(places)[0, 1]) < 0.5
    assert epochs(image_set, 2, 2) == found[2:]
    assert epochs(image_set, 0, 1, seed=1)[0] != found[0]


def test_large_caches_are_checked_by_the_sizes_of_their_records(pictures, empty_cache, monkeypatch, capsys):
    monkeypatch.setattr(records, "CHECKED", 0)
    image_set = load(pictures)
    capsys.readouterr()
    contents = image_set.train[0].read_bytes()
    for damaged in (contents[:-1], None):
        image_set.train[0].write_bytes(damaged) if damaged else image_set.train[0].unlink()
        assert load(pictures) == image_set
        assert "is damaged; it is built again" in capsys.readouterr().err
    columns = image_set.train[0].parent / "index.npz"
    columns.write_bytes(columns.read_bytes()[:-1] + b"?")
    assert load(pictures) == image_set
    assert "is damaged; it is built again" in capsys.readouterr().err
