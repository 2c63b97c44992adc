"""Image data sets as tf.data: loaded by name, decoded once, then streamed from memory maps.

Batches are dicts: "images" float32 (batch, height, width, channels) in [-1, 1], "label" int32 (batch,), and "inputs", which a
task of `keras_ae.data.tasks` computes from the images for the encoder. Without a task, the inputs are the images.
"""

import functools
import math
import os
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_ae.data import cache, copies, sources
from keras_ae.data.tasks import UNVARIED, mirror, mirror_half, move
from keras_ae.errors import UserError
from keras_ae.images.pictures import WHITE, check_fit, list_some, scale, to_float

# training images that priors, PCA and judges use: more would take memory or time, and hardly change what they say
SAMPLED = 102_400
# tasks draw the same random numbers in every pass over a side
HELD_OUT_SEED = 2**31 - 1
# bytes of images above which their pages are given back after each batch
LARGE = 2**28
# data sets of tensorflow-datasets that --data can name, and other names of sources
NAMES = {name: name for name in ("celeb_a", "cifar10", "fashion_mnist", "mnist", "oxford_iiit_pet")} | {"cats": "cat_faces"}


def resolve(name, directory):
    """The meaning of --data DIR for data set `name`, as (name, directory) for `load`.

    The data directory of tensorflow-datasets if it prepared the data set there, else a folder of picture files, or, where there
    is no such folder, a name of a source or one of `NAMES`.
    """
    known = NAMES | {name: name for name in sources.SOURCES if name != "folder"}
    if directory in known and not Path(directory).exists():
        return known[directory], None
    if directory in known:
        print(f"the folder ./{directory} is read, not the data set {directory}", file=sys.stderr)
    place = Path(os.path.expanduser(directory))
    prepared = any(any(place.glob(f"{name}/{below}/dataset_info.json")) for below in ("*", "*/*"))
    return name if prepared else "folder", directory


def _shape(size, channels, fit):
    """(H, W, C) of a side or (H, W), and channels. Raises UserError for what is not supported, and for an unknown fit."""
    sides = (size, size) if np.ndim(size) == 0 else tuple(size)
    received = "x".join(map(str, sides))
    if len(sides) != 2 or not all(isinstance(side, int | np.integer) and 8 <= side <= 256 for side in sides):
        raise UserError(f"`size` is one whole number from 8 to 256, or (height, width) of two. Received: {received}")
    # so that networks can halve them to maps of at most 31 pixels a side
    steps = [4 if side < 64 else 8 for side in sides]
    near = [[round_(side / step) * step for side, step in zip(sides, steps, strict=True)] for round_ in (math.floor, math.ceil)]
    if list(sides) not in near:
        advice = f"nearest {' or '.join('x'.join(map(str, pair)) for pair in near)} (data.size)"
        raise UserError(f"sides of images are multiples of 4, and from 64 on of 8. Received: {received}; {advice}")
    if channels not in (1, 3):
        raise UserError(f"images with {channels} channels are not supported; set data.channels to 1 or 3")
    check_fit(fit)
    return *map(int, sides), channels


def load(name="synthetic_cats", directory=None, size=None, channels=None, white=WHITE, fit="crop"):
    """Load a data set as a `cache.ImageSet`: a name of `sources.SOURCES`, or of tensorflow-datasets; see `load_data`."""
    if not (isinstance(white, int) and 1 <= white <= WHITE):
        raise UserError(f"`white` is the brightest value of 16-bit files, a whole number from 1 to {WHITE}. Received: {white}")
    # a shell leaves ~ as it is after = and in files
    directory = os.path.expanduser(directory) if directory else None
    height, width, _ = _shape(64 if size is None else size, channels or 3, fit)
    source = sources.open_source(name, directory, max(height, width))
    shape = _shape((source.size or 64) if size is None else size, channels or source.channels or 3, fit)
    return cache.prepare(source, f"{name} {Path(directory).resolve() if directory else ''}", shape, white, fit)


