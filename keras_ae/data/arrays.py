"""Data sets as NumPy arrays, for notebooks and small experiments: `load_data`, like that of `keras.datasets`."""

import os
from pathlib import Path

import numpy as np

from keras_ae.data import pipeline
from keras_ae.data.sources import SOURCES

BATCH = 256


def _is_folder(name, directory):
    if isinstance(name, os.PathLike) or name.startswith((".", "/", "~")):
        return True
    return directory is None and name not in SOURCES and Path(name).is_dir()


def _arrays(image_set, side, n):
    images, labels = np.empty((n, *image_set.shape), "float32"), np.empty(n, "int32")
    first = 0
    for batch in pipeline.batches(image_set, side, BATCH):
        last = first + len(batch["label"])
        images[first:last], labels[first:last] = batch["images"], batch["label"]
        first = last
    return images, labels


def load_data(
    name: str | os.PathLike = "synthetic_cats",
    directory: str | os.PathLike | None = None,
    size: int | None = None,
    channels: int | None = None,
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Load a whole data set into memory.

    Args:
        name: a built-in data set ("synthetic_cats", "digits"), the path of a folder of picture files, or a data set
            of tensorflow-datasets, which is downloaded if necessary.
        directory: the data directory of tensorflow-datasets, or the folder of the downloaded files of "cat_faces".
        size: height and width of the images, in pixels: a power of two from 16 to 256, or a multiple of 4 from 8 to 60. The
            default is the size of the data set, or 64 if its images differ in size. Images are cropped to a square and resized.
        channels: 1 (grey) or 3 (RGB). The default is that of the data set, or 3.

    Returns:
        `(train_images, train_labels), (test_images, test_labels)`. Images are float32 arrays (n, size, size, channels) in
        [-1, 1]. Labels are int32 arrays (n,), all 0 if the data set has no classes. The classes of a folder are its
        sub-folders in alphabetical order. The second pair is held out: the test split of the data set, or else a tenth of the
        images. Byte-for-byte copies are used once, and near-copies of an image are on the same side as the image.

    Raises:
        UserError: if there is no such data set or folder, if more than 5 % of its files are damaged, or for another size or
            number of channels.

    Decoded images are cached on disk, in the folder `$KERAS_AE_CACHE` or `~/.cache/keras_ae`.
    """
    if _is_folder(name, directory):
        name, directory = "folder", str(Path(name).expanduser())
    image_set = pipeline.load(pipeline.NAMES.get(name, name), directory, size, channels)
    return _arrays(image_set, "train", image_set.n_train), _arrays(image_set, "test", image_set.n_test)
