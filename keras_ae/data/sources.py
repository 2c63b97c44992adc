"""Sources of images: folders, tensorflow-datasets and built-in sets, each as a stream in constant memory.

A source has a name and a `stamp` that changes with its contents, and yields encoded images in a fixed order. To add a source,
write a function that returns a Source and add it to `SOURCES`; any other name is one of tensorflow-datasets.
"""

import collections.abc
import contextlib
import dataclasses
import difflib
import hashlib
import io
import itertools
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from sklearn.datasets import load_digits

from keras_ae.data.sets.cat_faces import CatFaces
from keras_ae.data.sets.melodies import compose
from keras_ae.data.sets.synthetic_cats import SyntheticCats
from keras_ae.errors import UserError
from keras_ae.media import images
from keras_ae.media.melodies import SHAPE, to_image

MELODIES = 10_000
# data sets that need no network
BUILT_IN = ("synthetic_cats", "digits", "melodies")


@dataclasses.dataclass(frozen=True)
class Encoded:
    """One encoded image: file name, bytes, class, and "train" or "test" if the data set has a split of its own, else None.

    Instead of the bytes there may be the path of a file, which is read where it is decoded.
    """

    name: str
    data: bytes | str
    label: int = 0
    side: str | None = None


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set before decoding: `items(first)` is a new stream of its `count` Encoded images from number `first` on.

    labels: names of the classes, if any. size, channels: those of its images, or None if the images differ. split: whether
    it has sides of its own.
    """

    name: str
    count: int
    stamp: str
    items: collections.abc.Callable
    labels: tuple = ()
    size: int | None = None
    channels: int | None = None
    split: bool = False


def cache_root():
    """The folder of all caches: $KERAS_AE_CACHE, or keras_ae in $XDG_CACHE_HOME, which is ~/.cache by default."""
    chosen = os.environ.get("KERAS_AE_CACHE")
    return Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "keras_ae"


def _listing(root, names):
    """A digest of the names, sizes and modification times of files in the folder `root`."""
    described = hashlib.sha256()
    for name in names:
        status = os.stat(os.path.join(root, name))
        described.update(os.fsencode(name) + f"\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return described.hexdigest()


def folder(directory):
    """A folder of picture files at any depth. If all are in two or more sub-folders, the sub-folders are the classes."""
    if directory is None:
        raise UserError("which folder? add --data DIR, or directory = in [data]")
    if "://" in str(directory):
        raise UserError(f"cannot read {directory}: pictures are read from local folders; mount it as a folder, or copy it")
    root = Path(directory)
    names = images.find_names(root)
    labels = tuple(sorted({images.printable(_top(name)) for name in names}))
    numbers = {label: number for number, label in enumerate(labels)} if len(labels) > 1 and "" not in labels else {}

    def items(first=0):
        for name in itertools.islice(names, first, None):
            label = numbers[images.printable(_top(name))] if numbers else 0
            yield Encoded(images.printable(name), os.path.join(root, name), label)

    return Source(images.printable(root.resolve().name), len(names), _listing(root, names), items, tuple(numbers))


def _top(name):
    """The first folder of a relative name, or ""."""
    return name.partition(os.sep)[0] if os.sep in name else ""


def _prepared(builder, name, manual_dir=None):
    """The tensorflow-datasets `builder` with its files downloaded or generated. Raises UserError of one line."""
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
        offline = "" if name in SOURCES else f"; {', '.join(BUILT_IN)} need no network: --set data.name=digits"
        raise UserError(f"cannot prepare the data set {name}: {reason}{offline}") from error
    return builder


def _bytes(value):
    """The encoded bytes of a tensorflow-datasets image feature; an array becomes PNG."""
    if isinstance(value, bytes):
        return value
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(value).squeeze()).save(buffer, format="png", compress_level=1)
    return buffer.getvalue()


def _from_builder(builder, name):
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
                number = int(example["label"]) if labels else 0
                yield Encoded(f"{split}/{index}", _bytes(example["image"]), number, side)

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


def synthetic_cats(directory):
    """The built-in drawn cat faces, generated in the data directory `directory` or in the cache."""
    builder = SyntheticCats(data_dir=directory or cache_root() / "tfds")
    return _from_builder(_prepared(builder, "synthetic_cats"), "synthetic_cats")


def cat_faces(directory):
    """The public cat-face data sets, from a zip file or folder in the manual directory `directory`, chosen by its name."""
    configs = [config.name for config in CatFaces.BUILDER_CONFIGS]
    manual = Path(directory) if directory else None
    files = sorted(path for path in manual.rglob("*") if path.is_file()) if manual and manual.is_dir() else []
    if not files:
        received = f"there are none in {directory}" if directory else "no data.directory was given"
        raise UserError(f"cat_faces needs its files: {received}; put {configs[0]}.zip or {configs[1]}.zip there")
    present = {path.stem if path.suffix == ".zip" else path.name for path in manual.iterdir()}
    config = next((name for name in configs if name in present), configs[0])
    # tensorflow-datasets does not notice changed files: each state of the files gets a folder of its own
    place = hashlib.sha256(os.fsencode(manual.resolve())).hexdigest()[:12]
    listing = _listing(manual, [path.relative_to(manual) for path in files])
    data_dir = cache_root() / "tfds" / f"cat_faces-{place}-{listing[:12]}"
    source = _from_builder(_prepared(CatFaces(config=config, data_dir=data_dir), "cat_faces", manual), "cat_faces")
    for old in set(data_dir.parent.glob(f"cat_faces-{place}-*")) - {data_dir}:
        shutil.rmtree(old, ignore_errors=True)
    return dataclasses.replace(source, stamp=f"{source.stamp} {listing}")


def digits(directory):
    """scikit-learn's 1,797 handwritten digits of 8x8 pixels (Alpaydin & Kaynak 1998); no download."""
    bundle = load_digits()
    pixels = np.rint(bundle.images * (255 / 16)).astype("uint8")

    def items(first=0):
        for index, (image, label) in enumerate(zip(pixels[first:], bundle.target[first:], strict=True), first):
            yield Encoded(str(index), _bytes(image), int(label))

    return Source("digits", len(pixels), "scikit-learn", items, tuple(str(name) for name in bundle.target_names), 8, 1)


