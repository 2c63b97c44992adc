"""Image data sets as tf.data: loaded by name, decoded once, then streamed from disk in constant memory.

Batches are dicts: "images" float32 (batch, height, width, channels) in [-1, 1], "label" int32 (batch,), and "inputs", which a
task of `keras_ae.data.tasks` computes from the images for the encoder. Without a task, the inputs are the images.
"""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_ae.data import folders, records, sources
from keras_ae.data.variation import UNVARIED, half_mirrored, mirrored, moved
from keras_ae.errors import UserError
from keras_ae.images.pictures import scaled

# size of the shuffle buffer in bytes
BUFFER = 150_000_000
# files that are read by turns, and records of each turn: with more files an image would have the same place in every epoch
TOGETHER, BESIDE = 8, 16
# training images that priors, PCA and judges use: more would take memory or time, and hardly change what they say
SAMPLED = 102_400
# tasks draw the same random numbers in every pass over a side
HELD_OUT_SEED = 2**31 - 1
# data sets that --data can name
NAMES = {name: name for name in (*sources.SOURCES, "celeb_a", "cifar10", "fashion_mnist", "mnist", "oxford_iiit_pet")}
NAMES = {name: data for name, data in NAMES.items() if name != "folder"} | {"cats": "cat_faces"}
SIZES = "a power of two from 16 to 256, or a multiple of 4 from 8 to 60"


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """A decoded data set on disk, in two sides: training and held-out ("test") images.

    train, test: files of records, one or more. shape: (H, W, C). labels: names of the classes, empty if there are none.
    fingerprint: a digest of contents and split. summary: lines for the user.
    """

    name: str
    train: tuple
    test: tuple
    n_train: int
    n_test: int
    shape: tuple
    labels: tuple
    fingerprint: str
    summary: tuple


def resolve(name, directory):
    """The meaning of --data DIR for data set `name`, as (name, directory) for `load`.

    If tensorflow-datasets prepared the data set `name` in the directory, it is its data directory; otherwise it is a folder of
    picture files, or, where there is no such folder, one of `NAMES`.
    """
    if directory in NAMES and not Path(directory).exists():
        return NAMES[directory], None
    root = Path(folders.place(directory))
    prepared = any(any(root.glob(f"{name}/{below}/dataset_info.json")) for below in ("*", "*/*"))
    return name if prepared else "folder", directory


def _check_size(size, channels):
    allowed = size in (16, 32, 64, 128, 256) or (size % 4 == 0 and 8 <= size < 64)
    if not allowed:
        raise UserError(f"images of {size}x{size} pixels are not supported; set data.size to {SIZES}")
    if channels not in (1, 3):
        raise UserError(f"images with {channels} channels are not supported; set data.channels to 1 or 3")


def load(name="synthetic_cats", directory=None, size=None, channels=None):
    """Load a data set as an `ImageSet`: a name of `sources.SOURCES`, or any name of tensorflow-datasets.

    directory: the folder of picture files ("folder"), of the downloaded files ("cat_faces"), else the data directory of
    tensorflow-datasets. size, channels: of the images; by default those of the data set, or 64 and 3. Raises UserError.
    """
    if size is not None:
        _check_size(size, 3)
    if channels is not None:
        _check_size(64, channels)
    source = sources.open_source(name, directory)
    size, channels = size or source.size or 64, channels or source.channels or 3
    _check_size(size, channels)
    place = f"{name} {folders.place(directory) if directory else ''}"
    folder = records.prepared(source, place, size, channels)
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    for line in index["warnings"]:
        print(f"warning: {line}", file=sys.stderr)
    return ImageSet(
        index["name"],
        *(tuple(records.files_of(folder, side, len(index["shards"][side]))) for side in ("train", "test")),
        index["counts"]["train"],
        index["counts"]["test"],
        tuple(index["shape"]),
        tuple(index["labels"]),
        index["fingerprint"],
        tuple(index["summary"]),
    )


def _parsed(serialized, image_set):
    """Serialized records (batch,) to a batch without inputs, its images still uint8."""
    shape = image_set.shape
    label = tf.io.decode_raw(tf.strings.substr(serialized, 0, 4), tf.int32)[:, 0]
    pixels = tf.io.decode_raw(tf.strings.substr(serialized, 4, int(np.prod(shape))), tf.uint8)
    return {"images": tf.reshape(pixels, (-1, *shape)), "label": label}


