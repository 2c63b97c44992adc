"""Picture files to arrays and back. Images are uint8 (height, width, channels), or float32 in [-1, 1].

Needs only NumPy and Pillow, so that commands on exports start quickly.
"""

import contextlib
import os
from pathlib import Path

import numpy as np
from PIL import Image

from keras_ae.errors import UserError
from keras_ae.files import written_whole
from keras_ae.images import melodies
from keras_ae.images.decoding import MOST_BYTES, DamagedPicture, decode

# of images in [-1, 1], with room for rounding
MOST = 1.01
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")


def is_picture(name):
    """Whether `find` looks for files of this name, relative to its folder: by suffix, and nothing hidden."""
    hidden = any(part.startswith(".") for part in name.split("/"))
    return os.path.splitext(name)[1].lower() in SUFFIXES and not hidden


def _is_file(entry):
    # links in a circle
    with contextlib.suppress(OSError):
        return entry.is_file()
    return False


def _below(directory, inside=""):
    """The names of `find` relative to `directory`, below its folder `inside`."""
    found = []
    # a folder that may not be read
    with contextlib.suppress(PermissionError), os.scandir(os.path.join(directory, inside)) as entries:
        for entry in entries:
            is_folder = entry.is_dir(follow_symlinks=False)
            if not entry.name.startswith(".") and (is_folder or (is_picture(entry.name) and _is_file(entry))):
                found.append((entry.name, is_folder))
    for name, is_folder in sorted(found):
        if is_folder:
            yield from _below(directory, os.path.join(inside, name))
        else:
            yield os.path.join(inside, name)


def find_names(directory):
    """The files of `find` as names relative to `directory`, which take a tenth of the memory of paths."""
    if "://" in str(directory):
        raise UserError(f"cannot read {directory}: it is not a local folder; mount it as a folder, or copy it")
    directory = Path(directory)
    if not directory.is_dir():
        kind = "it is a file" if directory.exists() else "no such folder"
        raise UserError(f"cannot read pictures from {directory}: {kind}; name a folder of {', '.join(SUFFIXES)} files")
    found = list(_below(directory))
    if not found:
        raise UserError(f"no picture files in {directory}: looked for {', '.join(SUFFIXES)} at any depth")
    return found


def find(directory):
    """Every picture file in `directory` at any depth, sorted; hidden files and folders are skipped.

    Raises UserError if there is no such folder or no picture file in it.
    """
    return [Path(directory) / name for name in find_names(directory)]


def printable(path):
    """A file name as text that can be written anywhere; bytes that are not UTF-8 become escapes such as \\xe9."""
    return os.fsencode(path).decode(errors="backslashreplace")


def contents(path):
    """The bytes of the file `path`; of one that is too large for `decode`, only as many as show that. Raises OSError."""
    if os.path.exists(path) and not os.path.isfile(path):
        # opening a pipe would wait for its other end
        raise OSError("it is not a file")
    with open(path, "rb") as file:
        return file.read(MOST_BYTES + 1)


def read(path, size, channels=3):
    """`decode` the file `path`; a MIDI file gives the image of its melody. Raises UserError."""
    if Path(path).suffix.lower() in melodies.SUFFIXES:
        if (size, size, channels) != melodies.SHAPE:
            raise UserError(
                f"{printable(path)} is a MIDI file, but the model takes images of {size}x{size}, {channels} channels"
            )
        return melodies.to_image(melodies.read(path))
    try:
        return decode(contents(path), size, channels)
    except DamagedPicture as error:
        raise UserError(f"cannot use the picture {printable(path)}: {error}") from None
    except OSError as error:
        raise UserError(f"cannot read the picture {printable(path)}: {error.strerror or error}") from None


