"""Bytes of picture files to arrays, in bounded memory: five formats, any size and mode. Needs only NumPy and Pillow."""

import contextlib
import io
import threading

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

# Pillow's names of these formats: it knows many more, some of which start other programs or take any amount of memory
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP")
LEAST_SIDE = 4
MOST_PIXELS = 200_000_000
# bytes that one file may take while it is decoded: a process with TensorFlow and a model, about 600 MB, stays below 1 GiB
MOST_MEMORY = 320 * 2**20
# comments and profiles in a file, up to all of it, are copied up to five times
MOST_BYTES = MOST_MEMORY // 5
# the memory of decoding as a multiple of the decoded image, measured with Pillow 13, by format or decoder; 1 for others
COPIES = {"WEBP": 5, "bmp_rle": 4}
# side of the squares in which an image is converted, so that conversions copy little
TILE = 512
# `decode` refuses larger files itself, with a reason, before it decodes them
Image.MAX_IMAGE_PIXELS = None


class _Memory:
    """Memory that threads share: `of(needed)` waits until so many bytes of `total` are free."""

    def __init__(self, total):
        self.free = total
        self.changed = threading.Condition()

    @contextlib.contextmanager
    def of(self, needed):
        with self.changed:
            self.changed.wait_for(lambda: self.free >= needed)
            self.free -= needed
        try:
            yield
        finally:
            with self.changed:
                self.free += needed
                self.changed.notify_all()


_memory = _Memory(MOST_MEMORY)


class DamagedPicture(ValueError):
    """Bytes that cannot be decoded to a usable image; the text is a short reason."""


def opened(file):
    """The Pillow image of a path or file, not yet decoded; only of the formats that `find` looks for."""
    return Image.open(file, formats=FORMATS)


def _coefficients(image, data):
    """The bytes in which libjpeg collects a JPEG in several scans, such as a progressive one, before it decodes any of it."""
    end, bands = image.fp.tell(), len(image.layer)
    # opening stops behind the header of the first scan: marker, length, number of bands, 2 bytes for each, and 3 bytes
    headers = {n: bytes([0xFF, 0xDA, 0, 6 + 2 * n, n]) for n in range(1, 5)}
    in_scan = next((n for n, header in headers.items() if data.startswith(header, max(end - 8 - 2 * n, 0))), None)
    if in_scan == bands and "progressive" not in image.info:
        return 0
    factors = [(across, down) for _, across, down, _ in image.layer]
    whole = max(across for across, _ in factors) * max(down for _, down in factors)
    return 2 * image.width * image.height * sum(across * down for across, down in factors) // max(whole, 1)


def _prepare(image, data, size):
    """Ask a JPEG for a reduced version. Returns the bytes that decoding takes; raises DamagedPicture if they are too many."""
    shape = f"{image.width}x{image.height}"
    if min(image.size) < LEAST_SIDE:
        raise DamagedPicture(f"only {shape} pixels")
    if image.width * image.height > MOST_PIXELS:
        raise DamagedPicture(f"{shape} is more than {MOST_PIXELS // 10**6} megapixels")
    needed = 4 * len(data)
    if image.format in ("JPEG", "MPO"):
        needed += _coefficients(image, data)
        # decoded at 1/2, 1/4 or 1/8 of its size in a fraction of the time and memory; twice the final size keeps the quality
        image.draft(None, (2 * size, 2 * size))
    stored = {"1": 1, "L": 1, "P": 1, "I;16": 2}.get(image.mode, 4)
    copies = max(COPIES.get(name, 1) for name in (image.format, *(tile[0] for tile in image.tile)))
    # decoders keep a few rows, which may be as long as the image; then follows the square, and once more while it is turned
    needed += stored * copies * image.width * (image.height + 4) + 8 * min(*image.size, 8 * size) ** 2
    if needed > MOST_MEMORY:
        raise DamagedPicture(f"{shape} {image.mode} needs {needed >> 20} MB to decode, more than {MOST_MEMORY >> 20} MB")
    return needed


def _eight_bit(image):
    """An image of any mode as RGB or L with 8 bits; transparent parts become white."""
    if image.mode in ("I", "I;16"):
        return Image.fromarray(np.rint(np.asarray(image) * (255 / 65535)).astype("uint8"))
    if image.mode in ("LA", "RGBA") or "transparency" in image.info:
        coloured = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), coloured).convert("RGB")
    return image if image.mode in ("RGB", "L") else image.convert("L" if image.mode == "1" else "RGB")


def _middle_square(image, size):
    """The central square of an image as RGB, reduced by a whole factor to about 4 times `size` if it is larger than 8 times."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    factor = side // (4 * size) if side > 8 * size else 1
    square = Image.new("RGB", [-(-side // factor)] * 2)
    # tile by tile: the whole image in another mode takes many times the memory of the file
    step = factor * max(1, TILE // factor)
    for y in range(0, side, step):
        for x in range(0, side, step):
            tile = image.crop((left + x, top + y, left + min(x + step, side), top + min(y + step, side)))
            square.paste(_eight_bit(tile).reduce(factor), (x // factor, y // factor))
    square.info = image.info
    return square


def _decoded(data, size, channels):
    if len(data) > MOST_BYTES:
        raise DamagedPicture(f"a file of more than {MOST_BYTES >> 20} MB")
    image = opened(io.BytesIO(data))
    with _memory.of(_prepare(image, data, size)):
        square = ImageOps.exif_transpose(_middle_square(image, size)).convert("L" if channels == 1 else "RGB")
        if square.size != (size, size):
            square = square.resize((size, size), Image.Resampling.BICUBIC)
        return np.asarray(square).reshape(size, size, channels)


def decode(data, size, channels=3):
    """Decode the bytes of a picture file of any size and mode to uint8 (size, size, channels); channels is 1 or 3.

    Takes the first frame, rotates it by its EXIF orientation, crops the central square, and resizes it bicubically (a = -0.5)
    with antialiasing if the size differs. Transparent parts become white, 16 bits are scaled to 8. Raises DamagedPicture, also
    if it would take more than MOST_MEMORY, which all threads that decode share.
    """
    try:
        return _decoded(data, size, channels)
    except DamagedPicture:
        raise
    except UnidentifiedImageError:
        raise DamagedPicture(f"not a picture file; {', '.join(FORMATS)} work") from None
    except Exception as error:
        # Pillow's decoders raise many kinds of errors on broken bytes
        raise DamagedPicture(str(error).partition("\n")[0] or type(error).__name__) from error
