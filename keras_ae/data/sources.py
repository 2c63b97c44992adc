"""Sources of images: folders, built-in sets, tensorflow-datasets. Each is a stream of encoded pictures in constant memory.

To add a source, write a function of a directory (or None) that returns a `Source`, and add it to `SOURCES`, as other programs
may, too. Any other name is one of tensorflow-datasets.
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

    names: of all images. stamp: changes with their contents. labels: names of the classes, if any. size, channels: those of its
    images, or None if the images differ. said, warnings: what follows the line that counts images, and lines of their own.
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


def _list_files(root, names):
    """A digest of the names, sizes and modification times of files in the folder `root`."""
    listed = hashlib.sha256()
    for name in names:
        size, changed = pictures.stamp(os.path.join(root, name))
        listed.update(os.fsencode(name) + f"\0{size}\0{changed}\n".encode())
    return listed.hexdigest()


def _class_of(name, depth):
    """The folder of a file that is its class: the one at the top, or below so many others; "" if there is none."""
    parts = name.split(os.sep, depth + 1)
    return parts[depth] if len(parts) > depth + 1 else ""


def _sort_classes(names):
    """Names in alphabetical order, or in the order of the numbers if all are whole numbers."""
    return sorted(names, key=(lambda name: (int(name), name)) if all(map(NUMBER.fullmatch, names)) else None)


def folder(directory):
    """A folder of picture files at any depth.

    If all are in two or more sub-folders, the sub-folders are the classes. Where train/ and val/, valid/, validation/ or test/
    are directly in the folder, they are the sides as given, and the classes are inside of them.
    """
    if directory is None:
        raise UserError("which folder? name it with `directory`")
    paths, left_out = pictures.list_folder(directory)
    names, warnings, said, depth = [pictures.printable(name) for name in paths], [], "", 0
    tops = dict.fromkeys(_class_of(name, 0) for name in names)
    # also train2017/
    sides = {top: side for top in tops if (side := SIDES_OF.get(top.lower().rstrip("0123456789_-")))}
    if len(set(sides.values())) < 2:
        sides = {}
    else:
        depth, given = 1, " and ".join(f"{top}/" for top in sorted(sides, key=sides.get, reverse=True))
        said = f"; split as given by {given}"
        if outside := [name for name in names if _class_of(name, 0) not in sides]:
            warnings.append(f"images outside of {given} are left out: {len(outside):,} ({list_some(outside)})")
            paths = [path for path in paths if _class_of(path, 0) in sides]
            names = [name for name in names if _class_of(name, 0) in sides]
    classes = {_class_of(name, depth) for name in names}
    labels = () if len(classes) < 2 or "" in classes else tuple(_sort_classes(classes))
    if len(classes) > 2 and "" in classes:
        stray, others = [name for name in names if not _class_of(name, depth)], list_some(_sort_classes(classes - {""}))
        warnings.append(f"the sub-folders {others} are no classes, because of images beside them: {list_some(stray)}")
    numbers = {label: number for number, label in enumerate(labels)}

    def items():
        for path, name in zip(paths, names, strict=True):
            # each file is read where it is decoded
            label, side = numbers.get(_class_of(name, depth), 0), sides.get(_class_of(name, 0))
            yield Encoded(os.path.join(directory, path), label, side)

    name, stamp = pictures.printable(Path(directory).resolve().name), _list_files(directory, paths)
    return Source(name, names, stamp, items, labels, said=said + left_out, warnings=tuple(warnings))


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

    def items():
        import tensorflow as tf

        for (side, *_), (factors, image) in zip(numbers, drawn_cats.draw_all(numbers, size), strict=True):
            # the digests of these bytes are part of the fingerprint
            yield Encoded(tf.io.encode_png(image).numpy(), factors.pattern, ("train", "test")[side])

    names = [f"{('train', 'test')[side]}/{index}" for side, index, _ in numbers]
    stamp = "drawn 1" if size == 64 else f"drawn 1, {size} pixels"
    return Source(name, names, stamp, items, drawn_cats.PATTERNS, 64, 3)


def digits(directory):
    """scikit-learn's 1,797 handwritten digits of 8x8 pixels (Alpaydin & Kaynak 1998); no download."""
    from sklearn.datasets import load_digits

    bundle = load_digits()
    images = np.rint(bundle.images * (255 / 16)).astype("uint8")

    def items():
        for image, label in zip(images, bundle.target, strict=True):
            yield Encoded(encode_png(image), int(label))

    labels = tuple(str(name) for name in bundle.target_names)
    return Source("digits", [str(index) for index in range(len(images))], "scikit-learn", items, labels, 8, 1)


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
        close = difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        raise UserError(
            f"unknown data set '{name}'; {hint}choose {', '.join(SOURCES)} or a name of tensorflow-datasets"
        ) from None
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

    return Source(
        name,
        [f"{split}/{index}" for split in sides for index in range(splits[split].num_examples)],
        f"{builder.info.full_name} {sorted(splits)}",
        items,
        tuple(features["label"].names) if labelled else (),
        height if height == width else None,
        channels if channels in (1, 3) else None,
    )


SOURCES = {
    "folder": folder,
    "cat_faces": cat_faces,
    "synthetic_cats": synthetic_cats,
    "simple_cats": functools.partial(synthetic_cats, name="simple_cats", simple=True),
    "digits": digits,
}


def open_source(name, directory, size=64):
    """The Source called `name`; `size` is the side of the images it is for: cats are drawn that large, from 64 pixels on.

    Raises UserError if there is none, or if it cannot be read or prepared.
    """
    if name not in SOURCES:
        return public(name, directory)
    drawn = {"size": max(64, size)} if name in ("synthetic_cats", "simple_cats") else {}
    return SOURCES[name](directory, **drawn)


if __name__ == "__main__":
    try:
        print(f"the cat faces are in {download_cats()}")
    except UserError as error:
        sys.exit(f"error: {error}")
