"""Sources of images: folders, built-in sets, tensorflow-datasets. Each is a stream of encoded pictures in constant memory.

To add a source, add a function of a directory (or None) that returns a `Source` to `SOURCES`, as other programs may, too.
"""

import collections.abc
import contextlib
import dataclasses
import difflib
import functools
import hashlib
import io
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from keras_ae.data import drawn_cats
from keras_ae.errors import UserError, first_line
from keras_ae.images import pictures
from keras_ae.images.pictures import list_some

# pixels of the middle square that is used, such as a face without its background
CROPS = {"celeb_a": 148}
CATS = "spandan2/cats-faces-64x64-for-generative-models"
# its files, 6,444 of which repeat others byte for byte
CAT_FILES = 15_747
# folders of a split that is given, and the sides that they are
SIDES_OF = {"train": "train", "training": "train"} | dict.fromkeys(("val", "valid", "validation", "test", "testing"), "test")
NUMBER = re.compile(r"-?\d+")


class Encoded(NamedTuple):
    """One encoded image: bytes, or the path of a file; class; "train" or "test" if the data set has a split of its own."""

    data: bytes | str
    label: int = 0
    side: str | None = None


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set before decoding: `items()` is a new stream of its Encoded images.

    stamp: changes with the contents. labels: names of the classes, if any. size, channels: of the images, or None if they
    differ. said, warnings: what follows the line that counts images, and lines of their own.
    """

    name: str
    names: collections.abc.Sequence
    stamp: str
    items: collections.abc.Callable
    labels: tuple = ()
    size: int | None = None
    channels: int | None = None
    said: str = ""
    warnings: tuple = ()


def cache_root():
    """The folder of all caches: $KERAS_AE_CACHE, or keras_ae in $XDG_CACHE_HOME, which is ~/.cache by default."""
    chosen = os.environ.get("KERAS_AE_CACHE")
    try:
        return Path(chosen or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "keras_ae").expanduser()
    except RuntimeError:
        raise UserError("there is no home folder for the cache; name a folder in the variable KERAS_AE_CACHE") from None


def encode_png(image):
    """An image, uint8 (H, W, C) or of Pillow, as the bytes of a PNG file."""
    buffer = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image).squeeze())
    image.save(buffer, format="png", compress_level=1)
    return buffer.getvalue()


def _class_of(name, depth):
    """The folder of a file that is its class: the one at the top, or below so many others; "" if there is none."""
    parts = name.split(os.sep, depth + 1)
    return parts[depth] if len(parts) > depth + 1 else ""


def folder(directory):
    """A folder of picture files at any depth.

    If all are in two or more sub-folders, these are the classes. Where train/ and val/, valid/, validation/ or test/ are
    directly in the folder, they are the sides as given, and the classes are inside of them.
    """
    if directory is None:
        raise UserError("which folder? name it with `directory`")
    paths, left_out = pictures.list_folder(directory)
    warnings, said, depth = [], "", 0
    tops = dict.fromkeys(_class_of(path, 0) for path in paths)
    # also train2017/
    sides = {top: side for top in tops if (side := SIDES_OF.get(top.lower().rstrip("0123456789_-")))}
    if len(set(sides.values())) < 2:
        sides = {}
    else:
        depth, given = 1, " and ".join(f"{top}/" for top in sorted(sides, key=sides.get, reverse=True))
        said = f"; split as given by {given}"
        if outside := [pictures.printable(path) for path in paths if _class_of(path, 0) not in sides]:
            warnings.append(f"images outside of {given} are left out: {len(outside):,} ({list_some(outside)})")
            paths = [path for path in paths if _class_of(path, 0) in sides]
    names = [pictures.printable(path) for path in paths]
    found = {_class_of(name, depth) for name in names}
    classes = sorted(found - {""})
    if all(map(NUMBER.fullmatch, classes)):
        classes.sort(key=int)
    labels = () if len(found) < 2 or "" in found else tuple(classes)
    if len(classes) > 1 and not labels:
        stray = list_some([name for name in names if not _class_of(name, depth)])
        warnings.append(f"the sub-folders {list_some(classes)} are no classes, because of images beside them: {stray}")
    numbers = {label: number for number, label in enumerate(labels)}

    def items():
        for path, name in zip(paths, names, strict=True):
            # each file is read where it is decoded
            label, side = numbers.get(_class_of(name, depth), 0), sides.get(_class_of(path, 0))
            yield Encoded(os.path.join(directory, path), label, side)

    stamp = hashlib.sha256()
    for path in paths:
        size, changed = pictures.stamp(os.path.join(directory, path))
        stamp.update(os.fsencode(path) + f"\0{size}\0{changed}\n".encode())
    name = pictures.printable(Path(directory).resolve().name)
    return Source(name, names, stamp.hexdigest(), items, labels, said=said + left_out, warnings=tuple(warnings))


def download_cats():
    """The folder of the public 64x64 cat faces, downloaded from Kaggle unless they are there. Raises UserError."""
    # kagglehub asks Kaggle for the newest version, also where it has one
    place = cache_root() / "cats.txt"
    if place.exists() and Path(place.read_text(encoding="utf-8")).is_dir():
        return Path(place.read_text(encoding="utf-8"))
    try:
        import kagglehub

        found = Path(kagglehub.dataset_download(CATS))
        if (count := len(pictures.list_folder(found)[0])) != CAT_FILES:
            raise UserError(f"{count:,} pictures came instead of {CAT_FILES:,}")
    except Exception as error:
        # of the import, of its network library, of Kaggle, or of the disk
        reason = "it needs pip install 'keras_ae[cats]'" if isinstance(error, ImportError) else first_line(error)
        page = f"download https://www.kaggle.com/datasets/{CATS} in a browser, unpack it, and name its folder with `data`"
        raise UserError(f"cannot download the cat faces: {reason}; {page}") from error
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(str(found), encoding="utf-8")
    return found


def cat_faces(directory):
    """The public photographs of cat faces, 64x64 RGB, in the folder `directory`, or else downloaded."""
    return dataclasses.replace(folder(directory or download_cats()), name="cat_faces")


def synthetic_cats(directory, name="synthetic_cats", simple=False, size=64):
    """Cat faces drawn by a program, 8,400 to train on and 1,000 held out; the label is the pattern of the coat.

    simple: they differ in position, size and the hue of the background alone. size: side of the drawings, in pixels.
    """
    # training and held-out cats come from different sequences of factors
    numbers = [(0, index, simple) for index in range(8400)] + [(1, index, simple) for index in range(1000)]
    names = [f"{('train', 'test')[side]}/{index}" for side, index, _ in numbers]

    def items():
        import tensorflow as tf

        for name, (factors, image) in zip(names, drawn_cats.draw_all(numbers, size), strict=True):
            # the digests of these bytes are part of the fingerprint
            yield Encoded(tf.io.encode_png(image).numpy(), factors.pattern, name.partition("/")[0])

    stamp = "drawn 1" if size == 64 else f"drawn 1, {size} pixels"
    return Source(name, names, stamp, items, drawn_cats.PATTERNS, 64, 3)


def digits(directory):
    """scikit-learn's 1,797 handwritten digits of 8x8 pixels (Alpaydin & Kaynak 1998); no download."""
    from sklearn.datasets import load_digits

    bundle = load_digits()
    images = np.rint(bundle.images * (255 / 16)).astype("uint8")

    def items():
        return (Encoded(encode_png(image), int(label)) for image, label in zip(images, bundle.target, strict=True))

    return Source("digits", [*map(str, range(len(images)))], "scikit-learn", items, tuple("0123456789"), 8, 1)


