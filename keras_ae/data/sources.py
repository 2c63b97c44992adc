"""Sources of images: folders, tensorflow-datasets and built-in sets, each as a stream in constant memory.

A source has a name and a `stamp` that changes with its contents, and yields encoded images in a fixed order. To add a source,
write a function that returns a Source and add it to `SOURCES`; any other name is one of tensorflow-datasets.
"""

import dataclasses
import difflib
import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from sklearn.datasets import load_digits

from keras_ae.data import builders, folders, public_cats
from keras_ae.data.encoded import Encoded, Source
from keras_ae.data.sets.cat_faces import CatFaces
from keras_ae.data.sets.synthetic_cats import SyntheticCats
from keras_ae.errors import UserError

# data sets that need no network
BUILT_IN = ("synthetic_cats", "simple_cats", "digits")


def cache_root():
    """The folder of all caches: $KERAS_AE_CACHE, or keras_ae in $XDG_CACHE_HOME, which is ~/.cache by default."""
    chosen = os.environ.get("KERAS_AE_CACHE")
    return Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "keras_ae"


def synthetic_cats(directory, name="synthetic_cats", config="default"):
    """The built-in drawn cat faces, generated in the data directory `directory` or in the cache."""
    builder = SyntheticCats(data_dir=directory or cache_root() / "tfds", config=config)
    return builders.source(builders.prepared(builder, name), name)


def simple_cats(directory):
    """Built-in cats that differ in position, size and the hue of the background alone."""
    return synthetic_cats(directory, "simple_cats", "simple")


def cat_faces(directory):
    """The public cat-face data sets, from a zip file or folder in the manual directory `directory`, chosen by its name.

    Without a directory, the smaller one is downloaded.
    """
    directory = directory or public_cats.fetched(cache_root())
    configs = [config.name for config in CatFaces.BUILDER_CONFIGS]
    manual = Path(directory)
    files = sorted(path for path in manual.rglob("*") if path.is_file()) if manual.is_dir() else []
    if not files:
        raise UserError(
            f"cat_faces needs its files: there are none in {directory}; put {configs[0]}.zip or {configs[1]}.zip there"
        )
    present = {path.stem if path.suffix == ".zip" else path.name for path in manual.iterdir()}
    config = next((name for name in configs if name in present), configs[0])
    # tensorflow-datasets does not notice changed files: each state of the files gets a folder of its own
    place = hashlib.sha256(os.fsencode(manual.resolve())).hexdigest()[:12]
    listing = folders.listing(manual, [path.relative_to(manual) for path in files])
    data_dir = cache_root() / "tfds" / f"cat_faces-{place}-{listing[:12]}"
    builder = builders.prepared(CatFaces(config=config, data_dir=data_dir), "cat_faces", manual_dir=manual)
    source = builders.source(builder, "cat_faces")
    for old in set(data_dir.parent.glob(f"cat_faces-{place}-*")) - {data_dir}:
        shutil.rmtree(old, ignore_errors=True)
    return dataclasses.replace(source, stamp=f"{source.stamp} {listing}")


def digits(directory):
    """scikit-learn's 1,797 handwritten digits of 8x8 pixels (Alpaydin & Kaynak 1998); no download."""
    bundle = load_digits()
    pixels = np.rint(bundle.images * (255 / 16)).astype("uint8")

    def items(first=0):
        for index, (image, label) in enumerate(zip(pixels[first:], bundle.target[first:], strict=True), first):
            yield Encoded(str(index), builders.encoded(image), int(label))

    return Source("digits", len(pixels), "scikit-learn", items, tuple(str(name) for name in bundle.target_names), 8, 1)


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
    offline = f"; {', '.join(BUILT_IN)} need no network: --set data.name=digits"
    return builders.source(builders.prepared(builder, name, offline), name)


SOURCES = {
    "folder": folders.folder,
    "cat_faces": cat_faces,
    "synthetic_cats": synthetic_cats,
    "simple_cats": simple_cats,
    "digits": digits,
}


def open_source(name, directory):
    """The Source called `name`. Raises UserError if there is none, or if it cannot be read or prepared."""
    return SOURCES[name](directory) if name in SOURCES else named(name, directory)
