"""Picture files to arrays and back. Arrays are uint8 (height, width, channels) or float32 in [-1, 1] (mean = std = 0.5).

A leaf: NumPy and Pillow alone, so that commands which only use an export start quickly.
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
# larger files are refused below, with a reason, before they are decoded
Image.MAX_IMAGE_PIXELS = None


class DamagedPicture(ValueError):
    """Bytes that cannot be decoded to a picture worth using; the text is a short reason."""


def find(directory):
    """Every picture file in `directory` at any depth, sorted; hidden files and folders are passed over.

    Raises UserError if there is no such folder or no picture in it.
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
        raise UserError(f"no pictures in {directory}: looked for {', '.join(SUFFIXES)} at any depth")
    return found


def _eight_bit(image):
    """A picture of any mode as RGB or L with 8 bits; transparency is laid over white."""
    if image.mode.startswith("I") or image.mode == "F":
        pixels = np.asarray(image)
        # 16-bit files open as I;16 or I; floats have no fixed range: 0 to 1, 255 or 65535, whichever holds them
        most = 1.0 if image.mode == "F" and pixels.max() <= 1 else 255.0 if pixels.max() <= 255 else 65535.0
        if image.mode.startswith("I;16"):
            most = 65535.0
        scaled = np.empty(pixels.shape, "uint8")
        # row by row: the whole in floats is many times the file
        for row, values in zip(scaled, pixels, strict=True):
            row[:] = np.clip(np.rint(values * (255.0 / most)), 0, 255)
        return Image.fromarray(scaled)
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
    # a JPEG decodes at a half, quarter or eighth of its size at a fraction of time and memory; twice the size keeps quality
    image.draft(None, (2 * size, 2 * size))
    image = _middle_square(image)
    # crops before anything that copies every pixel, so that 50 megapixels stay within a few hundred megabytes
    oriented = ImageOps.exif_transpose(image)
    if min(oriented.size) > 8 * size:
        oriented = oriented.reduce(min(oriented.size) // (4 * size)) if oriented.mode in ("RGB", "L", "RGBA") else oriented
    square = _eight_bit(oriented).convert("L" if channels == 1 else "RGB")
    if square.size != (size, size):
        square = square.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(square).reshape(size, size, channels)


def decode(data, size, channels=3):
    """Decode the bytes of a picture file of any size and mode to uint8 (size, size, channels); channels is 1 or 3.

    First frame, turned upright (EXIF), the square in the middle, resized bicubically (a = -0.5) with antialiasing unless it
    fits; transparency over white, 16 bits scaled to 8. Raises DamagedPicture.
    """
    try:
        return _decoded(data, size, channels)
    except DamagedPicture:
        raise
    except UnidentifiedImageError:
        raise DamagedPicture("not a picture") from None
    except Exception as error:
        # Pillow's decoders raise many kinds of errors on broken bytes
        raise DamagedPicture(str(error).partition("\n")[0] or type(error).__name__) from error


def read(path, size, channels=3):
    """`decode` the file `path`, which a user named; of a MIDI file, the picture of its melody. Raises UserError."""
    if Path(path).suffix.lower() in melodies.SUFFIXES:
        if (size, size, channels) != melodies.SHAPE:
            raise UserError(f"{path} is a MIDI file, but the model is of pictures of {size}x{size}, {channels} channels")
        return melodies.to_picture(melodies.read(path))
    try:
        return decode(Path(path).read_bytes(), size, channels)
    except DamagedPicture as error:
        raise UserError(f"cannot use the picture {path}: {error}") from None
    except OSError as error:
        raise UserError(f"cannot read the picture {path}: {error.strerror or error}") from None


def chosen(paths, directory, n, seed):
    """The picture files a command line means: `paths`, or `n` of `directory` chosen by `seed`. UserError if neither or both."""
    if bool(paths) == bool(directory):
        raise UserError("name picture files, or a folder of them with --data DIR" + (", not both" if paths else ""))
    if paths:
        return [Path(path) for path in paths]
    found = find(directory)
    order = np.random.default_rng(seed).permutation(len(found))[:n]
    return [found[index] for index in sorted(order)]


def to_float(pixels):
    """uint8 0 ... 255 to float32 in [-1, 1]."""
    return np.asarray(pixels, "float32") / np.float32(127.5) - np.float32(1)


def to_uint8(images):
    """Floats in [-1, 1] to uint8, rounded; values outside are clipped."""
    return np.rint((np.clip(np.asarray(images, "float32"), -1, 1) + 1) * 127.5).astype("uint8")


def grid(pictures, columns, gap=2):
    """Lay uint8 pictures (n, height, width, channels) out in rows on white, `gap` pixels apart, as one picture."""
    n, height, width, channels = pictures.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    laid = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), 255, "uint8")
    for index, picture in enumerate(pictures):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        laid[top : top + height, left : left + width] = picture
    return laid


def _image(pixels):
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def write_png(path, picture):
    """Write uint8 (height, width, channels) as PNG."""
    with written_whole(path) as partial:
        _image(picture).save(partial, format="png")


def write_there_and_back(path, frames, enlarged=3, milliseconds=60):
    """Write uint8 frames (n, height, width, channels) as an endless GIF that goes forth and back, `enlarged` times."""
    pictures = [_image(frame.repeat(enlarged, axis=0).repeat(enlarged, axis=1)) for frame in [*frames, *frames[-2:0:-1]]]
    with written_whole(path) as partial:
        pictures[0].save(
            partial, format="gif", save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0, optimize=False
        )
