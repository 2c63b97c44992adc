"""Picture files to arrays and back. Images are uint8 (height, width, channels), or float32 in [-1, 1].

Needs only NumPy and Pillow, so that commands on exports start quickly.
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from keras_ae.errors import UserError
from keras_ae.files import written_whole
from keras_ae.media import melodies

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
LEAST_SIDE = 4
MOST_PIXELS = 200_000_000
# `decode` refuses larger files itself, with a reason, before it decodes them
Image.MAX_IMAGE_PIXELS = None


class DamagedPicture(ValueError):
    """Bytes that cannot be decoded to a usable image; the text is a short reason."""


def find(directory):
    """Every picture file in `directory` at any depth, sorted; hidden files and folders are skipped.

    Raises UserError if there is no such folder or no picture file in it.
    """
    directory = Path(directory)
    if not directory.is_dir():
        kind = "it is a file" if directory.exists() else "no such folder"
        raise UserError(f"cannot read pictures from {directory}: {kind}; name a folder of {', '.join(SUFFIXES)} files")
    found = sorted(
        path
        for path in directory.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(directory).parts)
        and path.is_file()
    )
    if not found:
        raise UserError(f"no picture files in {directory}: looked for {', '.join(SUFFIXES)} at any depth")
    return found


def _eight_bit(image):
    """An image of any mode as RGB or L with 8 bits; transparent parts become white."""
    if image.mode.startswith("I") or image.mode == "F":
        pixels = np.asarray(image)
        # 16-bit files open as I;16 or I; floats have no fixed range: the smallest of 0 to 1, 255 or 65535 that contains them
        most = 1.0 if image.mode == "F" and pixels.max() <= 1 else 255.0 if pixels.max() <= 255 else 65535.0
        if image.mode.startswith("I;16"):
            most = 65535.0
        reduced = np.empty(pixels.shape, "uint8")
        # row by row: the whole image in floats takes many times the memory of the file
        for row, values in zip(reduced, pixels, strict=True):
            row[:] = np.clip(np.rint(values * (255.0 / most)), 0, 255)
        return Image.fromarray(reduced)
    if image.mode in ("LA", "PA", "RGBA", "RGBa", "La") or "transparency" in image.info:
        coloured = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), coloured).convert("RGB")
    return image if image.mode in ("RGB", "L") else image.convert("L" if image.mode == "1" else "RGB")


def _middle_square(image):
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image if image.width == image.height else image.crop((left, top, left + side, top + side))


def _decoded(data, size, channels):
    image = Image.open(io.BytesIO(data))
    if min(image.size) < LEAST_SIDE:
        raise DamagedPicture(f"only {image.width}x{image.height} pixels")
    if image.width * image.height > MOST_PIXELS:
        raise DamagedPicture(f"{image.width}x{image.height} is more than {MOST_PIXELS // 10**6} megapixels")
    # a JPEG decodes at 1/2, 1/4 or 1/8 of its size in a fraction of the time and memory; twice the final size keeps the quality
    image.draft(None, (2 * size, 2 * size))
    image = _middle_square(image)
    # crop before anything that copies every pixel, so that 50 megapixels need at most a few hundred megabytes
    oriented = ImageOps.exif_transpose(image)
    if min(oriented.size) > 8 * size:
        oriented = oriented.reduce(min(oriented.size) // (4 * size)) if oriented.mode in ("RGB", "L", "RGBA") else oriented
    square = _eight_bit(oriented).convert("L" if channels == 1 else "RGB")
    if square.size != (size, size):
        square = square.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(square).reshape(size, size, channels)


def decode(data, size, channels=3):
    """Decode the bytes of a picture file of any size and mode to uint8 (size, size, channels); channels is 1 or 3.

    Takes the first frame, rotates it by its EXIF orientation, crops the central square, and resizes it bicubically (a = -0.5)
    with antialiasing if the size differs. Transparent parts become white, 16 bits are scaled to 8. Raises DamagedPicture.
    """
    try:
        return _decoded(data, size, channels)
    except DamagedPicture:
        raise
    except UnidentifiedImageError:
        raise DamagedPicture("not a picture file") from None
    except Exception as error:
        # Pillow's decoders raise many kinds of errors on broken bytes
        raise DamagedPicture(str(error).partition("\n")[0] or type(error).__name__) from error


def read(path, size, channels=3):
    """`decode` the file `path`; a MIDI file gives the image of its melody. Raises UserError."""
    if Path(path).suffix.lower() in melodies.SUFFIXES:
        if (size, size, channels) != melodies.SHAPE:
            raise UserError(f"{path} is a MIDI file, but the model takes images of {size}x{size}, {channels} channels")
        return melodies.to_image(melodies.read(path))
    try:
        return decode(Path(path).read_bytes(), size, channels)
    except DamagedPicture as error:
        raise UserError(f"cannot use the picture {path}: {error}") from None
    except OSError as error:
        raise UserError(f"cannot read the picture {path}: {error.strerror or error}") from None


def readable(paths, size, channels, report):
    """`read` each file that can be read: pairs (index, uint8 (size, size, channels)). `report(text)` gets the other files."""
    for index, path in enumerate(paths):
        try:
            yield index, read(path, size, channels)
        except UserError as error:
            report(str(error))


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
