"""Data sets of tensorflow-datasets: read image by image, or, where they are large, streamed from their own files.

A set that is streamed is not copied into the cache, so that a set of terabytes needs no second place. Its images are decoded by
TensorFlow in every epoch: EXIF orientation and transparency are ignored, and copies are not looked for.
"""

import contextlib
import io
import sys

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from keras_ae.data.encoded import Encoded, Source
from keras_ae.errors import UserError

# files from which one in ten is held out, if the data set has no test split
MANY = 10
# pixels of the middle square that is used, such as a face without its background
CROPS = {"celeb_a": 148}


def prepared(builder, name, hint="", manual_dir=None):
    """The tensorflow-datasets `builder` with its files downloaded or generated. Raises UserError of one line with the hint."""
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        # it prints sizes and folders to stdout, and "Unknown size" for generated sets
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare(
                download_config=tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False)
            )
    except Exception as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(f"cannot prepare the data set {name}: {reason}{hint}") from error
    return builder


def encoded(value):
    """The encoded bytes of a tensorflow-datasets image feature; an array becomes PNG."""
    if isinstance(value, bytes):
        return value
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(value).squeeze()).save(buffer, format="png", compress_level=1)
    return buffer.getvalue()


def _middle(data, side):
    """The middle square of `side` pixels of an encoded image, as PNG."""
    with Image.open(io.BytesIO(data)) as image:
        left, top = ((size - side) // 2 for size in image.size)
        return encoded(image.crop((left, top, left + side, top + side)))


def _files(builder, sides):
    """By side, pairs (path, number of images) of the files of the data set; None if they cannot be streamed."""
    if builder.info.file_format != tfds.core.FileFormat.TFRECORD:
        return None
    splits = builder.info.splits
    files = {
        split: [(str(path), n) for path, n in zip(splits[split].filepaths, splits[split].shard_lengths, strict=True)]
        for split in sides
    }
    if None not in sides.values():
        return {side: tuple(files[side]) for side in sides}
    together = [file for split in files for file in files[split]]
    if len(together) < MANY:
        return None
    # tensorflow-datasets writes examples in random order: any file is a random sample
    return {"train": tuple(file for n, file in enumerate(together) if n % MANY), "test": tuple(together[::MANY])}


def source(builder, name):
    """The `Source` of a builder whose files are there. Raises UserError if it has no images."""
    features = builder.info.features
    image = features["image"] if "image" in features else None
    if not isinstance(image, tfds.features.Image):
        raise UserError(f"the data set {name} has no feature 'image'; it has {', '.join(features)}")
    label = features["label"] if "label" in features else None
    labels = tuple(label.names) if isinstance(label, tfds.features.ClassLabel) else ()
    height, width, channels = image.shape
    splits = builder.info.splits
    sides = {"train": "train", "test": "test"} if {"train", "test"} <= set(splits) else {split: None for split in splits}

    def items(first=0):
        for split, side in sides.items():
            chosen = builder.as_dataset(split=split, decoders={"image": tfds.decode.SkipDecoding()}, shuffle_files=False)
            skipped, first = first, max(0, first - splits[split].num_examples)
            for index, example in enumerate(tfds.as_numpy(chosen.skip(skipped)), skipped):
                data = encoded(example["image"])
                data = _middle(data, CROPS[name]) if name in CROPS else data
                yield Encoded(f"{split}/{index}", data, int(example["label"]) if labels else 0, side)

    return Source(
        name,
        sum(splits[split].num_examples for split in sides),
        f"{builder.info.full_name} {sorted(splits)}",
        items,
        labels,
        height if height == width else None,
        channels if channels in (1, 3) else None,
        None not in sides.values(),
        # streamed images are not cropped
        None if name in CROPS else _files(builder, sides),
    )


def _image(data, shape):
    """Bytes to uint8 `shape`: the central square, resized bicubically with antialiasing, as `pictures.decode` has it."""
    image = tf.io.decode_image(data, shape[2], expand_animations=False)
    size = tf.shape(image)
    side = tf.minimum(size[0], size[1])
    top, left = (size[0] - side) // 2, (size[1] - side) // 2
    square = image[top : top + side, left : left + side]

    def resized():
        pixels = tf.image.resize(square, shape[:2], "bicubic", antialias=True)
        return tf.cast(tf.clip_by_value(tf.round(pixels), 0, 255), tf.uint8)

    return tf.ensure_shape(tf.cond(side == shape[0], lambda: square, resized), shape)


def parsed(serialized, shape, labelled):
    """Examples of tensorflow-datasets (batch,) to a batch without inputs, its images uint8."""
    features = {"image": tf.io.FixedLenFeature((), tf.string)}
    if labelled:
        features["label"] = tf.io.FixedLenFeature((), tf.int64)
    found = tf.io.parse_example(serialized, features)
    pixels = tf.map_fn(lambda data: _image(data, shape), found["image"], fn_output_signature=tf.TensorSpec(shape, tf.uint8))
    label = tf.cast(found["label"], tf.int32) if labelled else tf.zeros(tf.shape(serialized), tf.int32)
    return {"images": tf.reshape(pixels, (-1, *shape)), "label": label}