def _with_inputs(batch, task, seed):
    """The batch with images in [-1, 1], and what the task makes of them for the encoder."""
    images = scaled(tf.cast(batch["images"], tf.float32))
    return batch | {"images": images, "inputs": images if task is None else task(images, seed)}


def _names(paths):
    return [str(path) for path in paths]


def _epoch(paths, buffer, seed, number):
    """The records of one epoch, shuffled: files in random order, a few at a time, and a buffer of `buffer` records."""
    # of this function's graph: the order does not depend on the global seed, and where that is 0, seeds that are tensors fail
    tf.compat.v1.set_random_seed(1)
    seeds = tf.random.stateless_uniform((2,), [seed, number], None, None, tf.int64)
    if len(paths) == 1:
        read = tf.data.TFRecordDataset(_names(paths))
    else:
        files = tf.data.Dataset.from_tensor_slices(_names(paths)).shuffle(len(paths), seeds[0], False)
        # in one thread: several are no faster, and take hundreds of megabytes
        read = files.interleave(tf.data.TFRecordDataset, min(len(paths), TOGETHER), BESIDE)
    return read.shuffle(buffer, seeds[1], False)


def batches(image_set, side, batch, task=None, view=0, variation=UNVARIED):
    """One pass over a side ("train" or "test") in the order of the digests; the last batch may be smaller.

    task: images, seed -> inputs. Random tasks give the same inputs in every pass. view: 0 for the images as they are; other
    views are varied, the odd ones mirrored, and those from the second on moved.
    """
    paths, n = (image_set.train, image_set.n_train) if side == "train" else (image_set.test, image_set.n_test)
    counted = tf.data.TFRecordDataset(_names(paths)).apply(tf.data.experimental.assert_cardinality(n)).batch(batch)

    def prepared(index, serialized):
        seed = tf.stack([HELD_OUT_SEED, tf.cast(index, tf.int32)])
        prepared = _parsed(serialized, image_set)
        if variation.flip and view % 2:
            prepared |= {"images": mirrored(prepared["images"])}
        if variation.moves and view > 1:
            # the numbers of batches of different views differ
            prepared |= {"images": moved(prepared["images"], variation, seed + [0, view << 24])}
        return _with_inputs(prepared, task, seed)

    return counted.enumerate().map(prepared).prefetch(2)


def sample(image_set, batch, task=None, view=0, variation=UNVARIED):
    """`batches` of up to SAMPLED training images, which all that is fitted to them or compared with them outside training uses.

    They are the first ones in the order of the digests, which is random.
    """
    return batches(image_set, "train", batch, task, view, variation).take(-(-SAMPLED // batch))


def first_batch(image_set, side, n, task=None):
    """The first n images of a side in the order of the digests, as a batch of NumPy arrays; fewer if the side has fewer."""
    return {name: np.asarray(values) for name, values in next(iter(batches(image_set, side, n, task))).items()}


def examples(image_set, side, n):
    """The images of `first_batch`, float32 (n, H, W, C)."""
    return first_batch(image_set, side, n)["images"]


def training(image_set, batch, seed, first_epoch=0, variation=UNVARIED, task=None):
    """An infinite stream of shuffled batches, n_train // batch per epoch, starting at epoch `first_epoch`.

    task: images, seed -> inputs. The order of an epoch and its random numbers depend on `seed` and the epoch alone, so that a
    resumed run gets the same batches as an uninterrupted one, without reading those before.
    """
    buffer = max(batch, min(image_set.n_train, BUFFER // int(np.prod(image_set.shape))))
    epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
    steps = image_set.n_train // batch

    def shuffled(number):
        return _epoch(image_set.train, buffer, seed, number).batch(batch, drop_remainder=True)

    left = epochs.flat_map(shuffled).enumerate(first_epoch * steps)

    def prepared(step, serialized):
        prepared = _parsed(serialized, image_set)
        # bytes are moved four times as fast as floats
        images = half_mirrored(prepared["images"], step) if variation.flip else prepared["images"]
        images = moved(images, variation, tf.stack([seed, step])) if variation.moves else images
        prepared |= {"images": tf.ensure_shape(images, (batch, *image_set.shape))}
        return _with_inputs(prepared, task, tf.stack([seed, tf.cast(step, tf.int32)]))

    return left.map(prepared).prefetch(2)