def load_data(
    name: str | os.PathLike = "synthetic_cats",
    directory: str | os.PathLike | None = None,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    white: int = WHITE,
    fit: str = "crop",
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Load a whole data set into memory, like `keras.datasets`; what is decoded is kept in `$KERAS_AE_CACHE`.

    Args:
        name: a built-in data set ("synthetic_cats", "digits"), the path of a folder of picture files, or a data set of
            tensorflow-datasets, which is downloaded if necessary.
        directory: the data directory of tensorflow-datasets, or the folder of the downloaded files of "cat_faces".
        size: side of the images, or `(height, width)`, in pixels: multiples of 4 from 8 to 60, and of 8 from 64 to 256. The
            default is the size of the data set, or 64 if its images differ in size.
        channels: 1 (grey) or 3 (RGB). The default is that of the data set, or 3.
        white: the brightest value of files with 16 bits, such as 4095 where they contain 12-bit values.
        fit: of pictures whose sides have another ratio, "crop" takes the middle part, "pad" puts all on black, "stretch"
            stretches it.

    Returns:
        `(train_images, train_labels), (test_images, test_labels)`: float32 (n, height, width, channels) in [-1, 1], and int32
        (n,), 0 where there are no classes. The classes of a folder are its sub-folders, in the order of their names or numbers.
        Held out are the test split of the data set, what is in val/ or test/ of a folder with train/, or else a tenth.
        Byte-for-byte copies are used once, and near-copies of an image are on its side. Of a folder, a line on stderr says what
        was read.

    Raises:
        UserError: for an unknown data set or folder, more than 5 % of damaged files, or another size, channels, white or fit.
    """
    is_path = isinstance(name, os.PathLike) or name.startswith((".", "/", "~"))
    if is_path or (directory is None and name not in sources.SOURCES and Path(name).is_dir()):
        if not is_path:
            print(f"the folder ./{name} is read, not a data set of that name", file=sys.stderr)
        name, directory = "folder", str(Path(name).expanduser())
    elif directory is None and Path(name).is_dir():
        print(f"the data set {name} is read, not the folder ./{name}", file=sys.stderr)
    image_set = load(NAMES.get(name, name), directory, size, channels, white, fit)
    if name == "folder":
        classes = f"; classes {list_some(image_set.labels, 12)}" if image_set.labels else ""
        print(f"{image_set.summary[0]}{classes}", file=sys.stderr)
    return tuple((to_float(image_set.images[side]), image_set.classes[side]) for side in cache.SIDES)


def _read(image_set, side, numbers, rows, batch=None):
    """Triples (number, uint8 images, labels). rows: number -> which images of a side. batch: how many, where it is fixed."""
    images, classes = image_set.images[side], image_set.classes[side]

    def read(number):
        found = rows(int(number))
        taken = images[found]
        if images.nbytes > LARGE:
            copies.release(images)
        return taken, classes[found]

    def prepare(number):
        taken, label = tf.numpy_function(read, [number], (tf.uint8, tf.int32))
        return number, tf.ensure_shape(taken, (batch, *image_set.shape)), tf.ensure_shape(label, (batch,))

    return numbers.map(prepare)


def _make_batch(pixels, label, task, seed):
    images = scale(tf.cast(pixels, tf.float32))
    return {"images": images, "label": label, "inputs": images if task is None else task(images, seed)}


def batches(image_set, side, batch, task=None, view=0, variation=UNVARIED):
    """One pass over a side ("train" or "test") in the order of the digests; the last batch may be smaller.

    task: images, seed -> inputs. Random tasks give the same inputs in every pass. view: 0 for the images as they are; other
    views are varied, the odd ones mirrored, and those from the second on moved.
    """

    def prepare(number, images, label):
        seed = tf.stack([HELD_OUT_SEED, tf.cast(number, tf.int32)])
        images = mirror(images) if variation.flip and view % 2 else images
        # the numbers of batches of different views differ
        images = move(images, variation, seed + [0, view << 24]) if view > 1 else images
        return _make_batch(images, label, task, seed)

    order = tf.data.Dataset.range(-(-len(image_set.classes[side]) // batch))
    found = _read(image_set, side, order, lambda number: slice(number * batch, (number + 1) * batch))
    return found.map(prepare).prefetch(2)


def sample(image_set, batch, task=None, view=0, variation=UNVARIED):
    """`batches` of the first SAMPLED training images, whose order is random: what all uses that is fitted outside training."""
    return batches(image_set, "train", batch, task, view, variation).take(-(-SAMPLED // batch))


def first_batch(image_set, side, n, task=None):
    """The first n images of a side in the order of the digests, as a batch of NumPy arrays; fewer if the side has fewer."""
    return next(batches(image_set, side, n, task).as_numpy_iterator())


def examples(image_set, side, n):
    """The images of `first_batch`, float32 (n, H, W, C)."""
    return to_float(image_set.images[side][:n])


def training(image_set, batch, seed, first_epoch=0, variation=UNVARIED, task=None):
    """An infinite stream of shuffled batches, n_train // batch per epoch, from epoch `first_epoch` on.

    Order and random numbers of an epoch depend on `seed` and the epoch alone: a resumed run gets the batches of another one.
    """
    steps = image_set.n_train // batch

    @functools.lru_cache(2)
    def order(epoch):
        return np.random.default_rng((seed, epoch)).permutation(image_set.n_train)

    def rows(step):
        epoch, place = divmod(step, steps)
        return order(epoch)[place * batch : (place + 1) * batch]

    def prepare(step, images, label):
        # bytes are moved four times as fast as floats
        images = mirror_half(images, step) if variation.flip else images
        images = tf.ensure_shape(move(images, variation, tf.stack([seed, step])), (batch, *image_set.shape))
        return _make_batch(images, label, task, tf.stack([seed, tf.cast(step, tf.int32)]))

    numbers = tf.data.Dataset.range(first_epoch * steps, tf.int64.max)
    return _read(image_set, "train", numbers, rows, batch).map(prepare).prefetch(2)