def readable(paths, size, channels, report):
    """`read` each file that can be read: pairs (index, uint8 (size, size, channels)). `report(text)` gets the other files.

    Raises UserError with the first reason if no file can be read.
    """
    found, reasons = False, []
    for index, path in enumerate(paths):
        try:
            pixels = read(path, size, channels)
        except UserError as error:
            reasons.append(str(error))
        else:
            found = True
            yield index, pixels
        while found and reasons:
            report(reasons.pop(0))
    if not found:
        raise UserError(f"none of these picture files can be read: {reasons[0]}")


def read_all(paths, size, channels, report):
    """Every file that can be read: their indices (n,) in `paths`, and uint8 (n, size, size, channels); see `readable`."""
    indices, pixels = zip(*readable(paths, size, channels, report), strict=True)
    return np.array(indices), np.stack(pixels)


def classes(paths, directory):
    """For each path the name of the sub-folder of `directory` that contains it, "" where `directory` itself does."""
    parents = [Path(path).relative_to(directory).parts[:-1] for path in paths]
    return [parts[0] if parts else "" for parts in parents]


def chosen(paths, directory, n=None, seed=0):
    """The picture files that a command line names: `paths`, or `n` files of `directory`, chosen by `seed` (None: all).

    Raises UserError if both are given, or neither.
    """
    if bool(paths) == bool(directory):
        raise UserError("name picture files, or a folder of picture files with --data DIR" + (", not both" if paths else ""))
    if paths:
        return [Path(path) for path in paths]
    found = find(directory)
    order = np.random.default_rng(seed).permutation(len(found))[:n]
    return [found[index] for index in sorted(order)]


def scaled(pixels):
    """0 ... 255 to [-1, 1]. Arithmetic only, so that floating-point arrays and tensors of any library work."""
    return pixels * (1 / 127.5) - 1


def to_float(pixels):
    """uint8 0 ... 255 to float32 in [-1, 1]."""
    return scaled(np.asarray(pixels, "float32"))


def to_uint8(images):
    """Floats in [-1, 1] to uint8, rounded; values outside the range are clipped."""
    return np.rint((np.clip(np.asarray(images, "float32"), -1, 1) + 1) * 127.5).astype("uint8")


def beyond(images, most=MOST):
    """The range of an array as text where values lie outside -most ... most, or are no numbers; "" where none does."""
    if not images.size:
        return ""
    low, high = images.min(), images.max()
    return "" if -most <= low <= high <= most else f"values from {low:g} to {high:g}"


def floats(images, most=MOST):
    """An array of uint8 images, or of floats, as floats in [-1, 1]. UserError for floats that are `beyond` most."""
    if images.dtype == np.uint8:
        return to_float(images)
    if found := beyond(images, most):
        raise UserError(f"images must be uint8, or floats in [-1, 1]. Received: {images.dtype} {found}")
    return images


def psnr(mse):
    """Peak signal-to-noise ratio in dB of a mean squared error on [-1, 1], where the peak is 2."""
    return float(10 * np.log10(4 / max(mse, 1e-12)))


def grid(images, columns, gap=2):
    """Arrange uint8 images (n, height, width, channels) in rows on white, `gap` pixels apart, as one image."""
    n, height, width, channels = images.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), 255, "uint8")
    for index, image in enumerate(images):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas


def stacked(kinds, columns):
    """Kinds of the same uint8 images, such as originals and reconstructions, as rows of `columns` below each other.

    kinds: a sequence of arrays (n, H, W, C). Returns (m, H, W, C) for `grid`; incomplete rows are padded with white images.
    """
    n = len(kinds[0])
    rows = [images[first : first + columns] for first in range(0, n, columns) for images in kinds]
    return np.concatenate([np.concatenate([row, np.full((columns - len(row), *row.shape[1:]), 255, "uint8")]) for row in rows])


def to_pillow(pixels):
    """uint8 (height, width, channels) as a Pillow image."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def write_png(path, image):
    """Write uint8 (height, width, channels) as PNG."""
    with written_whole(path) as partial:
        to_pillow(image).save(partial, format="png")
