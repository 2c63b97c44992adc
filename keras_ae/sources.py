"""Where pictures come from: folders and tensorflow-datasets, each as an endless-memory-free stream of encoded pictures.

A source names itself, says what would change its contents (`stamp`), and yields Picture items in a fixed order. To add one,
write a function that returns a Source and name it in `SOURCES`; any other name is one of tensorflow-datasets.
"""

import collections.abc
import contextlib
import dataclasses
import difflib
import hashlib
import io
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from keras_ae import images
from keras_ae.errors import UserError


@dataclasses.dataclass(frozen=True)
class Picture:
    """One encoded picture: file name, bytes, class, and the side of the split if the data set has its own, else None."""

    name: str
    data: bytes
    label: int = 0
    side: str | None = None


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set before decoding. size and channels are its own, or None where pictures differ; `items` opens the stream."""

    name: str
    count: int
    stamp: str
    items: collections.abc.Callable
    labels: tuple = ()
    size: int | None = None
    channels: int | None = None


def cache_root():
    """Folder of everything prepared: $KERAS_AE_CACHE, or keras_ae in $XDG_CACHE_HOME, by default ~/.cache."""
    chosen = os.environ.get("KERAS_AE_CACHE")
    return Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "keras_ae"


def folder(directory):
    """A folder of pictures. Where all lie in two or more sub-folders, these are the classes."""
    if directory is None:
        raise UserError("which folder? add --data DIR, or directory = in [data]")
    root = Path(directory)
    paths = images.find(root)
    described = hashlib.sha256()
    for path in paths:
        status = path.stat()
        described.update(f"{path.relative_to(root)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    tops = [path.relative_to(root).parts[:-1][:1] for path in paths]
    labels = tuple(sorted({top[0] for top in tops if top}))
    if len(labels) < 2 or not all(tops):
        labels = ()

    def items():
        for path, top in zip(paths, tops, strict=True):
            yield Picture(str(path.relative_to(root)), path.read_bytes(), labels.index(top[0]) if labels else 0)

    return Source(root.resolve().name, len(paths), described.hexdigest(), items, labels)


def _prepared(builder, name, manual_dir=None):
    """Prepare a tensorflow-datasets builder (download, or draw); a failure is a UserError of one line."""
    import tensorflow_datasets as tfds

    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        # its notes on sizes and folders go to stdout and say "Unknown size" of what is drawn
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare(
                download_config=tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False)
            )
    except Exception as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(f"cannot prepare the data set {name}: {reason}") from error
    return builder


def _encoded(value):
    """The encoded bytes of a tensorflow-datasets image feature; a raw array becomes PNG."""
    if isinstance(value, bytes):
        return value
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(value).squeeze()).save(buffer, format="png", compress_level=1)
    return buffer.getvalue()


def _from_builder(builder, name):
    import tensorflow_datasets as tfds

    features = builder.info.features
    image = features["image"] if "image" in features else None
    if not isinstance(image, tfds.features.Image):
        raise UserError(f"the data set {name} has no feature 'image'; it has {', '.join(features)}")
    label = features["label"] if "label" in features else None
    labels = tuple(label.names) if isinstance(label, tfds.features.ClassLabel) else ()
    height, width, channels = image.shape
    splits = builder.info.splits
    sides = {"train": "train", "test": "test"} if {"train", "test"} <= set(splits) else {split: None for split in splits}

    def items():
        for split, side in sides.items():
            chosen = builder.as_dataset(split=split, decoders={"image": tfds.decode.SkipDecoding()}, shuffle_files=False)
            for index, example in enumerate(tfds.as_numpy(chosen)):
                number = int(example["label"]) if labels else 0
                yield Picture(f"{split}/{index}", _encoded(example["image"]), number, side)

    return Source(
        name,
        sum(splits[split].num_examples for split in sides),
        f"{builder.info.full_name} {sorted(splits)}",
        items,
        labels,
        height if height == width else None,
        channels if channels in (1, 3) else None,
    )


def synthetic_cats(directory):
    """The built-in data set: drawn cat faces."""
    from keras_ae.datasets.synthetic_cats import SyntheticCats

    builder = SyntheticCats(data_dir=directory or cache_root() / "tfds")
    return _from_builder(_prepared(builder, "synthetic_cats"), "synthetic_cats")


def cat_faces(directory):
    """The public cat-face sets, from a zip or folder in the manual directory `directory`."""
    from keras_ae.datasets.cat_faces import CatFaces

    return _from_builder(_prepared(CatFaces(data_dir=cache_root() / "tfds"), "cat_faces", directory), "cat_faces")


def named(name, directory):
    """Any data set of tensorflow-datasets, from its data directory `directory` or the usual one, downloaded where missing."""
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(name, data_dir=directory)
    except (tfds.core.DatasetNotFoundError, ValueError):
        known = [*SOURCES, *tfds.list_builders(with_community_datasets=False)]
        close = difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        raise UserError(
            f"unknown data set '{name}'; {hint}choose folder, cat_faces, synthetic_cats or a name of tensorflow-datasets"
        ) from None
    return _from_builder(_prepared(builder, name), name)


SOURCES = {"folder": folder, "cat_faces": cat_faces, "synthetic_cats": synthetic_cats}


def open_source(name, directory):
    """The Source called `name`. Raises UserError if there is none, or it cannot be read or prepared."""
    return SOURCES[name](directory) if name in SOURCES else named(name, directory)
