"""Data sets of tensorflow-datasets, read image by image."""

import contextlib
import io
import sys

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from keras_ae.data.encoded import Encoded, Source
from keras_ae.errors import UserError

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
    )