def melodies(directory):
    """10,000 different melodies of two bars as piano rolls, from `keras_ae.data.sets.melodies`; no download."""

    def items(first=0):
        known = set()
        index = 0
        while len(known) < MELODIES:
            image = to_image(compose(0, index))
            index += 1
            if image.tobytes() not in known:
                known.add(image.tobytes())
                if len(known) > first:
                    yield Encoded(str(index), _bytes(image), 0, "train" if len(known) <= 0.9 * MELODIES else "test")

    return Source("melodies", MELODIES, "composed 1", items, (), SHAPE[0], 1, True)


def named(name, directory):
    """A data set of tensorflow-datasets from the data directory `directory` or the default one, downloaded if necessary."""
    try:
        builder = tfds.builder(name, data_dir=directory)
    except (tfds.core.DatasetNotFoundError, ValueError):
        known = dict.fromkeys([*SOURCES, *tfds.list_builders(with_community_datasets=False)])
        close = difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        raise UserError(
            f"unknown data set '{name}'; {hint}choose {', '.join(SOURCES)} or a name of tensorflow-datasets"
        ) from None
    return _from_builder(_prepared(builder, name), name)


SOURCES = {"folder": folder, "cat_faces": cat_faces, "synthetic_cats": synthetic_cats, "digits": digits, "melodies": melodies}


def open_source(name, directory):
    """The Source called `name`. Raises UserError if there is none, or if it cannot be read or prepared."""
    return SOURCES[name](directory) if name in SOURCES else named(name, directory)
