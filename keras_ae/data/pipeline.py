"""Pictures as tf.data: loaded by name, decoded once, then streamed from disk; memory does not grow with their number.

Batches are dicts: "image" float32 (batch, height, width, channels) in [-1, 1], "label" int32 (batch,), and "inputs", what a
task of `keras_ae.tasks` makes of the images for the encoder: without a task, the images themselves.
"""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_ae.data import records, sources
from keras_ae.errors import UserError

# bytes of pictures that wait in the shuffle buffer
BUFFER = 150_000_000
# what is random in a task is drawn alike for every pass over held-out pictures
HELD_OUT_SEED = 2**31 - 1
SIZES = "a power of two from 16 to 256, or a multiple of 4 from 8 to 60"


@dataclasses.dataclass(frozen=True)
class Pictures:
    """A data set on disk: its two sides, shape (H, W, C), class names (maybe none), and a fingerprint of contents and split."""

    name: str
    train: Path
    test: Path
    n_train: int
    n_test: int
    shape: tuple
    labels: tuple
    fingerprint: str
    summary: tuple


def resolve(name, directory):
    """What --data DIR means for data set `name`: (name, directory).

    A folder that holds the set as tensorflow-datasets prepares it is its data directory; any other is a folder of pictures.
    """
    if any(Path(directory).glob(f"{name}/*/dataset_info.json")):
        return name, directory
    if any(Path(directory).glob(f"{name}/*/*/dataset_info.json")):
        return name, directory
    return "folder", directory


def _check_size(size, channels):
    allowed = size in (16, 32, 64, 128, 256) or (size % 4 == 0 and 8 <= size < 64)
    if not allowed:
        raise UserError(f"pictures of {size}x{size} are not supported; set data.size to {SIZES}")
    if channels not in (1, 3):
        raise UserError(f"pictures of {channels} channels are not supported; set data.channels to 1 or 3")


def load(name="synthetic_cats", directory=None, size=None, channels=None):
    """Load a data set: "folder", "cat_faces", "synthetic_cats" or any name of tensorflow-datasets.

    directory: the folder of pictures; of the downloaded files (cat_faces); else tensorflow-datasets' data directory.
    size, channels: of the pictures made; by default the set's own, or 64 and 3. Raises UserError.
    """
    if size is not None:
        _check_size(size, 3)
    if channels is not None:
        _check_size(64, channels)
    source = sources.open_source(name, directory)
    size, channels = size or source.size or 64, channels or source.channels or 3
    _check_size(size, channels)
    place = f"{name} {Path(directory).resolve() if directory else ''}"
    folder = records.prepared(source, place, size, channels)
    index = json.loads((folder / "index.json").read_text())
    for line in index["warnings"]:
        print(f"warning: {line}", file=sys.stderr)
    return Pictures(
        index["name"],
        folder / "train.tfrecord",
        folder / "test.tfrecord",
        index["counts"]["train"],
        index["counts"]["test"],
        tuple(index["shape"]),
        tuple(index["labels"]),
        index["fingerprint"],
        tuple(index["summary"]),
    )


def _parsed(serialized, shape):
    """Serialized records (batch,) to a batch."""
    label = tf.io.decode_raw(tf.strings.substr(serialized, 0, 4), tf.int32)[:, 0]
    pixels = tf.io.decode_raw(tf.strings.substr(serialized, 4, int(np.prod(shape))), tf.uint8)
    return {"image": tf.cast(tf.reshape(pixels, (-1, *shape)), tf.float32) * (1 / 127.5) - 1.0, "label": label}


def batches(pictures, side, batch, task=None):
    """One pass over a side ("train" or "test") in the order of the digests; the last batch may be smaller.

    task: images, seed -> inputs; the same every time, whatever is random in it.
    """
    path, n = (pictures.train, pictures.n_train) if side == "train" else (pictures.test, pictures.n_test)
    counted = tf.data.TFRecordDataset(str(path)).apply(tf.data.experimental.assert_cardinality(n)).batch(batch)

    def prepared(index, serialized):
        return _posed(_parsed(serialized, pictures.shape), task, tf.stack([HELD_OUT_SEED, tf.cast(index, tf.int32)]))

    return counted.enumerate().map(prepared).prefetch(2)


def first_batch(pictures, side, n, task=None):
    """The first n pictures of a side in the order of the digests as a batch of arrays; fewer where there are fewer."""
    return {name: np.asarray(values) for name, values in next(iter(batches(pictures, side, n, task))).items()}


def examples(pictures, side, n):
    """The images of `first_batch`, float32 (n, H, W, C)."""
    return first_batch(pictures, side, n)["image"]


def _posed(batch, task, seed):
    return batch | {"inputs": batch["image"] if task is None else task(batch["image"], seed)}


def _half_flipped(batch):
    """Mirror half of the pictures of a batch; in shuffled batches every picture has an even chance each epoch."""
    images = batch["image"]
    half = tf.shape(images)[0] // 2
    # several times as fast as choosing picture by picture
    return batch | {"image": tf.concat([images[:half], tf.reverse(images[half:], [2])], axis=0)}


def _shifted(batch, shift, seed):
    """Move all pictures of a batch by the same 0 to `shift` pixels in each direction; edges are mirrored."""
    images = batch["image"]
    _, height, width, _ = images.shape
    top, left = tf.unstack(tf.random.stateless_uniform((2,), seed, 0, 2 * shift + 1, tf.int32))
    padded = tf.pad(images, [[0, 0], [shift, shift], [shift, shift], [0, 0]], "SYMMETRIC")
    return batch | {"image": padded[:, top : top + height, left : left + width]}


def training(pictures, batch, seed, first_epoch=0, flip=False, shift=0, task=None):
    """Endless shuffled batches, n_train // batch for each epoch, from epoch `first_epoch` on.

    flip: mirror half of each batch. shift: move each batch by up to so many pixels. task: images, seed -> inputs. The order of
    an epoch and all that is random in it depend on TensorFlow's global seed, `seed` and the epoch alone, so that a resumed run
    sees what an uninterrupted one would.
    """
    buffer = max(batch, min(pictures.n_train, BUFFER // int(np.prod(pictures.shape))))
    shuffled = tf.data.TFRecordDataset(str(pictures.train)).shuffle(buffer, seed, reshuffle_each_iteration=True)
    numbered = shuffled.batch(batch, drop_remainder=True).repeat().enumerate()

    def prepared(step, serialized):
        prepared = _parsed(serialized, pictures.shape)
        prepared = _half_flipped(prepared) if flip else prepared
        prepared = _shifted(prepared, shift, tf.stack([seed, step])) if shift else prepared
        prepared = prepared | {"image": tf.ensure_shape(prepared["image"], (batch, *pictures.shape))}
        return _posed(prepared, task, tf.stack([seed, tf.cast(step, tf.int32)]))

    return numbered.skip(first_epoch * (pictures.n_train // batch)).map(prepared).prefetch(2)