def _encode(value, crop=None):
    """The encoded bytes of a tensorflow-datasets image feature, or of its middle square of `crop` pixels."""
    data = value if isinstance(value, bytes) else encode_png(value)
    if not crop:
        return data
    with Image.open(io.BytesIO(data)) as image:
        left, top = ((size - crop) // 2 for size in image.size)
        return encode_png(image.crop((left, top, left + crop, top + crop)))


def public(name, directory):
    """A data set of tensorflow-datasets from the data directory `directory` or the default one, downloaded if necessary."""
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(name, data_dir=directory)
    except (tfds.core.DatasetNotFoundError, ValueError):
        known = dict.fromkeys([*SOURCES, *tfds.list_builders(with_community_datasets=False)])
        close = " or ".join(difflib.get_close_matches(name, known, n=3))
        advice = f"{f'did you mean {close}? ' if close else ''}choose {', '.join(SOURCES)} or a name of tensorflow-datasets"
        raise UserError(f"unknown data set '{name}'; {advice}") from None
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        # it prints sizes and folders to stdout
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
    except Exception as error:
        offline = "synthetic_cats, simple_cats and digits need no network: --set data.name=digits"
        raise UserError(f"cannot prepare the data set {name}: {first_line(error)}; {offline}") from error
    features, splits = builder.info.features, builder.info.splits
    if "image" not in features or not isinstance(features["image"], tfds.features.Image):
        raise UserError(f"the data set {name} has no feature 'image'; it has {', '.join(features)}")
    labelled = "label" in features and isinstance(features["label"], tfds.features.ClassLabel)
    height, width, channels = features["image"].shape
    sides = {"train": "train", "test": "test"} if {"train", "test"} <= set(splits) else {split: None for split in splits}

    def items():
        for split, side in sides.items():
            examples = builder.as_dataset(split=split, decoders={"image": tfds.decode.SkipDecoding()}, shuffle_files=False)
            for example in tfds.as_numpy(examples):
                yield Encoded(_encode(example["image"], CROPS.get(name)), int(example["label"]) if labelled else 0, side)

    names = [f"{split}/{index}" for split in sides for index in range(splits[split].num_examples)]
    labels = tuple(features["label"].names) if labelled else ()
    shape = height if height == width else None, channels if channels in (1, 3) else None
    return Source(name, names, f"{builder.info.full_name} {sorted(splits)}", items, labels, *shape)


# drawn as large as they are needed, from 64 pixels on
DRAWN = {
    "synthetic_cats": synthetic_cats,
    "simple_cats": functools.partial(synthetic_cats, name="simple_cats", simple=True),
}
SOURCES = {"folder": folder, "cat_faces": cat_faces, **DRAWN, "digits": digits}


def open_source(name, directory, size=64):
    """The Source called `name`, for images whose larger side is `size`.

    Raises UserError if there is none, or if it cannot be read or prepared.
    """
    if name in DRAWN:
        return DRAWN[name](directory, size=max(64, size))
    return SOURCES[name](directory) if name in SOURCES else public(name, directory)


if __name__ == "__main__":
    try:
        print(f"the cat faces are in {download_cats()}")
    except UserError as error:
        sys.exit(f"error: {error}")
